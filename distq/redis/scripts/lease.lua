-- Take the jobs of the lowest rank; alone = '1': a suspect first, and by itself. None where the queue is paused.
-- KEYS  paused (string), jobs (hash), ready (zset), suspect (zset), leased (zset), tokens (hash), tries (hash),
--       crashes (hash), keyed (hash), keys (hash), freed (zset)
-- ARGV  limit, ttl, the token's beginning, alone
-- Returns two values a job: id, token; the message of each; then three a job that has any: id, tries, crashes.
if call('EXISTS', key.paused) == 1 then return { {}, {}, {} } end
local tokens = ARGV[4] == '1' and call('ZPOPMIN', key.suspect, 1) or {}
if #tokens == 0 then tokens = call('ZPOPMIN', key.ready, ARGV[1]) end
if #tokens == 0 then return { {}, {}, {} } end

local ids, ends = {}, {}
local fence, till = ARGV[3] .. '/' .. text(now) .. ' ', text(now + ARGV[2])
for i = 1, #tokens, 2 do
  local id = tokens[i]
  ids[(i + 1) / 2] = id
  ends[i], ends[i + 1] = till, id
  tokens[i + 1] = fence .. tokens[i + 1] -- it was the rank
end
call('ZADD', key.leased, unpack(ends))
call('HSET', key.tokens, unpack(tokens))

local messages = of_each(key.jobs, ids)
for n = 1, #ids do
  if not messages[n] then -- the server evicted the job: forget its id too
    call('ZREM', key.leased, ids[n])
    call('HDEL', key.tokens, ids[n])
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
return { tokens, messages, charged }
