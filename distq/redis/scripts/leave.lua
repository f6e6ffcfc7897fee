-- Note that a worker process has ended.
-- KEYS  workers (hash)
-- ARGV  name
return call('HDEL', key.workers, ARGV[1])
