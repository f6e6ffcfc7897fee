-- End the leases whose token is still the job's: move ended jobs out, give the others back.
WITH outcome AS MATERIALIZED (
    SELECT * FROM unnest(%(ids)s::uuid[], %(tokens)s::uuid[], %(kinds)s::text[], %(bodies)s::bytea[], %(delays)s::float8[])
                  AS o (id, token, kind, body, delay)
), ended AS (
    DELETE FROM distq.job j USING outcome o
    WHERE j.id = o.id AND j.token = o.token AND o.kind IN ('done', 'dead')
    RETURNING j.id, j.queue, j.task, j.payload, j.tries, j.crashes, j.enqueued_at, o.kind, o.body
), kept AS (
    INSERT INTO distq.finished (id, queue, task, payload, state, tries, crashes, body, enqueued_at, expires_at)
    SELECT id, queue, task, CASE WHEN kind <> 'done' THEN payload END, kind::distq.job_state, tries, crashes, body,
           enqueued_at, CASE WHEN kind <> 'dead' THEN now() + %(keep)s * interval '1 second' END
    FROM ended
    ON CONFLICT (id) DO NOTHING
), returned AS (
    UPDATE distq.job j
    SET state = CASE WHEN o.delay > 0 THEN 'scheduled' ELSE 'ready' END::distq.job_state,
        ready_at = CASE WHEN o.kind = 'release' THEN j.ready_at ELSE now() + o.delay * interval '1 second' END,
        tries = j.tries + (o.kind = 'retry')::int,
        error = CASE WHEN o.body = '' THEN j.error ELSE o.body END,
        token = NULL, worker = NULL, leased_until = NULL
    FROM outcome o
    WHERE j.id = o.id AND j.token = o.token AND o.kind IN ('retry', 'snooze', 'release')
    RETURNING j.id, j.queue, j.state
), woken AS MATERIALIZED (
    SELECT pg_notify(%(channel)s, r.queue) FROM (SELECT DISTINCT queue FROM returned WHERE state = 'ready') r
)
SELECT id FROM ended
UNION ALL
SELECT id FROM returned WHERE (SELECT count(*) FROM woken) >= 0
