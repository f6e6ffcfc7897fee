-- Add jobs without keys that are not known yet; wake the workers of their queues when the transaction commits.
-- Microseconds keep the order of the call, whatever the ids.
WITH new AS (
    INSERT INTO distq.job (id, queue, task, payload, priority, state, ready_at, enqueued_at)
    SELECT id, queue, task, payload, priority,
           CASE WHEN moment > statement_timestamp() THEN 'scheduled' ELSE 'ready' END::distq.job_state,
           CASE WHEN moment > statement_timestamp() THEN moment
                ELSE moment - priority * %(ageing)s * interval '1 second' END + place * interval '1 microsecond',
           statement_timestamp()
    FROM (
        SELECT id, queue, task, payload, coalesce(priority, 0) AS priority, place,
               coalesce(to_timestamp(run_at), statement_timestamp() + coalesce(delay, 0) * interval '1 second') AS moment
        FROM unnest(%(ids)s::uuid[], %(queues)s::text[], %(tasks)s::text[], %(payloads)s::bytea[],
                    %(delays)s::float8[], %(run_ats)s::float8[], %(priorities)s::smallint[])
             WITH ORDINALITY AS n (id, queue, task, payload, delay, run_at, priority, place)
    ) n
    WHERE NOT EXISTS (SELECT FROM distq.finished f WHERE f.id = n.id OFFSET 0)
    ON CONFLICT (id) DO NOTHING
    RETURNING id, queue, state, ready_at
), woken AS MATERIALIZED (
    SELECT distq.tell_ready(%(channel)s, queue, min(ready_at)) FROM new WHERE state = 'ready' GROUP BY queue
)
-- The ids that were added, unless all were.
SELECT CASE WHEN count(*) < cardinality(%(ids)s::uuid[]) THEN coalesce(array_agg(id), '{}') END
FROM new
WHERE (SELECT count(*) FROM woken) >= 0
