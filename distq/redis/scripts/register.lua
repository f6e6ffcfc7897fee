-- Note the names of queues.
-- KEYS  queues (set)
-- ARGV  the names
return call('SADD', key.queues, unpack(ARGV))
