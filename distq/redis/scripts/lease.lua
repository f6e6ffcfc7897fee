-- Take the jobs of the lowest rank; alone = '1': a suspect first, and by itself. None where the queue is paused.
-- KEYS  paused (string), jobs (hash), ready (zset), suspect (zset), leased (zset), tokens (hash), tries (hash),
--       crashes (hash), keyed (hash), keys (hash), freed (zset)
-- ARGV  limit, ttl, the token's beginning, alone
-- Returns three values a job: id, token, message; then three a job that has any: id, tries, crashes.
if call('EXISTS', key.paused) == 1 then return { {}, {} } end
local taken = ARGV[4] == '1' and call('ZPOPMIN', key.suspect, 1) or {}
if #taken == 0 then taken = call('ZPOPMIN', key.ready, ARGV[1]) end
if #taken == 0 then return { {}, {} } end

local ids, ends, tokens = {}, {}, {}
local fence, till = ARGV[3] .. '/' .. text(now) .. ' ', text(now + ARGV[2])
for i = 1, #taken, 2 do
  local id = taken[i]
  ids[#ids + 1] = id
  ends[i], ends[i + 1] = till, id
  tokens[i], tokens[i + 1] = id, fence .. taken[i + 1]
end
call('ZADD', key.leased, unpack(ends))
call('HSET', key.tokens, unpack(tokens))

local messages, leases = of_each(key.jobs, ids), {}
for n, id in ipairs(ids) do
  if messages[n] then
    leases[#leases + 1] = id
    leases[#leases + 1] = tokens[2 * n]
    leases[#leases + 1] = messages[n]
  else -- the server evicted the job: forget its id too
    call('ZREM', key.leased, id)
    call('HDEL', key.tokens, id)
  end
end

local charged = {}
if call('EXISTS', key.tries, key.crashes) > 0 then
  local tries, crashes = of_each(key.tries, ids), of_each(key.crashes, ids)
  for n, id in ipairs(ids) do
    if tries[n] or crashes[n] then
      for _, value in ipairs({ id, tries[n] or '0', crashes[n] or '0' }) do
        charged[#charged + 1] = value
      end
    end
  end
end
if call('EXISTS', key.keyed) == 1 then
  -- WITH keys
  for n, value in ipairs(of_each(key.keyed, ids)) do
    local hold, _, name = unique(value or '')
    if hold == 'waiting' then free(name, ids[n], now) end
  end
end
return { leases, charged }
