-- Take the jobs that have been ready longest; alone = '1': a suspect first, and by itself.
-- KEYS  jobs (hash), ready (list), suspect (list), leased (zset), tokens (hash), tries (hash), crashes (hash)
-- ARGV  limit, ttl in ms, token, alone
-- Returns four values a job: id, task "\n" payload, tries, crashes.
local jobs, ready, suspect, leased, tokens, tries, crashes = unpack(KEYS)
local limit, ttl, token, alone = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4] == '1'

local ids = alone and redis.call('LPOP', suspect, 1) or redis.call('LPOP', ready, limit)
if not ids then return {} end

local clock = redis.call('TIME')
local until_ms = clock[1] * 1000 + math.floor(clock[2] / 1000) + ttl
local expiry, fence = {}, {}
for n, id in ipairs(ids) do
  expiry[2 * n - 1], expiry[2 * n] = until_ms, id
  fence[2 * n - 1], fence[2 * n] = id, token
end
redis.call('ZADD', leased, unpack(expiry))
redis.call('HSET', tokens, unpack(fence))

local messages = redis.call('HMGET', jobs, unpack(ids))
local failed = redis.call('HMGET', tries, unpack(ids))
local crashed = redis.call('HMGET', crashes, unpack(ids))
local leases = {}
for n, id in ipairs(ids) do
  if messages[n] then
    for _, value in ipairs({ id, messages[n], failed[n] or '0', crashed[n] or '0' }) do
      leases[#leases + 1] = value
    end
  else -- the server evicted the job: forget its id too
    redis.call('ZREM', leased, id)
    redis.call('HDEL', tokens, id)
  end
end
return leases
