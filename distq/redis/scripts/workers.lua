-- The worker processes that were announced lately.
-- KEYS  workers (hash), vitals (hash)
-- ARGV  within, '1' for their vitals too
-- Returns four values for each: name, how long ago, what is known of it, its tallies "\n" its vitals, or ''.
local entries, alive = call('HGETALL', key.workers), {}
for i = 1, #entries, 2 do
  local seen, known = string.match(entries[i + 1], '^(%d+) (.*)$')
  if now - seen <= tonumber(ARGV[1]) then
    local vitals = ARGV[2] == '1' and call('HGET', key.vitals, entries[i]) or ''
    for _, value in ipairs({ entries[i], text(now - seen), known, vitals }) do alive[#alive + 1] = value end
  end
end
return alive
