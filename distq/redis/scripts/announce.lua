-- Note that a worker process is alive. Of ten entries, taken at random, those older than a day are dropped.
-- KEYS  workers (hash)
-- ARGV  name, what is known of it
local seen = call('HRANDFIELD', key.workers, 10, 'WITHVALUES')
for i = 1, #seen, 2 do
  if tonumber(string.match(seen[i + 1], '^%d+')) < now - 86400e6 then call('HDEL', key.workers, seen[i]) end
end
return call('HSET', key.workers, ARGV[1], text(now) .. ' ' .. ARGV[2])
