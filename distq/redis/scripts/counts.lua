-- How many jobs of a queue are in each state. Expired records do not count, of the thousand oldest settles.
-- KEYS  ready (zset), suspect (zset), scheduled (zset), leased (zset), done (zset), dead (zset), cancelled (zset),
--       expiry (zset)
-- Returns ready, scheduled, leased, done, dead, cancelled.
local done = call('ZCARD', key.done)
for _, ended in ipairs(call('ZRANGEBYSCORE', key.expiry, '-inf', now, 'LIMIT', 0, 1000)) do
  done = done - call('ZCOUNT', key.done, ended, ended)
end
return {
  call('ZCARD', key.ready) + call('ZCARD', key.suspect),
  call('ZCARD', key.scheduled),
  call('ZCARD', key.leased),
  done,
  call('ZCARD', key.dead),
  call('ZCARD', key.cancelled),
}
