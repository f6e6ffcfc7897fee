-- Forget jobs that no worker holds. Who waited leaves its key free; of who has ended the claim runs on.
WITH waiting AS MATERIALIZED (
    SELECT j.id, j.queue, j.key
    FROM unnest(%(ids)s::uuid[], %(queues)s::text[]) AS n (id, queue)
         JOIN distq.job j ON j.id = ANY (ARRAY[n.id]) AND j.queue = n.queue
    WHERE j.state <> 'leased'
    ORDER BY n.id
    FOR UPDATE OF j
), dropped AS (
    DELETE FROM distq.job WHERE id = ANY (ARRAY(SELECT id FROM waiting))
), forgotten AS (
    DELETE FROM distq.finished f USING unnest(%(ids)s::uuid[], %(queues)s::text[]) AS n (id, queue)
    WHERE f.id = ANY (ARRAY[n.id]) AND f.queue = n.queue
    RETURNING f.id, f.queue, f.key, f.hold, f.hold_seconds, f.finished_at, f.expires_at
), orphan AS MATERIALIZED (
    SELECT k.queue, k.key, g.until
    FROM (
        SELECT id, queue, key, '-infinity'::timestamptz AS until FROM waiting
        UNION ALL
        SELECT id, queue, key,
               CASE hold WHEN 'active' THEN finished_at + hold_seconds * interval '1 second' ELSE '-infinity' END
        FROM forgotten
        WHERE hold <> 'window'
    ) g JOIN distq.key k ON k.queue = ANY (ARRAY[g.queue]) AND k.key = g.key AND k.job_id = g.id
    ORDER BY g.queue, g.key
    FOR UPDATE OF k
), orphaned AS (
    UPDATE distq.key k SET until = o.until FROM orphan o WHERE k.queue = ANY (ARRAY[o.queue]) AND k.key = o.key
)
SELECT queue, id FROM waiting
UNION ALL
SELECT queue, id FROM forgotten WHERE expires_at IS NULL OR expires_at > now()
