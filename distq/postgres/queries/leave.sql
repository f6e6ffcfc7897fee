-- Forget a worker process that has ended.
DELETE FROM distq.worker WHERE name = %(name)s RETURNING name
