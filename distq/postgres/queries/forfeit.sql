-- Give back what a worker held, but for what it keeps. Only what it had begun is charged, and buried when its budget is
-- spent; what was to be cancelled is.
WITH held AS MATERIALIZED (
    SELECT id, id = ANY (%(begun)s::uuid[]) AS begun, crashes + (id = ANY (%(begun)s::uuid[]))::int AS crashes,
           cancel_reason IS NOT NULL OR crashes + (id = ANY (%(begun)s::uuid[]))::int >= %(budget)s AS ends
    FROM distq.job
    WHERE state = 'leased' AND queue = %(queue)s AND worker = %(worker)s AND id <> ALL (%(kept)s::uuid[])
    FOR UPDATE SKIP LOCKED
), ended AS (
    DELETE FROM distq.job j USING held h
    WHERE j.id = ANY (ARRAY[h.id]) AND h.ends
    RETURNING j.id, j.queue, j.task, j.payload, j.priority, j.key, j.hold, j.hold_seconds, j.tries, h.crashes, j.progress,
              j.worker, j.leased_at, j.enqueued_at, j.cancel_reason,
              CASE WHEN h.begun THEN distq.remember(j.history, %(attempts)s, 'crash', j.worker, j.leased_at, 0, '')
                   ELSE j.history END AS history
), kept AS (
    INSERT INTO distq.finished (id, queue, task, payload, state, priority, key, hold, hold_seconds, tries, crashes, body,
                                history, progress, worker, leased_at, enqueued_at)
    SELECT id, queue, task, payload, CASE WHEN cancel_reason IS NULL THEN 'dead' ELSE 'cancelled' END::distq.job_state,
           priority, key, hold, hold_seconds, tries, crashes, coalesce(cancel_reason, %(crashed)s), history, progress,
           worker, leased_at, enqueued_at
    FROM ended
    ON CONFLICT (id) DO NOTHING
), returned AS (
    UPDATE distq.job j
    SET state = 'ready', crashes = h.crashes, token = NULL, worker = NULL, leased_until = NULL,
        history = CASE WHEN h.begun THEN distq.remember(j.history, %(attempts)s, 'crash', j.worker, j.leased_at, 0, '')
                       ELSE j.history END
    FROM held h
    WHERE j.id = ANY (ARRAY[h.id]) AND NOT h.ends
    RETURNING j.id, j.ready_at
), told AS MATERIALIZED (
    SELECT distq.tell_ended(ARRAY(SELECT id FROM ended), %(ended_channel)s) WHERE EXISTS (SELECT FROM distq.watch)
), woken AS MATERIALIZED (
    SELECT distq.tell_ready(%(channel)s, %(queue)s, min(ready_at)) FROM returned HAVING count(*) > 0
)
SELECT (SELECT count(*) FROM held), (SELECT count(*) FROM told), (SELECT count(*) FROM woken)
