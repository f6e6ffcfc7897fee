-- Add jobs that are not known yet.
-- KEYS  jobs (hash), ready (list), scheduled (zset), results (hash), wake (channel)
-- ARGV  then three values a job: id, task "\n" payload, delay in ms
-- Returns the ids that were added.
local jobs, ready, scheduled, results, wake = unpack(KEYS)
local ids = {}
for i = 1, #ARGV, 3 do ids[#ids + 1] = ARGV[i] end
local waiting = redis.call('HMGET', jobs, unpack(ids))
local finished = redis.call('HMGET', results, unpack(ids))

local added, messages, now_ready, later = {}, {}, {}, {}
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local seen = {}
for n, id in ipairs(ids) do
  if not waiting[n] and not finished[n] and not seen[id] then
    seen[id] = true
    added[#added + 1] = id
    messages[#messages + 1] = id
    messages[#messages + 1] = ARGV[3 * n - 1]
    local delay = tonumber(ARGV[3 * n])
    if delay > 0 then
      later[#later + 1] = now + delay
      later[#later + 1] = id
    else
      now_ready[#now_ready + 1] = id
    end
  end
end

if #messages > 0 then redis.call('HSET', jobs, unpack(messages)) end
if #later > 0 then redis.call('ZADD', scheduled, unpack(later)) end
if #now_ready > 0 and redis.call('RPUSH', ready, unpack(now_ready)) == #now_ready then
  redis.call('PUBLISH', wake, '')
end
return added
