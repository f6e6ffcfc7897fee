-- Note that a worker process is alive; forget those that were last seen a day ago. Its own row is locked first, and of
-- the others none that it would have to wait for.
WITH announced AS (
    INSERT INTO distq.worker (name, host, pid, queues, tasks, vitals, tallies)
    VALUES (%(name)s, %(host)s, %(pid)s, %(queues)s::text[], %(tasks)s::text[], %(vitals)s, %(tallies)s::jsonb)
    ON CONFLICT (name) DO UPDATE
    SET host = excluded.host, pid = excluded.pid, queues = excluded.queues, tasks = excluded.tasks,
        vitals = excluded.vitals, tallies = excluded.tallies, seen_at = now()
    RETURNING name
), forgotten AS (
    DELETE FROM distq.worker WHERE name = ANY (ARRAY(
        SELECT name FROM distq.worker
        WHERE seen_at < now() - interval '1 day' AND name <> %(name)s AND (SELECT count(*) FROM announced) >= 0
        FOR UPDATE SKIP LOCKED
    ))
)
SELECT name FROM announced
