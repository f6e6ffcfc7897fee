-- End the leases whose token is still the job's: move ended jobs out, give the others back.
-- Where some are given back all are locked first, in the order of ids as a cancel locks them, to see whether one came.
WITH outcome AS MATERIALIZED (
    SELECT id, token, kind, body, coalesce(delay, 0) AS delay, ran
    FROM unnest(%(ids)s::uuid[], %(tokens)s::uuid[], %(kinds)s::text[], %(bodies)s::bytea[], %(delays)s::float8[],
                %(rans)s::float8[])
         AS o (id, token, kind, body, delay, ran)
), held AS MATERIALIZED (
    SELECT id, token, cancel_reason FROM distq.job
    WHERE %(again)s AND id = ANY (%(ids)s::uuid[])
    ORDER BY id
    FOR UPDATE
), stopped AS MATERIALIZED (
    SELECT o.id, o.token FROM outcome o JOIN held h ON h.id = o.id AND h.token = o.token
    WHERE o.kind IN ('retry', 'snooze', 'release') AND h.cancel_reason IS NOT NULL
), ended AS (
    DELETE FROM distq.job j USING outcome o
    WHERE j.id = ANY (ARRAY[o.id]) AND j.token = o.token
      AND (o.kind IN ('done', 'dead', 'cancelled') OR (o.id, o.token) IN (SELECT id, token FROM stopped))
      AND (SELECT count(*) FROM held) >= 0
    RETURNING j.id, j.queue, j.task, j.payload, j.priority, j.key, j.hold, j.hold_seconds,
              j.tries + (o.kind = 'retry')::int AS tries, j.crashes, j.progress, j.worker, j.leased_at, j.enqueued_at,
              CASE WHEN o.kind IN ('done', 'dead', 'cancelled') THEN o.kind ELSE 'cancelled' END AS state,
              CASE WHEN o.kind IN ('done', 'dead') OR o.kind = 'cancelled' AND o.body <> '' THEN o.body
                   ELSE coalesce(j.cancel_reason, o.body) END AS body,
              CASE WHEN o.kind IN ('done', 'release') THEN j.history
                   ELSE distq.remember(j.history, %(attempts)s, o.kind, j.worker, j.leased_at, o.ran, o.body)
              END AS history
), kept AS (
    INSERT INTO distq.finished (id, queue, task, payload, state, priority, key, hold, hold_seconds, tries, crashes, body,
                                history, progress, worker, leased_at, enqueued_at, expires_at)
    SELECT id, queue, task, CASE WHEN state <> 'done' THEN payload END, state::distq.job_state, priority, key, hold,
           hold_seconds, tries, crashes, body, history, progress, worker, leased_at, enqueued_at,
           CASE WHEN state = 'done' THEN now() + %(keep)s * interval '1 second' END
    FROM ended
    WHERE NOT EXISTS (SELECT FROM distq.finished f WHERE f.id = ended.id OFFSET 0)
), returned AS (
    UPDATE distq.job j
    SET state = CASE WHEN o.delay > 0 THEN 'scheduled' ELSE 'ready' END::distq.job_state,
        ready_at = CASE WHEN o.delay > 0 THEN now() + o.delay * interval '1 second'
                        WHEN o.kind = 'release' THEN j.ready_at
                        ELSE now() - j.priority * %(ageing)s * interval '1 second' END,
        tries = j.tries + (o.kind = 'retry')::int,
        error = CASE WHEN o.body = '' THEN j.error ELSE o.body END,
        history = CASE WHEN o.kind = 'release' THEN j.history
                       ELSE distq.remember(j.history, %(attempts)s, o.kind, j.worker, j.leased_at, o.ran, o.body) END,
        token = NULL, worker = NULL, leased_until = NULL
    FROM outcome o
    WHERE j.id = ANY (ARRAY[o.id]) AND j.token = o.token AND o.kind IN ('retry', 'snooze', 'release')
      AND (o.id, o.token) NOT IN (SELECT id, token FROM stopped)
      AND (SELECT count(*) FROM held) >= 0
    RETURNING j.id, j.queue, j.state, j.ready_at
), told AS MATERIALIZED (
    SELECT distq.tell_ended(ARRAY(SELECT id FROM ended), %(ended_channel)s) WHERE EXISTS (SELECT FROM distq.watch)
), woken AS MATERIALIZED (
    SELECT distq.tell_ready(%(channel)s, queue, min(ready_at)) FROM returned WHERE state = 'ready' GROUP BY queue
)
SELECT id FROM ended WHERE (SELECT count(*) FROM told) >= 0
UNION ALL
SELECT id FROM returned WHERE (SELECT count(*) FROM woken) >= 0
