-- One maintenance pass over all queues, skipped where another worker has just made one. In any case it looks whether
-- the queue has ready jobs; for those without crashes from `since` on, as a lease does.
WITH pulse AS MATERIALIZED (
    -- What a pass has taken leaves entries in the indexes, which it need not see again; but now and then it looks for
    -- what was locked, or not committed yet.
    SELECT ticked_at, CASE WHEN sweeps THEN '-infinity' ELSE reclaimed_to - interval '1 second' END AS reclaimed_to,
           CASE WHEN sweeps THEN '-infinity' ELSE pruned_to - interval '1 second' END AS pruned_to, sweeps
    FROM (SELECT *, NOT swept_at BETWEEN now() - interval '1 minute' AND now() AS sweeps FROM distq.pulse) p
    WHERE ticked_at < now() - interval '0.25 second' OR ticked_at > now() OR %(eager)s
    FOR UPDATE SKIP LOCKED
), outage AS MATERIALIZED (
    SELECT ticked_at < now() - %(outage)s * interval '1 second' AS grace, sweeps FROM pulse
), due AS MATERIALIZED (
    SELECT id FROM distq.job
    WHERE state = 'scheduled' AND ready_at <= now() AND EXISTS (SELECT FROM pulse)
    ORDER BY ready_at LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), promoted AS (
    UPDATE distq.job SET state = 'ready', ready_at = ready_at - priority * %(ageing)s * interval '1 second'
    WHERE id = ANY (ARRAY(SELECT id FROM due))
    RETURNING queue, crashes, ready_at
), expired AS MATERIALIZED (
    SELECT id, cancel_reason IS NOT NULL OR crashes + 1 >= %(budget)s AS ends,
           cancel_reason IS NULL AND crashes + 1 >= %(budget)s AS buried, leased_until
    FROM distq.job
    WHERE state = 'leased' AND leased_until <= now() AND leased_until >= (SELECT reclaimed_to FROM pulse)
    ORDER BY leased_until LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), spared AS (
    UPDATE distq.job SET leased_until = now() + %(grace)s * interval '1 second'
    WHERE id = ANY (ARRAY(SELECT id FROM expired)) AND (SELECT grace FROM outage)
), ended AS (
    DELETE FROM distq.job j USING expired e
    WHERE j.id = ANY (ARRAY[e.id]) AND e.ends AND NOT (SELECT grace FROM outage)
    RETURNING j.*, e.buried
), kept AS (
    INSERT INTO distq.finished (id, queue, task, payload, state, priority, key, hold, hold_seconds, tries, crashes, body,
                                history, progress, worker, leased_at, enqueued_at)
    SELECT id, queue, task, payload, CASE WHEN buried THEN 'dead' ELSE 'cancelled' END::distq.job_state,
           priority, key, hold, hold_seconds, tries, crashes + 1, coalesce(cancel_reason, %(crashed)s),
           distq.remember(history, %(attempts)s, 'crash', worker, leased_at, 0, ''), progress, worker, leased_at,
           enqueued_at
    FROM ended
    ON CONFLICT (id) DO NOTHING
), reclaimed AS (
    UPDATE distq.job j
    SET state = 'ready', crashes = j.crashes + 1, token = NULL, worker = NULL, leased_until = NULL,
        history = distq.remember(j.history, %(attempts)s, 'crash', j.worker, j.leased_at, 0, '')
    FROM expired e
    WHERE j.id = ANY (ARRAY[e.id]) AND NOT e.ends AND NOT (SELECT grace FROM outage)
    RETURNING j.queue, j.ready_at
), pruned AS (
    DELETE FROM distq.finished WHERE id = ANY (ARRAY(
        SELECT id FROM distq.finished
        WHERE expires_at <= now() AND expires_at >= (SELECT pruned_to FROM pulse)
        ORDER BY expires_at LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING id, queue, key, hold, hold_seconds, finished_at, expires_at
), beaten AS (
    -- Not while leases are left that an outage let run out: the next pass is to know of it too.
    UPDATE distq.pulse p
    SET ticked_at = CASE WHEN o.grace AND e.full THEN p.ticked_at ELSE now() END,
        reclaimed_to = CASE WHEN e.full THEN e.last ELSE now() END,
        pruned_to = CASE WHEN g.full THEN g.last ELSE now() END,
        swept_at = CASE WHEN o.sweeps THEN now() ELSE p.swept_at END
    FROM outage o, (SELECT count(*) = %(limit)s AS full, max(leased_until) AS last FROM expired) e,
         (SELECT count(*) = %(limit)s AS full, max(expires_at) AS last FROM pruned) g
), orphan AS MATERIALIZED (
    -- A claim whose job is forgotten ends by itself. One that is locked had ended: somebody is about to claim its key.
    SELECT k.queue, k.key,
           CASE p.hold WHEN 'active' THEN p.finished_at + p.hold_seconds * interval '1 second' ELSE now() END AS until
    FROM pruned p JOIN distq.key k ON k.queue = ANY (ARRAY[p.queue]) AND k.key = p.key AND k.job_id = p.id
    WHERE p.key IS NOT NULL AND k.until IS NULL
    FOR UPDATE OF k SKIP LOCKED
), orphaned AS (
    UPDATE distq.key k SET until = o.until FROM orphan o WHERE k.queue = ANY (ARRAY[o.queue]) AND k.key = o.key
), stale AS MATERIALIZED (
    SELECT queue, key FROM distq.key
    WHERE until <= now() AND EXISTS (SELECT FROM pulse)
    ORDER BY until LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), freed AS (
    DELETE FROM distq.key k USING stale s WHERE k.queue = ANY (ARRAY[s.queue]) AND k.key = s.key
), unwatched AS (
    DELETE FROM distq.watch WHERE id = ANY (ARRAY(
        SELECT id FROM distq.watch
        WHERE since < now() - interval '1 hour' AND EXISTS (SELECT FROM pulse)
        ORDER BY since LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    ))
), open AS MATERIALIZED (
    SELECT WHERE NOT EXISTS (SELECT FROM distq.queue WHERE name = %(queue)s AND paused)
), first AS MATERIALIZED (
    -- Where a lease of the queue would begin.
    SELECT ready_at FROM distq.job
    WHERE queue = %(queue)s AND state = 'ready' AND crashes = 0 AND ready_at >= to_timestamp(%(since)s)
          AND EXISTS (SELECT FROM open)
    ORDER BY ready_at, id
    LIMIT 1
), told AS MATERIALIZED (
    SELECT distq.tell_ended(ARRAY(SELECT id FROM ended), %(ended_channel)s)
    WHERE EXISTS (SELECT FROM distq.watch) AND EXISTS (SELECT FROM ended)
), woken AS MATERIALIZED (
    SELECT distq.tell_ready(%(channel)s, queue, min(ready_at))
    FROM (SELECT queue, ready_at FROM promoted UNION ALL SELECT queue, ready_at FROM reclaimed) q GROUP BY queue
)
SELECT (SELECT count(*) FROM promoted),
       (SELECT count(*) FROM reclaimed) + (SELECT count(*) FROM ended WHERE NOT buried),
       (SELECT count(*) FROM ended WHERE buried),
       (SELECT count(*) FROM pruned),
       (SELECT count(*) FROM pulse)
       * ((SELECT count(*) FROM distq.job WHERE queue = %(queue)s AND state = 'ready' AND crashes > 0)
          + (SELECT count(*) FROM promoted WHERE queue = %(queue)s AND crashes > 0)
          + (SELECT count(*) FROM reclaimed WHERE queue = %(queue)s)),
       EXISTS (SELECT FROM open)
       AND (EXISTS (SELECT FROM first)
            OR EXISTS (SELECT FROM distq.job WHERE queue = %(queue)s AND state = 'ready' AND crashes > 0)
            OR EXISTS (SELECT FROM promoted WHERE queue = %(queue)s)
            OR EXISTS (SELECT FROM reclaimed WHERE queue = %(queue)s)),
       (SELECT extract(epoch FROM ready_at)::float8 FROM first),
       (SELECT count(*) FROM told) + (SELECT count(*) FROM woken)
