-- Convert what a queue has of version 1 of the keys, up to 500 entries of one kind a call. The first call sets
-- those keys aside; they shrink as the new ones grow, so that it may end anywhere and be begun again.
-- KEYS  jobs (hash), ready (zset), suspect (zset), scheduled (zset), leased (zset), tokens (hash), tries (hash),
--       crashes (hash), errors (hash), results (hash), done (zset), expiry (zset), dead (zset), arrival (string),
--       ended (zset), v1_jobs (hash), v1_ready (list), v1_suspect (list), v1_scheduled (zset), v1_leased (zset),
--       v1_tokens (hash), v1_dead (zset), v1_ended (zset), v1_results (hash), watched (zset)
-- Returns how many entries were converted; 0 at the end.
-- WITH arrival, ends
local CHUNK = 500

-- Only this version has `arrival`.
if call('EXISTS', key.arrival) == 0 then
  for _, pair in ipairs({
    { key.jobs, key.v1_jobs }, { key.ready, key.v1_ready }, { key.suspect, key.v1_suspect },
    { key.scheduled, key.v1_scheduled }, { key.leased, key.v1_leased }, { key.tokens, key.v1_tokens },
    { key.dead, key.v1_dead }, { key.ended, key.v1_ended }, { key.results, key.v1_results },
  }) do
    if call('EXISTS', pair[1]) == 1 then call('RENAME', pair[1], pair[2]) end
  end
  moments(1)
end

-- The time of the enqueue is not known, but when the client made the id.
local function made(id)
  local moment = string.match(id, ':(%x%x%x%x%x%x%x%x%x%x%x%x)%x*$')
  return text(moment and tonumber(moment, 16) * 1e3 or now)
end

local function messages()
  local found = call('HRANDFIELD', key.v1_jobs, CHUNK, 'WITHVALUES')
  for i = 1, #found, 2 do
    call('HSET', key.jobs, found[i], made(found[i]) .. '\n' .. found[i + 1])
    call('HDEL', key.v1_jobs, found[i])
  end
  return #found / 2
end

local function queued(old, new)
  local ids = call('LPOP', old, CHUNK) or {}
  local moment = #ids > 0 and moments(#ids)
  for n, id in ipairs(ids) do call('ZADD', new, moment + n - 1, id) end
  return #ids
end

-- Visit what has the lowest scores, with these in µs.
local function scored(old, visit)
  local found = call('ZPOPMIN', old, CHUNK)
  for i = 1, #found, 2 do visit(found[i], found[i + 1] * 1e3) end
  return #found / 2
end

local function schedule(id, due) call('ZADD', key.scheduled, due, id) end

local function lease(id, till)
  local token = call('HGET', key.v1_tokens, id)
  call('HSET', key.tokens, id, (token or '/0') .. '/' .. text(now) .. ' ' .. text(moments(1)))
  call('ZADD', key.leased, till, id)
end

local function bury(id, ended)
  local tries, crashes = call('HGET', key.tries, id), call('HGET', key.crashes, id)
  local body = call('HGET', key.errors, id) or ''
  local result = summary('dead', tries or '0', crashes or '0', '0', text(ended), '0', '') .. '\n\n\n' .. body
  call('HSET', key.results, id, result)
  call('ZADD', key.dead, ended, id)
  for _, hash in ipairs({ key.tries, key.crashes, key.errors }) do call('HDEL', hash, id) end
end

-- When a job was done is not known, but the order.
local function keep(id, expires)
  local task, tries, crashes, body =
    string.match(call('HGET', key.v1_results, id) or '', '^done\n([^\n]*)\n(%d+)\n(%d+)\n(.*)$')
  if not task then return end
  local ended = text(moments(1))
  local head = made(id) .. '\n' .. task .. '\n'
  local line = summary('done', tries, crashes, '0', ended, text(expires), '')
  call('HSET', key.results, id, line .. head .. '\n' .. body)
  call('ZADD', key.done, ended, id)
  call('ZADD', key.expiry, expires, ended)
  call('HDEL', key.v1_results, id)
end

for _, step in ipairs({
  messages,
  function() return queued(key.v1_ready, key.ready) end,
  function() return queued(key.v1_suspect, key.suspect) end,
  function() return scored(key.v1_scheduled, schedule) end,
  function() return scored(key.v1_leased, lease) end,
  function() return scored(key.v1_dead, bury) end,
  function() return scored(key.v1_ended, keep) end,
}) do
  local converted = step()
  if converted > 0 then return converted end
end
call('UNLINK', key.v1_tokens, key.v1_results)
return 0
