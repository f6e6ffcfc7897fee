-- One maintenance pass over a queue, skipped where another worker has just made one. In any case it looks for ready jobs.
-- KEYS  jobs (hash), ready (zset), suspect (zset), scheduled (zset), leased (zset), tokens (hash), tries (hash),
--       crashes (hash), errors (hash), priority (hash), cancels (hash), history (hash), progress (hash),
--       keyed (hash), keys (hash), freed (zset), results (hash), done (zset), expiry (zset), dead (zset),
--       cancelled (zset), watched (zset), pulse (string), paused (string), wake (channel), ended (channel)
-- ARGV  limit, grace, outage, eager
-- Returns promoted, reclaimed, buried, pruned, suspects: how many of each; and more than 0 where jobs may be leased.
-- WITH order, keys, ends, finishing, returning, forgetting

local function leasable() return call('EXISTS', key.paused) == 0 and call('EXISTS', key.ready, key.suspect) or 0 end

local limit, grace, outage, eager = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1'
local gap = now - tonumber(call('GET', key.pulse) or 0)
if gap < 250000 and gap >= 0 and not eager then return { 0, 0, 0, 0, 0, leasable() } end
call('HDEL', key.tokens, '') -- a script that has written may go on when memory is full

local function due(set) return call('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', 0, limit) end

local function promote()
  local jobs = due(key.scheduled)
  local times = scores(key.scheduled, jobs)
  local crashes, priority = of_each(key.crashes, jobs), of_each(key.priority, jobs)
  for n, id in ipairs(jobs) do give_back(id, rank(times[n], priority[n]), crashes[n]) end
  drop('ZREM', { key.scheduled }, jobs)
  return #jobs
end

local function reclaim()
  local jobs, buried = due(key.leased), 0
  local tokens = of_each(key.tokens, jobs)
  for n, id in ipairs(jobs) do
    if gap > outage then
      call('ZADD', key.leased, now + grace, id)
    else
      call('ZREM', key.leased, id)
      call('HDEL', key.tokens, id)
      if crash(id, tokens[n] or '/0/0 0', true) then buried = buried + 1 end
    end
  end
  -- Not while leases are left that an outage let run out: the next pass is to know of it too.
  if gap <= outage or #jobs < limit then call('SET', key.pulse, text(now)) end
  return gap > outage and 0 or #jobs - buried, buried
end

local function expire()
  local gone = {}
  for _, ended in ipairs(due(key.expiry)) do
    if #gone == limit then break end
    local ids = call('ZRANGEBYSCORE', key.done, ended, ended, 'LIMIT', 0, limit - #gone)
    for _, id in ipairs(ids) do gone[#gone + 1] = id end
    if #ids == 0 then call('ZREM', key.expiry, ended) end
  end
  forget_done(gone)
  return #gone
end

local promoted = promote()
local reclaimed, buried = reclaim()
conclude()
local pruned = expire()
prune_keys(limit)
drop('ZREM', { key.watched }, call('ZRANGEBYSCORE', key.watched, '-inf', now - 3600e6, 'LIMIT', 0, limit))
return { promoted, reclaimed, buried, pruned, call('ZCARD', key.suspect), leasable() }
