-- Let the ends of jobs be told.
-- KEYS  watched (zset)
-- ARGV  the ids
local watched = {}
for n, id in ipairs(ARGV) do
  watched[2 * n - 1], watched[2 * n] = now, id
end
return call('ZADD', key.watched, unpack(watched))
