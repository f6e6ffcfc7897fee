-- How many jobs of a queue are in each state.
SELECT state::text, count(*) FROM distq.job WHERE queue = %(queue)s GROUP BY state
UNION ALL
SELECT state::text, count(*) FROM distq.finished
WHERE queue = %(queue)s AND (expires_at IS NULL OR expires_at > now())
GROUP BY state
