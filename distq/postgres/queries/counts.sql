-- How many jobs of a queue are in each state. Each is counted in its index, so done jobs that have expired are taken off
-- again. The empty text keeps the planner on the index of those.
SELECT 'ready', (SELECT count(*) FROM distq.job WHERE queue = %(queue)s AND state = 'ready' AND crashes = 0)
                + (SELECT count(*) FROM distq.job WHERE queue = %(queue)s AND state = 'ready' AND crashes > 0)
UNION ALL
SELECT 'scheduled', count(*) FROM distq.job WHERE queue = %(queue)s AND state = 'scheduled'
UNION ALL
SELECT 'leased', count(*) FROM distq.job WHERE queue = %(queue)s AND state = 'leased'
UNION ALL
SELECT 'done', (SELECT count(*) FROM distq.finished WHERE queue = %(queue)s AND state = 'done')
               - (SELECT count(*) FROM distq.finished WHERE queue || '' = %(queue)s AND expires_at <= now())
UNION ALL
SELECT 'dead', count(*) FROM distq.finished WHERE queue = %(queue)s AND state = 'dead'
UNION ALL
SELECT 'cancelled', count(*) FROM distq.finished WHERE queue = %(queue)s AND state = 'cancelled'
