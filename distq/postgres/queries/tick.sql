-- One maintenance pass over all queues, skipped where another worker has just made one.
WITH pulse AS MATERIALIZED (
    SELECT ticked_at FROM distq.pulse
    WHERE ticked_at < now() - interval '0.25 second' OR ticked_at > now() OR %(eager)s
    FOR UPDATE SKIP LOCKED
), beaten AS (
    UPDATE distq.pulse SET ticked_at = now() WHERE EXISTS (SELECT FROM pulse)
), outage AS MATERIALIZED (
    SELECT ticked_at < now() - %(outage)s * interval '1 second' AS grace FROM pulse
), due AS MATERIALIZED (
    SELECT id FROM distq.job
    WHERE state = 'scheduled' AND ready_at <= now() AND EXISTS (SELECT FROM pulse)
    ORDER BY ready_at LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), promoted AS (
    UPDATE distq.job SET state = 'ready' WHERE id = ANY (ARRAY(SELECT id FROM due)) RETURNING queue
), expired AS MATERIALIZED (
    SELECT id, crashes + 1 AS crashes FROM distq.job
    WHERE state = 'leased' AND leased_until <= now() AND EXISTS (SELECT FROM pulse)
    ORDER BY leased_until LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), spared AS (
    UPDATE distq.job SET leased_until = now() + %(grace)s * interval '1 second'
    WHERE id = ANY (ARRAY(SELECT id FROM expired)) AND (SELECT grace FROM outage)
), buried AS (
    DELETE FROM distq.job j USING expired e
    WHERE j.id = e.id AND e.crashes >= %(budget)s AND NOT (SELECT grace FROM outage)
    RETURNING j.id, j.queue, j.task, j.payload, j.tries, e.crashes, j.enqueued_at
), kept AS (
    INSERT INTO distq.finished (id, queue, task, payload, state, tries, crashes, body, enqueued_at)
    SELECT id, queue, task, payload, 'dead', tries, crashes, %(crashed)s, enqueued_at FROM buried
    ON CONFLICT (id) DO NOTHING
), reclaimed AS (
    UPDATE distq.job j
    SET state = 'ready', crashes = e.crashes, token = NULL, worker = NULL, leased_until = NULL
    FROM expired e
    WHERE j.id = e.id AND e.crashes < %(budget)s AND NOT (SELECT grace FROM outage)
    RETURNING j.queue
), pruned AS (
    DELETE FROM distq.finished WHERE id = ANY (ARRAY(
        SELECT id FROM distq.finished
        WHERE expires_at <= now() AND EXISTS (SELECT FROM pulse)
        ORDER BY expires_at LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING id
), woken AS MATERIALIZED (
    SELECT pg_notify(%(channel)s, q.queue) FROM (SELECT queue FROM promoted UNION SELECT queue FROM reclaimed) q
)
SELECT (SELECT count(*) FROM promoted), (SELECT count(*) FROM reclaimed), (SELECT count(*) FROM buried),
       (SELECT count(*) FROM pruned),
       (SELECT count(*) FROM pulse)
       * ((SELECT count(*) FROM distq.job WHERE queue = %(queue)s AND state = 'ready' AND crashes > 0)
          + (SELECT count(*) FROM reclaimed WHERE queue = %(queue)s)),
       (SELECT count(*) FROM woken)
