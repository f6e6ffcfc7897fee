-- Forget a worker process that has ended; its tallies are kept.
SELECT distq.leave(%(name)s, %(tallies)s::jsonb)
