-- Add jobs that are not known yet; wake the workers of their queues when the transaction commits.
WITH new AS (
    INSERT INTO distq.job (id, queue, task, payload, state, ready_at)
    SELECT n.id, n.queue, n.task, n.payload,
           CASE WHEN n.delay > 0 THEN 'scheduled' ELSE 'ready' END::distq.job_state,
           now() + n.delay * interval '1 second'
    FROM unnest(%(ids)s::uuid[], %(queues)s::text[], %(tasks)s::text[], %(payloads)s::bytea[], %(delays)s::float8[])
         AS n (id, queue, task, payload, delay)
    WHERE NOT EXISTS (SELECT FROM distq.finished f WHERE f.id = n.id)
    ON CONFLICT (id) DO NOTHING
    RETURNING id, queue, state
), woken AS MATERIALIZED (
    SELECT pg_notify(%(channel)s, q.queue) FROM (SELECT DISTINCT queue FROM new WHERE state = 'ready') q
)
SELECT new.id FROM new WHERE (SELECT count(*) FROM woken) >= 0
