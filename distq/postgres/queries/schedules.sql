-- The schedules of a queue; those of the names that are not there are added.
WITH known AS MATERIALIZED (
    SELECT name, last, paused FROM distq.schedule WHERE queue = %(queue)s
), added AS (
    INSERT INTO distq.schedule AS s (queue, name, last)
    SELECT %(queue)s, n.name, floor(extract(epoch FROM statement_timestamp()))
    FROM (SELECT DISTINCT unnest(%(names)s::text[]) AS name) n
    WHERE n.name NOT IN (SELECT name FROM known)
    ORDER BY n.name
    -- Another has added it since our snapshot: this shows its row.
    ON CONFLICT (queue, name) DO UPDATE SET last = s.last
    RETURNING name, last, paused
)
SELECT extract(epoch FROM statement_timestamp())::float8, s.name, s.last, s.paused
FROM (VALUES (true)) AS always LEFT JOIN (SELECT * FROM known UNION ALL SELECT * FROM added) s ON true
