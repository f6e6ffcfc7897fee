-- Pause or resume a queue; wake its workers where it is resumed.
WITH switched AS (
    INSERT INTO distq.queue (name, paused) VALUES (%(queue)s, %(paused)s)
    ON CONFLICT (name) DO UPDATE SET paused = excluded.paused
    RETURNING name, paused
)
SELECT pg_notify(%(channel)s, name) FROM switched WHERE NOT paused
