-- One maintenance pass over a queue, skipped where another worker has just made one.
-- KEYS  ready (list), suspect (list), scheduled (zset), leased (zset), tokens (hash), tries (hash),
--       crashes (hash), errors (hash), dead (zset), ended (zset), results (hash), pulse (string), wake (channel)
-- ARGV  limit, grace in ms, outage in ms, crash budget, body of a buried job, eager
-- Returns promoted, reclaimed, buried, pruned, suspects: how many of each.
local ready, suspect, scheduled, leased, tokens, tries, crashes, errors, dead, ended, results, pulse, wake =
  unpack(KEYS)
local limit, grace, longest_gap, budget, crashed, eager =
  ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6] == '1'
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local before = tonumber(redis.call('GET', pulse) or '0')
if now - before < 250 and now >= before and not eager then return { 0, 0, 0, 0, 0 } end
redis.call('HDEL', tokens, '') -- a script that has written may go on when memory is full
redis.call('SET', pulse, now)

local function due(key)
  return redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, limit)
end

local promoted = due(scheduled)
for _, id in ipairs(promoted) do
  redis.call('RPUSH', redis.call('HEXISTS', crashes, id) == 1 and suspect or ready, id)
end
if #promoted > 0 then redis.call('ZREM', scheduled, unpack(promoted)) end

local reclaimed, buried = 0, 0
local outage = now - before > longest_gap
for _, id in ipairs(due(leased)) do
  if outage then
    redis.call('ZADD', leased, now + grace, id)
  else
    redis.call('ZREM', leased, id)
    redis.call('HDEL', tokens, id)
    if redis.call('HINCRBY', crashes, id, 1) >= budget then
      buried = buried + 1
      redis.call('HSET', errors, id, crashed)
      redis.call('ZADD', dead, now, id)
    else
      reclaimed = reclaimed + 1
      redis.call('RPUSH', suspect, id)
    end
  end
end

local expired = due(ended)
if #expired > 0 then
  redis.call('HDEL', results, unpack(expired))
  redis.call('ZREM', ended, unpack(expired))
end
if #promoted + reclaimed > 0 then redis.call('PUBLISH', wake, '') end
return { #promoted, reclaimed, buried, #expired, redis.call('LLEN', suspect) }
