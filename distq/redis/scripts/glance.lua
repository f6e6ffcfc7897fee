-- Whether a queue has anything, and whether it is paused.
-- KEYS  jobs (hash), results (hash), paused (string)
-- Returns both, as 1 or 0.
return { call('EXISTS', key.jobs, key.results) > 0 and 1 or 0, call('EXISTS', key.paused) }
