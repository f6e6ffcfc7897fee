-- Prolong the leases whose token is still the job's.
-- KEYS  leased (zset), tokens (hash)
-- ARGV  ttl in ms, then two values a lease: id, token
-- Returns the ids that are still ours.
local leased, tokens = unpack(KEYS)
local ids = {}
for i = 2, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
redis.call('HDEL', tokens, '') -- a script that has written may go on when memory is full
local held = redis.call('HMGET', tokens, unpack(ids))

local clock = redis.call('TIME')
local until_ms = clock[1] * 1000 + math.floor(clock[2] / 1000) + tonumber(ARGV[1])
local ours, expiry = {}, {}
for n, id in ipairs(ids) do
  if held[n] == ARGV[2 * n + 1] then
    ours[#ours + 1] = id
    expiry[#expiry + 1] = until_ms
    expiry[#expiry + 1] = id
  end
end
if #ours > 0 then redis.call('ZADD', leased, 'XX', unpack(expiry)) end
return ours
