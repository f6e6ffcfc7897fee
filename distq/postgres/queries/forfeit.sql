-- Give back what a worker held, but for what it keeps. Only what it had begun is charged, and buried when its budget is spent.
WITH held AS MATERIALIZED (
    SELECT id, crashes + (id = ANY (%(begun)s::uuid[]))::int AS crashes FROM distq.job
    WHERE state = 'leased' AND queue = %(queue)s AND worker = %(worker)s AND id <> ALL (%(kept)s::uuid[])
    FOR UPDATE SKIP LOCKED
), buried AS (
    DELETE FROM distq.job j USING held h
    WHERE j.id = h.id AND h.crashes >= %(budget)s
    RETURNING j.id, j.queue, j.task, j.payload, j.tries, h.crashes, j.enqueued_at
), kept AS (
    INSERT INTO distq.finished (id, queue, task, payload, state, tries, crashes, body, enqueued_at)
    SELECT id, queue, task, payload, 'dead', tries, crashes, %(crashed)s, enqueued_at FROM buried
    ON CONFLICT (id) DO NOTHING
), returned AS (
    UPDATE distq.job j
    SET state = 'ready', crashes = h.crashes, token = NULL, worker = NULL, leased_until = NULL
    FROM held h
    WHERE j.id = h.id AND h.crashes < %(budget)s
    RETURNING j.id
), woken AS MATERIALIZED (
    SELECT pg_notify(%(channel)s, %(queue)s::text) WHERE EXISTS (SELECT FROM returned)
)
SELECT (SELECT count(*) FROM held), (SELECT count(*) FROM woken)
