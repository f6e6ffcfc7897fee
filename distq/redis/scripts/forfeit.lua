-- Give back what a worker held, but for what it keeps. Only what it had begun is charged, and buried when its budget is spent.
-- KEYS  ready (list), suspect (list), leased (zset), tokens (hash), crashes (hash), errors (hash), dead (zset),
--       wake (channel)
-- ARGV  worker, crash budget, body of a buried job, how many ids it had begun, these, then the ids it keeps
-- Returns how many leases were given back.
local ready, suspect, leased, tokens, crashes, errors, dead, wake = unpack(KEYS)
local worker, budget, crashed = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local begun, kept = {}, {}
for i = 5, #ARGV do
  local group = i < 5 + tonumber(ARGV[4]) and begun or kept
  group[ARGV[i]] = true
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local held = redis.call('HGETALL', tokens)
local count, mine = 0, worker .. '/'
for i = 1, #held, 2 do
  local id = held[i]
  if string.sub(held[i + 1], 1, #mine) == mine and not kept[id] then
    count = count + 1
    redis.call('ZREM', leased, id)
    redis.call('HDEL', tokens, id)
    local charge = begun[id] and redis.call('HINCRBY', crashes, id, 1)
      or tonumber(redis.call('HGET', crashes, id) or '0')
    if charge >= budget then
      redis.call('HSET', errors, id, crashed)
      redis.call('ZADD', dead, now, id)
    else
      redis.call('LPUSH', charge > 0 and suspect or ready, id)
    end
  end
end
if count > 0 then redis.call('PUBLISH', wake, '') end
return count
