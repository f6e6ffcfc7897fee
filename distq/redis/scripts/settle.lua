-- End the leases whose token is still the job's: record ended jobs, give the others back.
-- KEYS  jobs (hash), ready (list), suspect (list), scheduled (zset), leased (zset), tokens (hash),
--       tries (hash), crashes (hash), errors (hash), dead (zset), ended (zset), results (hash), wake (channel)
-- ARGV  time to live of results in ms, then five values an outcome, one for each lease: id, token, kind, body,
--       delay in ms
-- Returns the ids that were still ours.
local jobs, ready, suspect, scheduled, leased, tokens, tries, crashes, errors, dead, ended, results, wake =
  unpack(KEYS)
local keep = tonumber(ARGV[1])
local ids = {}
for i = 2, #ARGV, 5 do ids[#ids + 1] = ARGV[i] end
redis.call('HDEL', tokens, '') -- a script that has written may go on when memory is full
local held = redis.call('HMGET', tokens, unpack(ids))
local failed = redis.call('HMGET', tries, unpack(ids))
local crashed = redis.call('HMGET', crashes, unpack(ids))
local messages = redis.call('HMGET', jobs, unpack(ids))
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local ours, records, expiry, gone, charged = {}, {}, {}, {}, {}

local function record(n, id, body)
  local task = string.match(messages[n], '^[^\n]*')
  gone[#gone + 1] = id
  expiry[#expiry + 1] = now + keep
  expiry[#expiry + 1] = id
  records[#records + 1] = id
  records[#records + 1] =
    'done\n' .. task .. '\n' .. (failed[n] or 0) .. '\n' .. (crashed[n] or 0) .. '\n' .. body
  if failed[n] or crashed[n] then charged[#charged + 1] = id end
end

local function give_back(n, id, kind, delay)
  if kind == 'retry' then redis.call('HINCRBY', tries, id, 1) end
  if delay > 0 then return redis.call('ZADD', scheduled, now + delay, id) end
  local list = crashed[n] and suspect or ready
  local length = redis.call(kind == 'release' and 'LPUSH' or 'RPUSH', list, id)
  if length == 1 then redis.call('PUBLISH', wake, '') end
end

-- From the last to the first, so that released jobs return to the front in their order.
for n = #ids, 1, -1 do
  local at = 5 * n - 3
  local id, kind, body = ids[n], ARGV[at + 2], ARGV[at + 3]
  if held[n] and held[n] == ARGV[at + 1] then
    ours[#ours + 1] = id
    if kind == 'done' then
      record(n, id, body)
    else
      if body ~= '' then redis.call('HSET', errors, id, body) end
      if kind == 'dead' then
        redis.call('ZADD', dead, now, id)
      else
        give_back(n, id, kind, tonumber(ARGV[at + 4]))
      end
    end
  end
end

if #ours > 0 then
  redis.call('ZREM', leased, unpack(ours))
  redis.call('HDEL', tokens, unpack(ours))
end
if #gone > 0 then
  redis.call('HDEL', jobs, unpack(gone))
  redis.call('HSET', results, unpack(records))
  redis.call('ZADD', ended, unpack(expiry))
end
for _, key in ipairs(#charged > 0 and { tries, crashes, errors } or {}) do
  redis.call('HDEL', key, unpack(charged))
end
return ours
