-- How many jobs of a queue are in each state; expired records do not count.
-- KEYS  ready (list), suspect (list), scheduled (zset), leased (zset), dead (zset), ended (zset)
-- Returns ready, scheduled, leased, dead, done.
local ready, suspect, scheduled, leased, dead, ended = unpack(KEYS)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
return {
  redis.call('LLEN', ready) + redis.call('LLEN', suspect),
  redis.call('ZCARD', scheduled),
  redis.call('ZCARD', leased),
  redis.call('ZCARD', dead),
  redis.call('ZCOUNT', ended, '(' .. now, '+inf'),
}
