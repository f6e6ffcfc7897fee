-- Unique keys. Keys: jobs (hash), keys (hash), freed (zset).

-- What `keyed` holds of a job: its hold, the seconds of it in µs, and the key.
local function unique(value) return string.match(value, '^(%a+) (%d+) (.*)$') end

-- The job that has a key, or nil. Without a time in `freed` that is one that has not ended: where the server has
-- evicted it the key is free.
local function holder(name)
  local id = call('HGET', key.keys, name)
  if not id then return nil end
  local till = call('ZSCORE', key.freed, name)
  if till then return tonumber(till) > now and id or nil end
  return call('HEXISTS', key.jobs, id) == 1 and id or nil
end

local function take(name, id, hold, seconds)
  call('HSET', key.keys, name, id)
  if hold == 'window' then
    call('ZADD', key.freed, now + seconds, name)
  else
    call('ZREM', key.freed, name)
  end
end

-- Let the key of a job be another's from a moment on, at the latest.
local function free(name, id, till)
  if call('HGET', key.keys, name) ~= id then return end
  if till > now then
    call('ZADD', key.freed, 'LT', till, name)
  else
    call('HDEL', key.keys, name)
    call('ZREM', key.freed, name)
  end
end

-- The keys of jobs that have ended, which may be another's now or in a while. Returns them, '' where there is none.
local function free_keys(ids, keyed)
  local names = {}
  for n, id in ipairs(ids) do
    local hold, seconds, name = unique(keyed[n] or '')
    if hold and hold ~= 'window' then free(name, id, now + (hold == 'active' and seconds or 0)) end
    names[n] = name or ''
  end
  return names
end

-- Forget keys whose time is over.
local function prune_keys(limit)
  local names = call('ZRANGEBYSCORE', key.freed, '-inf', now, 'LIMIT', 0, limit)
  if #names == 0 then return end
  call('ZREM', key.freed, unpack(names))
  call('HDEL', key.keys, unpack(names))
end
