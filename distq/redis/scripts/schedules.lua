-- The schedules of a queue; those of the names that are not there are added, last fired now.
-- KEYS  schedules (hash)
-- ARGV  the names
-- Returns the time, and a list of two values a schedule: name, what is known of it.
for n, known in ipairs(of_each(key.schedules, ARGV)) do
  if not known then call('HSET', key.schedules, ARGV[n], clock[1] .. ' 0') end
end
return { text(now), call('HGETALL', key.schedules) }
