-- The queues that have jobs or workers, or are paused. From one queue to the next by index, however many jobs each has.
-- No ended job is waiting, but the index says so.
WITH RECURSIVE ready AS (
    (SELECT queue FROM distq.job WHERE state = 'ready' AND crashes = 0 ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT queue FROM distq.job WHERE state = 'ready' AND crashes = 0 AND queue > r.queue ORDER BY queue LIMIT 1)
    FROM ready r WHERE r.queue IS NOT NULL
), suspect AS (
    (SELECT queue FROM distq.job WHERE state = 'ready' AND crashes > 0 ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT queue FROM distq.job WHERE state = 'ready' AND crashes > 0 AND queue > r.queue ORDER BY queue LIMIT 1)
    FROM suspect r WHERE r.queue IS NOT NULL
), scheduled AS (
    (SELECT queue FROM distq.job WHERE state = 'scheduled' ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT queue FROM distq.job WHERE state = 'scheduled' AND queue > r.queue ORDER BY queue LIMIT 1)
    FROM scheduled r WHERE r.queue IS NOT NULL
), finished AS (
    (SELECT queue FROM distq.finished WHERE state <> 'waiting' ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT queue FROM distq.finished WHERE state <> 'waiting' AND queue > r.queue ORDER BY queue LIMIT 1)
    FROM finished r WHERE r.queue IS NOT NULL
), known AS (
    SELECT queue FROM ready
    UNION SELECT queue FROM suspect
    UNION SELECT queue FROM scheduled
    UNION SELECT queue FROM distq.job WHERE state = 'leased'
    UNION SELECT queue FROM finished
    UNION SELECT unnest(queues) FROM distq.worker WHERE seen_at >= now() - %(alive)s * interval '1 second'
    UNION SELECT name FROM distq.queue WHERE paused
)
SELECT k.queue, coalesce(q.paused, false)
FROM known k LEFT JOIN distq.queue q ON q.name = k.queue
WHERE k.queue IS NOT NULL
ORDER BY k.queue
