-- The queues that have jobs or workers, or are paused. From one queue to the next by index, however many jobs each has.
WITH RECURSIVE ready AS (
    SELECT min(queue) AS queue FROM distq.job WHERE state = 'ready' AND crashes = 0
    UNION ALL
    SELECT (SELECT min(queue) FROM distq.job WHERE state = 'ready' AND crashes = 0 AND queue > r.queue)
    FROM ready r WHERE r.queue IS NOT NULL
), suspect AS (
    SELECT min(queue) AS queue FROM distq.job WHERE state = 'ready' AND crashes > 0
    UNION ALL
    SELECT (SELECT min(queue) FROM distq.job WHERE state = 'ready' AND crashes > 0 AND queue > r.queue)
    FROM suspect r WHERE r.queue IS NOT NULL
), scheduled AS (
    SELECT min(queue) AS queue FROM distq.job WHERE state = 'scheduled'
    UNION ALL
    SELECT (SELECT min(queue) FROM distq.job WHERE state = 'scheduled' AND queue > r.queue)
    FROM scheduled r WHERE r.queue IS NOT NULL
), finished AS (
    SELECT min(queue) AS queue FROM distq.finished
    UNION ALL
    SELECT (SELECT min(queue) FROM distq.finished WHERE queue > r.queue) FROM finished r WHERE r.queue IS NOT NULL
), known AS (
    SELECT queue FROM ready
    UNION SELECT queue FROM suspect
    UNION SELECT queue FROM scheduled
    UNION SELECT queue FROM distq.job WHERE state = 'leased'
    UNION SELECT queue FROM finished
    UNION SELECT unnest(queues) FROM distq.worker
    UNION SELECT name FROM distq.queue WHERE paused
)
SELECT k.queue, coalesce(q.paused, false)
FROM known k LEFT JOIN distq.queue q ON q.name = k.queue
WHERE k.queue IS NOT NULL
ORDER BY k.queue
