-- Make dead and cancelled jobs ready again, but for those whose key is another's now.
-- KEYS  jobs (hash), ready (zset), arrival (string), priority (hash), errors (hash),
--       progress (hash), keyed (hash), keys (hash), freed (zset), results (hash), dead (zset), cancelled (zset),
--       wake (channel)
-- ARGV  the ids, each once
-- Returns the ids that were made ready.
-- WITH arrival, order, keys

local dead, cancelled = scores(key.dead, ARGV), scores(key.cancelled, ARGV)
local keyed, priority = of_each(key.keyed, ARGV), of_each(key.priority, ARGV)

local function claim(id, value)
  local hold, seconds, name = unique(value or '')
  if not hold or hold == 'window' then return true end
  if (holder(name) or id) ~= id then return false end
  take(name, id, hold, seconds)
  return true
end

local replayed, ranked, moment = {}, {}, moments(#ARGV)
for n, id in ipairs(ARGV) do
  if (dead[n] or cancelled[n]) and call('HEXISTS', key.jobs, id) == 1 and claim(id, keyed[n]) then
    local result = call('HGET', key.results, id)
    call('HSET', key.errors, id, string.match(result, '^[^\n]*\n\n\n[^\n]*\n(.*)$'))
    replayed[#replayed + 1] = id
    ranked[#ranked + 1] = rank(moment + n - 1, priority[n])
    ranked[#ranked + 1] = id
  end
end
drop('ZREM', { key.dead, key.cancelled }, replayed)
drop('HDEL', { key.results, key.progress }, replayed)
admit(key.ready, ranked)
return replayed
