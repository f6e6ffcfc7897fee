-- Leases that end without a result. After order, keys, ends and finishing. Keys: ready (zset), suspect (zset),
-- dead (zset), cancelled (zset), crashes (hash), cancels (hash), history (hash).

-- Where jobs go: rank, id, rank, id; or { id, body, token }.
local ready, suspect, dead, cancelled = {}, {}, {}, {}

local function give_back(id, place, charged)
  local ranked = charged and suspect or ready
  ranked[#ranked + 1] = place
  ranked[#ranked + 1] = id
end

-- Take them there.
local function conclude()
  finish('dead', key.dead, dead)
  finish('cancelled', key.cancelled, cancelled)
  admit(key.ready, ready)
  admit(key.suspect, suspect)
end

-- The worker that has a token, and the rank that its job had.
local function holding(token)
  local worker, place = string.match(token, '^(.*)/%x+/%d+ (%S+)$')
  return worker, tonumber(place)
end

-- Add an attempt to a job's history, which keeps the latest ones.
local function remember(id, kind, token, ran, error)
  local past = call('HGET', key.history, id) or ''
  local at, count, second = 1, 0, 1
  while at <= #past do
    local size, body = string.match(past, '^(%d+)[^\n]*\n()', at)
    at, count = body + size, count + 1
    if count == 1 then second = at end
  end
  if count >= HISTORY then past = string.sub(past, second) end
  local head = table.concat({ #error, text(now), ran, kind, token }, ' ')
  call('HSET', key.history, id, past .. head .. '\n' .. error)
end

-- End a lease whose worker is gone. Returns whether that buries the job.
local function crash(id, token, charge)
  if charge then remember(id, 'crash', token, 0, '') end
  local crashes = tonumber(charge and call('HINCRBY', key.crashes, id, 1) or call('HGET', key.crashes, id) or 0)
  local reason = call('HGET', key.cancels, id)
  if reason then
    cancelled[#cancelled + 1] = { id, reason, token }
  elseif crashes >= BUDGET then
    dead[#dead + 1] = { id, CRASHED, token }
    return true
  else
    local _, place = holding(token)
    give_back(id, place, crashes > 0)
  end
  return false
end
