-- The job that claimed a key last.
SELECT job_id FROM distq.key WHERE queue = %(queue)s AND key = %(key)s
