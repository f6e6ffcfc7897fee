-- One job, wherever it is.
-- KEYS  jobs (hash), scheduled (zset), leased (zset), tries (hash), crashes (hash), errors (hash), dead (zset),
--       ended (zset), results (hash)
-- ARGV  id
-- Returns nil, or state "\n" task "\n" tries "\n" crashes "\n" body.
local jobs, scheduled, leased, tries, crashes, errors, dead, ended, results = unpack(KEYS)
local id = ARGV[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local expiry = redis.call('ZSCORE', ended, id)
if expiry then return tonumber(expiry) > now and redis.call('HGET', results, id) or nil end
local message = redis.call('HGET', jobs, id)
if not message then return nil end

local state = 'ready'
for name, key in pairs({ scheduled = scheduled, leased = leased, dead = dead }) do
  if redis.call('ZSCORE', key, id) then state = name end
end
return table.concat({
  state,
  string.match(message, '^[^\n]*'),
  redis.call('HGET', tries, id) or '0',
  redis.call('HGET', crashes, id) or '0',
  redis.call('HGET', errors, id) or '',
}, '\n')
