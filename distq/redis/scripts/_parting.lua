-- Worker processes that are gone. Keys: workers (hash), vitals (hash), tally (hash).

-- Forget a process, and add its tallies to those of the past: the given ones, else those that it announced. Whoever
-- comes second finds nothing.
local function part(name, tallies)
  local announced = call('HGET', key.vitals, name)
  if call('HDEL', key.workers, name) + call('HDEL', key.vitals, name) == 0 then return end
  tallies = tallies or string.match(announced or '', '^[^\n]*')
  for what, number in string.gmatch(tallies, '(%S+ %S+) (%d+)') do call('HINCRBY', key.tally, what, number) end
end
