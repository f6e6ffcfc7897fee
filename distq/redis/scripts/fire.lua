-- Move a schedule from one tick to a later one, and add the job of it, if any.
-- KEYS  schedules (hash), jobs (hash), ready (zset), suspect (zset), scheduled (zset), arrival (string),
--       priority (hash), keyed (hash), keys (hash), freed (zset), results (hash), cancelled (zset), tries (hash),
--       crashes (hash), errors (hash), cancels (hash), watched (zset), wake (channel), ended (channel)
-- ARGV  name, the last tick, the new one, then the job as `add` says
-- Returns 1; 0 where it is not at the last tick, is paused, or the new one is yet to come.
-- WITH arrival, order, adding

local tick = tonumber(ARGV[3])
local known = call('HGET', key.schedules, ARGV[1])
if known ~= ARGV[2] .. ' 0' or tick <= tonumber(ARGV[2]) or tick * 1e6 > now then return 0 end
call('HSET', key.schedules, ARGV[1], ARGV[3] .. ' 0')
if ARGV[4] ~= '0' then add(4) end
return 1
