-- Give back what a worker held, but for what it keeps. Only what it had begun is charged, and buried when its
-- budget is spent.
-- KEYS  jobs (hash), ready (zset), suspect (zset), leased (zset), tokens (hash), tries (hash), crashes (hash),
--       errors (hash), cancels (hash), history (hash), keyed (hash), keys (hash), freed (zset), results (hash),
--       dead (zset), cancelled (zset), watched (zset), wake (channel), ended (channel)
-- ARGV  worker, how many ids it had begun, these, then the ids it keeps
-- Returns how many leases were given back.
-- WITH order, keys, ends, finishing, returning

local begun, kept = {}, {}
for i = 3, #ARGV do
  local group = i < 3 + tonumber(ARGV[2]) and begun or kept
  group[ARGV[i]] = true
end

local held, count = call('HGETALL', key.tokens), 0
for i = 1, #held, 2 do
  local id, token = held[i], held[i + 1]
  if holding(token) == ARGV[1] and not kept[id] then
    count = count + 1
    call('ZREM', key.leased, id)
    call('HDEL', key.tokens, id)
    crash(id, token, begun[id])
  end
end
conclude()
return count
