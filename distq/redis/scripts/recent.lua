-- How many jobs ended lately in each state, of the latest ones, and how long ago the first of these did.
-- KEYS  done (zset), dead (zset), cancelled (zset)
-- ARGV  within, at most
-- Returns two values each for done, dead, cancelled.
local answer, most = {}, tonumber(ARGV[2])
for n, set in ipairs({ key.done, key.dead, key.cancelled }) do
  local jobs = math.min(call('ZCOUNT', set, text(now - ARGV[1]), text(now)), most)
  -- Those that the clock, set back, has yet to reach come after them.
  local place = call('ZCOUNT', set, '(' .. text(now), '+inf') + jobs - 1
  local first = jobs > 0 and call('ZRANGE', set, place, place, 'REV', 'WITHSCORES')[2] or now
  answer[2 * n - 1], answer[2 * n] = jobs, text(now - first)
end
return answer
