-- Note that a worker process has ended.
-- KEYS  workers (hash), vitals (hash), tally (hash)
-- ARGV  name, and its last tallies where they are known
-- WITH parting

part(ARGV[1], ARGV[2])
return redis.status_reply('OK')
