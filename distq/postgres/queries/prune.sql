-- Forget the oldest of the jobs that ended in a state, up to the later of two bounds: an age, and the latest so many.
-- None of them is waiting, but the index says so.
WITH bound AS MATERIALIZED (
    SELECT finished_at, id FROM (
        (SELECT finished_at, id FROM distq.finished
         WHERE queue = %(queue)s AND state = %(state)s::distq.job_state AND state <> 'waiting'
         ORDER BY finished_at DESC, id DESC OFFSET %(beyond)s LIMIT 1)
        UNION ALL
        SELECT now() - %(older)s * interval '1 second', '00000000-0000-0000-0000-000000000000'::uuid
    ) b
    ORDER BY finished_at DESC, id DESC LIMIT 1
), pruned AS (
    DELETE FROM distq.finished WHERE id = ANY (ARRAY(
        SELECT id FROM distq.finished
        WHERE queue = %(queue)s AND state = %(state)s::distq.job_state AND state <> 'waiting'
          AND (finished_at, id) <= ((SELECT finished_at FROM bound), (SELECT id FROM bound))
        ORDER BY finished_at, id LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING id, queue, key, hold, hold_seconds, finished_at
), orphan AS MATERIALIZED (
    -- As in tick.sql.
    SELECT k.queue, k.key,
           CASE p.hold WHEN 'active' THEN p.finished_at + p.hold_seconds * interval '1 second' ELSE now() END AS until
    FROM pruned p JOIN distq.key k ON k.queue = ANY (ARRAY[p.queue]) AND k.key = p.key AND k.job_id = p.id
    WHERE p.key IS NOT NULL AND k.until IS NULL
    FOR UPDATE OF k SKIP LOCKED
), orphaned AS (
    UPDATE distq.key k SET until = o.until FROM orphan o WHERE k.queue = ANY (ARRAY[o.queue]) AND k.key = o.key
)
SELECT count(*) FROM pruned
