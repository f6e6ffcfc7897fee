-- Add jobs that are not known yet, some of which have keys; or the job of a schedule's tick, where it is there to be fired.
-- Locks are taken on jobs first, then on keys in their order: so two of these do not deadlock. A claim that holds in the
-- snapshot and is not to be replaced is not touched: a long transaction bars nobody from a key that it did not get.
WITH fired AS (
    UPDATE distq.schedule SET last = %(tick)s
    WHERE queue = %(schedule_queue)s AND name = %(schedule)s AND last = %(last)s AND NOT paused
      AND %(tick)s > last AND %(tick)s <= extract(epoch FROM statement_timestamp())
    RETURNING name
), input AS MATERIALIZED (
    SELECT id, queue, task, payload, coalesce(priority, 0) AS priority, key, hold, seconds, conflict, place,
           coalesce(to_timestamp(run_at), statement_timestamp() + coalesce(delay, 0) * interval '1 second') AS moment
    FROM unnest(%(ids)s::uuid[], %(queues)s::text[], %(tasks)s::text[], %(payloads)s::bytea[],
                %(delays)s::float8[], %(run_ats)s::float8[], %(priorities)s::smallint[],
                %(keys)s::text[], %(holds)s::text[], %(seconds)s::float8[], %(conflicts)s::text[])
         WITH ORDINALITY AS n (id, queue, task, payload, delay, run_at, priority, key, hold, seconds, conflict, place)
    WHERE (%(schedule)s::text IS NULL OR EXISTS (SELECT FROM fired))
      AND NOT EXISTS (SELECT FROM distq.job j WHERE j.id = n.id OFFSET 0)
      AND NOT EXISTS (SELECT FROM distq.finished f WHERE f.id = n.id OFFSET 0)
), holder AS MATERIALIZED (
    SELECT i.id, c.job_id, c.claimed_at, c.until > clock_timestamp() AS taken,
           c.waits AND i.conflict = 'replace' AS replaceable
    FROM input i JOIN distq.claim c ON c.queue = ANY (ARRAY[i.queue]) AND c.key = i.key
), victim AS MATERIALIZED (
    SELECT j.id FROM distq.job j
    WHERE j.id = ANY (ARRAY(SELECT job_id FROM holder WHERE taken AND replaceable)) AND j.state IN ('scheduled', 'ready')
    ORDER BY j.id
    FOR UPDATE
), claimed AS (
    INSERT INTO distq.key AS k (queue, key, job_id, until)
    SELECT i.queue, i.key, i.id, CASE WHEN i.hold = 'window' THEN clock_timestamp() + i.seconds * interval '1 second' END
    FROM input i LEFT JOIN holder h ON h.id = i.id
    WHERE i.key IS NOT NULL AND (h.taken IS NOT TRUE OR h.replaceable) AND (SELECT count(*) FROM victim) >= 0
    ORDER BY i.queue, i.key
    ON CONFLICT (queue, key) DO UPDATE SET (job_id, until, claimed_at) = (
        SELECT c.job_id, c.until, c.claimed_at
        FROM (VALUES (true, excluded.job_id, excluded.until, excluded.claimed_at),
                     (false, k.job_id, k.until, k.claimed_at)) AS c (ours, job_id, until, claimed_at)
        -- Not where somebody has claimed it since our snapshot, or who was to make way has been leased.
        WHERE c.ours = (k.until <= clock_timestamp() IS TRUE OR EXISTS (
            SELECT FROM holder h
            WHERE h.id = excluded.job_id AND h.job_id = k.job_id AND h.claimed_at = k.claimed_at
              AND (NOT h.taken OR h.job_id IN (SELECT id FROM victim))
        ))
    )
    RETURNING k.queue, k.key, k.job_id
), answer AS MATERIALIZED (
    -- A job whose key is taken by itself has ended and is forgotten, but for its key: it is not ours to add again.
    SELECT i.*, h.job_id AS before, i.key IS NULL OR c.job_id = i.id IS TRUE AS ours,
           CASE WHEN i.key IS NULL THEN i.id ELSE coalesce(c.job_id, h.job_id) END AS holder
    FROM input i LEFT JOIN holder h ON h.id = i.id LEFT JOIN claimed c ON c.queue = i.queue AND c.key = i.key
), refused AS MATERIALIZED (
    SELECT distq.refuse(key, queue || ':' || translate(holder::text, '-', '')) FROM (
        SELECT * FROM answer WHERE conflict = 'error' AND holder <> id ORDER BY place LIMIT 1
    ) a
), new AS (
    INSERT INTO distq.job (id, queue, task, payload, priority, key, hold, hold_seconds, state, ready_at, enqueued_at)
    SELECT id, queue, task, payload, priority, key, hold, seconds,
           CASE WHEN moment > statement_timestamp() THEN 'scheduled' ELSE 'ready' END::distq.job_state,
           CASE WHEN moment > statement_timestamp() THEN moment
                ELSE moment - priority * %(ageing)s * interval '1 second' END + place * interval '1 microsecond',
           statement_timestamp()
    FROM answer
    WHERE ours AND (SELECT count(*) FROM refused) = 0
    ORDER BY place
    ON CONFLICT (id) DO NOTHING
    RETURNING id, queue, state, ready_at
), replaced AS (
    DELETE FROM distq.job
    WHERE id = ANY (ARRAY(SELECT v.id FROM victim v JOIN answer a ON a.before = v.id WHERE a.holder = a.id))
    RETURNING *
), ended AS (
    INSERT INTO distq.finished (id, queue, task, payload, state, priority, key, hold, hold_seconds, tries, crashes, body,
                                history, progress, enqueued_at, finished_at)
    SELECT id, queue, task, payload, 'cancelled', priority, key, hold, hold_seconds, tries, crashes, %(replaced)s,
           history, progress, enqueued_at, statement_timestamp()
    FROM replaced
    ON CONFLICT (id) DO NOTHING
), told AS MATERIALIZED (
    SELECT distq.tell_ended(ARRAY(SELECT id FROM replaced), %(ended_channel)s)
    WHERE EXISTS (SELECT FROM distq.watch) AND EXISTS (SELECT FROM replaced)
), woken AS MATERIALIZED (
    SELECT distq.tell_ready(%(channel)s, queue, min(ready_at)) FROM new WHERE state = 'ready' GROUP BY queue
)
SELECT a.id, a.holder, new.id IS NOT NULL AS created
FROM answer a LEFT JOIN new ON new.id = a.id
WHERE (SELECT count(*) FROM told) + (SELECT count(*) FROM woken) >= 0
UNION ALL
SELECT NULL, NULL, true FROM fired
