-- Note that a worker process is alive. Of ten entries, taken at random, those older than a day are dropped, and of as
-- many with vitals those whose process an older distq has dropped.
-- KEYS  workers (hash), vitals (hash), tally (hash)
-- ARGV  name, what is known of it, its tallies "\n" its vitals
-- WITH parting

for _, hash in ipairs({ key.workers, key.vitals }) do
  for _, name in ipairs(call('HRANDFIELD', hash, 10)) do
    local seen = string.match(call('HGET', key.workers, name) or '', '^%d+')
    if name ~= ARGV[1] and tonumber(seen or 0) < now - 86400e6 then part(name) end
  end
end
call('HSET', key.vitals, ARGV[1], ARGV[3])
return call('HSET', key.workers, ARGV[1], text(now) .. ' ' .. ARGV[2])
