-- The names of queues that were ever used.
-- KEYS  queues (set)
return call('SMEMBERS', key.queues)
