-- The worker processes that were announced lately.
-- KEYS  workers (hash)
-- ARGV  within
-- Returns three values for each: name, how long ago, what is known of it.
local entries, alive = call('HGETALL', key.workers), {}
for i = 1, #entries, 2 do
  local seen, known = string.match(entries[i + 1], '^(%d+) (.*)$')
  if now - seen <= tonumber(ARGV[1]) then
    for _, value in ipairs({ entries[i], text(now - seen), known }) do alive[#alive + 1] = value end
  end
end
return alive
