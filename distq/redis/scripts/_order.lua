-- The order of leasing. Keys: wake (channel).

local function rank(moment, priority) return moment - (priority or 0) * AGEING end

-- Let jobs be leased, given as a list of rank, id, rank, id: from `ready`, or alone from `suspect`.
local function admit(set, ranked)
  if #ranked == 0 then return end
  local waiting = call('ZCARD', set)
  for i = 1, #ranked, 2000 do call('ZADD', set, unpack(ranked, i, math.min(i + 1999, #ranked))) end
  if waiting == 0 then call('PUBLISH', key.wake, '') end
end
