-- Let the ends of jobs be heard. Asked again and again while somebody waits, so a row is written anew only when it is
-- old.
WITH live AS MATERIALIZED (
    SELECT j.id, j.queue
    FROM unnest(%(ids)s::uuid[], %(queues)s::text[]) AS n (id, queue)
         JOIN distq.job j ON j.id = ANY (ARRAY[n.id]) AND j.queue = n.queue
    ORDER BY n.id
), watched AS (
    INSERT INTO distq.watch AS w (id, queue) SELECT id, queue FROM live
    ON CONFLICT (id) DO UPDATE SET since = now() WHERE w.since < now() - interval '10 minutes'
)
SELECT queue, id FROM live
