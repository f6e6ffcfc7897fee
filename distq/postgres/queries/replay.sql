-- Make dead and cancelled jobs ready again, but for those whose key another has. Locks as in enqueue_keyed.sql.
-- The cast keeps the planner on the primary key.
WITH input AS MATERIALIZED (
    SELECT f.*, n.place
    FROM unnest(%(ids)s::uuid[], %(queues)s::text[]) WITH ORDINALITY AS n (id, queue, place)
         JOIN distq.finished f ON f.id = ANY (ARRAY[n.id]) AND f.queue = n.queue
    WHERE f.state::text IN ('dead', 'cancelled')
    ORDER BY n.id
    FOR UPDATE OF f
), keyed AS MATERIALIZED (
    SELECT DISTINCT ON (i.queue, i.key) i.id, i.queue, i.key, c.job_id, c.claimed_at
    FROM input i LEFT JOIN distq.claim c ON c.queue = ANY (ARRAY[i.queue]) AND c.key = i.key
    WHERE i.hold IN ('waiting', 'active') AND (c.until > clock_timestamp() IS NOT TRUE OR c.job_id = i.id)
    ORDER BY i.queue, i.key, i.place
), claimed AS (
    INSERT INTO distq.key AS k (queue, key, job_id)
    SELECT queue, key, id FROM keyed
    ORDER BY queue, key
    ON CONFLICT (queue, key) DO UPDATE SET (job_id, until, claimed_at) = (
        SELECT c.job_id, c.until, c.claimed_at
        FROM (VALUES (true, excluded.job_id, excluded.until, excluded.claimed_at),
                     (false, k.job_id, k.until, k.claimed_at)) AS c (ours, job_id, until, claimed_at)
        WHERE c.ours = (k.until <= clock_timestamp() IS TRUE OR EXISTS (
            SELECT FROM keyed h
            WHERE h.id = excluded.job_id AND h.job_id = k.job_id AND h.claimed_at = k.claimed_at
        ))
    )
    RETURNING k.job_id
), new AS (
    INSERT INTO distq.job (id, queue, task, payload, priority, key, hold, hold_seconds, state, ready_at, error, history,
                           enqueued_at)
    SELECT id, queue, task, payload, priority, key, hold, hold_seconds, 'ready',
           statement_timestamp() - priority * %(ageing)s * interval '1 second', body, history, enqueued_at
    FROM input
    WHERE hold IS NULL OR hold = 'window' OR id IN (SELECT job_id FROM claimed)
    ON CONFLICT (id) DO NOTHING
    RETURNING id, queue, ready_at
), gone AS (
    DELETE FROM distq.finished WHERE id = ANY (ARRAY(SELECT id FROM new))
), woken AS MATERIALIZED (
    SELECT distq.tell_ready(%(channel)s, queue, min(ready_at)) FROM new GROUP BY queue
)
SELECT queue, id FROM new WHERE (SELECT count(*) FROM woken) >= 0
