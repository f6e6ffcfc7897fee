-- The worker processes that announced themselves lately.
SELECT name, host, pid, queues, tasks, extract(epoch FROM now() - seen_at)::float8, vitals, tallies::text
FROM distq.worker
WHERE seen_at >= now() - %(within)s * interval '1 second'
ORDER BY name
