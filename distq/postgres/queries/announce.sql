-- Note that a worker process is alive; forget those that were last seen a day ago.
WITH forgotten AS (
    DELETE FROM distq.worker WHERE name = ANY (ARRAY(
        SELECT name FROM distq.worker WHERE seen_at < now() - interval '1 day' AND name <> %(name)s
        FOR UPDATE SKIP LOCKED
    ))
)
INSERT INTO distq.worker (name, host, pid, queues, tasks)
VALUES (%(name)s, %(host)s, %(pid)s, %(queues)s::text[], %(tasks)s::text[])
ON CONFLICT (name) DO UPDATE
SET host = excluded.host, pid = excluded.pid, queues = excluded.queues, tasks = excluded.tasks, seen_at = now()
RETURNING name
