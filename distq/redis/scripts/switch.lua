-- Pause or resume a schedule.
-- KEYS  schedules (hash)
-- ARGV  name, '1' to pause
-- Returns whether there is one, as 1 or 0.
local known = call('HGET', key.schedules, ARGV[1])
if not known then return 0 end
call('HSET', key.schedules, ARGV[1], string.match(known, '^%-?%d+ ') .. ARGV[2])
return 1
