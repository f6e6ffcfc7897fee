-- Cancel the jobs that wait, ask those that run to end, and wake their workers.
WITH asked AS MATERIALIZED (
    SELECT j.id, j.queue, j.state, j.worker
    FROM unnest(%(ids)s::uuid[], %(queues)s::text[]) AS n (id, queue)
         JOIN distq.job j ON j.id = ANY (ARRAY[n.id]) AND j.queue = n.queue
    ORDER BY n.id
    FOR UPDATE OF j
), running AS (
    UPDATE distq.job SET cancel_reason = %(reason)s
    WHERE id = ANY (ARRAY(SELECT id FROM asked WHERE state = 'leased'))
), cancelled AS (
    DELETE FROM distq.job WHERE id = ANY (ARRAY(SELECT id FROM asked WHERE state <> 'leased')) RETURNING *
), ended AS (
    INSERT INTO distq.finished (id, queue, task, payload, state, priority, key, hold, hold_seconds, tries, crashes, body,
                                history, progress, enqueued_at, finished_at)
    SELECT id, queue, task, payload, 'cancelled', priority, key, hold, hold_seconds, tries, crashes, %(reason)s,
           history, progress, enqueued_at, statement_timestamp()
    FROM cancelled
    ON CONFLICT (id) DO NOTHING
), told AS MATERIALIZED (
    SELECT distq.tell_ended(ARRAY(SELECT id FROM cancelled), %(ended_channel)s) WHERE EXISTS (SELECT FROM distq.watch)
), woken AS MATERIALIZED (
    SELECT pg_notify(%(channel)s, '!' || w.worker) FROM (SELECT DISTINCT worker FROM asked WHERE state = 'leased') w
)
SELECT queue, id, state = 'leased' FROM asked WHERE (SELECT count(*) FROM told) + (SELECT count(*) FROM woken) >= 0
