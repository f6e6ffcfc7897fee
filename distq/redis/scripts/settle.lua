-- End the leases whose token is still the job's: record ended jobs, give the others back.
-- KEYS  jobs (hash), ready (zset), suspect (zset), scheduled (zset), leased (zset), tokens (hash), tries (hash),
--       crashes (hash), errors (hash), priority (hash), cancels (hash), history (hash), keyed (hash), keys (hash),
--       freed (zset), results (hash), done (zset), expiry (zset), dead (zset), cancelled (zset), arrival (string),
--       watched (zset), wake (channel), ended (channel)
-- ARGV  time to live of results, how many outcomes, how many of them are done: these come first; then the ids of all,
--       their tokens, their bodies; and of each that is not done the kind, the delay and the seconds that it ran,
--       with a space between
-- Returns the numbers of the outcomes, from 1, whose lease was not ours any more.
-- WITH ends

local count, of_done = tonumber(ARGV[2]), tonumber(ARGV[3])
local tokens_at, bodies_at, hows_at = 3 + count, 3 + 2 * count, 3 + 3 * count - of_done
local ids, ours, done, others, lost = { unpack(ARGV, 4, tokens_at) }, {}, {}, {}, {}
call('HDEL', key.tokens, '') -- a script that has written may go on when memory is full
local tokens = of_each(key.tokens, ids)
for n = 1, count do
  if tokens[n] ~= ARGV[tokens_at + n] then
    lost[#lost + 1] = n
  else
    ours[n - #lost] = ids[n]
    local list = n <= of_done and done or others
    list[#list + 1] = n
  end
end
if #ours == 0 then return lost end
call('ZREM', key.leased, unpack(ours))
call('HDEL', key.tokens, unpack(ours))

-- What few jobs have: of each id, or of none.
local marks = { key.tries, key.crashes, key.errors, key.priority, key.cancels, key.keyed }
local marked = call('EXISTS', unpack(marks)) > 0
local tries = marked and of_each(key.tries, ids) or {}
local crashes = marked and of_each(key.crashes, ids) or {}
local priority = marked and of_each(key.priority, ids) or {}

local function record_done()
  local gone, keyed, records, ends = {}, {}, {}, {}
  for i = 1, #done do gone[i] = ids[done[i]] end
  if marked then
    -- WITH keys
    keyed = free_keys(gone, of_each(key.keyed, gone))
  end
  local expires = text(now + ARGV[1])
  local line = summary('done', '0', '0', '0', this_moment, expires, '')
  local messages, head = of_each(key.jobs, gone), '\n\n'
  for i = 1, #gone do
    local n, name, message = done[i], keyed[i] or '', messages[i] or ''
    -- Jobs that were enqueued together have the same head: to see that costs less than to look for it.
    if string.sub(message, 1, #head) ~= head then
      head = string.match(message, '^[^\n]*\n[^\n]*\n') or '\n\n'
    end
    if marked then
      local few, deaths, level = tries[n] or '0', crashes[n] or '0', priority[n] or '0'
      line = summary('done', few, deaths, level, this_moment, expires, name)
    end
    records[2 * i - 1] = gone[i]
    records[2 * i] = line .. head .. ARGV[tokens_at + n] .. '\n' .. name .. ARGV[bodies_at + n]
    ends[2 * i - 1], ends[2 * i] = this_moment, gone[i]
  end
  call('HDEL', key.jobs, unpack(gone))
  call('HSET', key.results, unpack(records))
  call('ZADD', key.done, unpack(ends))
  call('ZADD', key.expiry, 'GT', expires, this_moment)
  if marked then drop('HDEL', marks, gone) end
  notify(gone)
end

local function return_others()
  -- WITH arrival, order, keys, finishing, returning
  local moment, reasons = moments(#others), marked and of_each(key.cancels, ids) or {}
  for i, n in ipairs(others) do
    local id, token, body = ids[n], ARGV[tokens_at + n], ARGV[bodies_at + n]
    local kind, delay, ran = string.match(ARGV[hows_at + n], '^(%a+) (%d+) (.*)$')
    local release = kind == 'release'
    if not release then remember(id, kind, token, ran, body) end
    if kind == 'retry' then call('HINCRBY', key.tries, id, 1) end
    if kind == 'dead' then
      dead[#dead + 1] = { id, body, token }
    elseif kind == 'cancelled' or reasons[n] then
      local own = kind == 'cancelled' and (body ~= '' or not reasons[n])
      cancelled[#cancelled + 1] = { id, own and body or reasons[n], token }
    else
      if body ~= '' then call('HSET', key.errors, id, body) end
      if delay ~= '0' then
        call('ZADD', key.scheduled, now + delay, id)
      else
        local _, place = holding(token)
        give_back(id, release and place or rank(moment + i - 1, priority[n]), crashes[n])
      end
    end
  end
  conclude()
end

if #done > 0 then record_done() end
if #others > 0 then return_others() end
return lost
