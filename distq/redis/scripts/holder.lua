-- The job that claimed a key last, or nil.
-- KEYS  keys (hash)
-- ARGV  the key
return call('HGET', key.keys, ARGV[1])
