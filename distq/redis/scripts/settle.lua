-- End the leases whose token is still the job's: record ended jobs, give the others back.
-- KEYS  jobs (hash), ready (zset), suspect (zset), scheduled (zset), leased (zset), tokens (hash), tries (hash),
--       crashes (hash), errors (hash), priority (hash), cancels (hash), history (hash), keyed (hash), keys (hash),
--       freed (zset), results (hash), done (zset), expiry (zset), dead (zset), cancelled (zset), arrival (string),
--       watched (zset), wake (channel), ended (channel)
-- ARGV  time to live of results, then four values an outcome, one for each lease: id, token, how, body; `how` is
--       'done', or the kind, the delay and the seconds that it ran, with a space between
-- Returns the ids that were still ours.
-- WITH ends

local ids, ours, done, others = {}, {}, {}, {}
for i = 2, #ARGV, 4 do ids[#ids + 1] = ARGV[i] end
call('HDEL', key.tokens, '') -- a script that has written may go on when memory is full
for n, token in ipairs(of_each(key.tokens, ids)) do
  if token and token == ARGV[4 * n - 1] then
    ours[#ours + 1] = ids[n]
    local list = ARGV[4 * n] == 'done' and done or others
    list[#list + 1] = n
  end
end
if #ours == 0 then return ours end
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
  for i, n in ipairs(done) do gone[i] = ids[n] end
  if marked then
    -- WITH keys
    keyed = free_keys(gone, of_each(key.keyed, gone))
  end
  local expires = text(now + ARGV[1])
  for i, message in ipairs(of_each(key.jobs, gone)) do
    local n = done[i]
    local head = string.match(message or '', '^[^\n]*\n[^\n]*\n') or '\n\n'
    records[2 * i - 1] = gone[i]
    records[2 * i] = record(
      'done', tries[n] or '0', crashes[n] or '0', priority[n] or '0',
      this_moment, expires, head, keyed[i] or '', ARGV[4 * n - 1], ARGV[4 * n + 1]
    )
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
    local id, token, body = ids[n], ARGV[4 * n - 1], ARGV[4 * n + 1]
    local kind, delay, ran = string.match(ARGV[4 * n], '^(%a+) (%d+) (.*)$')
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
return ours
