-- Pause or resume a schedule.
UPDATE distq.schedule SET paused = %(paused)s WHERE queue = %(queue)s AND name = %(name)s RETURNING name
