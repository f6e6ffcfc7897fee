-- Take the jobs that are first in the order; an idle worker takes a suspect first, and by itself. None of a paused queue.
-- Of jobs without crashes none is looked for before `since`, a moment in seconds. The array keeps the planner on the primary key.
WITH unsynced AS MATERIALIZED (
    -- Nobody waits for the disk: a crash that undoes a lease makes a ready job of it again, and its token void.
    SELECT set_config('synchronous_commit', 'off', true)
), paused AS MATERIALIZED (
    SELECT FROM distq.queue WHERE name = %(queue)s AND paused
), suspect AS MATERIALIZED (
    SELECT id FROM distq.job
    WHERE %(alone)s AND queue = %(queue)s AND state = 'ready' AND crashes > 0 AND NOT EXISTS (SELECT FROM paused)
    ORDER BY ready_at, id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
), candidate AS MATERIALIZED (
    SELECT id FROM distq.job
    WHERE queue = %(queue)s AND state = 'ready' AND crashes = 0 AND ready_at >= to_timestamp(%(since)s)
          AND NOT EXISTS (SELECT FROM paused)
    ORDER BY ready_at, id
    LIMIT CASE WHEN EXISTS (SELECT FROM suspect) THEN 0 ELSE %(limit)s END
    FOR UPDATE SKIP LOCKED
), leased AS (
    UPDATE distq.job
    SET state = 'leased', token = %(token)s, worker = %(worker)s, leased_at = now(),
        leased_until = now() + %(ttl)s * interval '1 second'
    WHERE id = ANY (ARRAY(SELECT id FROM suspect UNION ALL SELECT id FROM candidate))
    RETURNING id, task, payload, tries, crashes, ready_at, extract(epoch FROM ready_at)::float8 AS place
)
SELECT id, task, payload, tries, crashes, (SELECT extract(epoch FROM now())::float8) - place, place FROM leased
WHERE (SELECT count(*) FROM unsynced) > 0
ORDER BY ready_at, id
