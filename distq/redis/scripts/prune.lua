-- Forget the oldest of the jobs that ended in a state: those that ended long ago, or are many.
-- KEYS  as in remove.lua: jobs (hash), ready (zset), suspect (zset), scheduled (zset), leased (zset), tokens (hash),
--       tries (hash), crashes (hash), errors (hash), priority (hash), cancels (hash), history (hash),
--       progress (hash), keyed (hash), keys (hash), freed (zset), results (hash), done (zset), expiry (zset),
--       dead (zset), cancelled (zset), watched (zset)
-- ARGV  state, older than, beyond how many, limit
-- Returns how many were forgotten.
-- WITH keys, forgetting

local set = ({ done = key.done, dead = key.dead, cancelled = key.cancelled })[ARGV[1]]
local older = text(now - ARGV[2])
local surplus = math.max(call('ZCARD', set) - ARGV[3], call('ZCOUNT', set, '-inf', '(' .. older))
local count = math.min(surplus, ARGV[4])
if count < 1 then return 0 end
local ids = call('ZRANGE', set, 0, count - 1)
if set == key.done then forget_done(ids) else forget(ids) end
return #ids
