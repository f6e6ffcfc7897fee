-- How many attempts all worker processes have ended, those that are gone and those that are there.
-- KEYS  tally (hash), vitals (hash)
-- Returns two values for each queue and kind of outcome: both with a space between, the number.
local past, totals, answer = call('HGETALL', key.tally), {}, {}
for i = 1, #past, 2 do totals[past[i]] = tonumber(past[i + 1]) end
for _, value in ipairs(call('HVALS', key.vitals)) do
  for what, number in string.gmatch(string.match(value, '^[^\n]*'), '(%S+ %S+) (%d+)') do
    totals[what] = (totals[what] or 0) + number
  end
end
for what, number in pairs(totals) do
  answer[#answer + 1] = what
  answer[#answer + 1] = text(number)
end
return answer
