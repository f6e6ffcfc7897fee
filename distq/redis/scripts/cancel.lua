-- Cancel jobs: what waits at once, what runs is asked to end.
-- KEYS  jobs (hash), ready (zset), suspect (zset), scheduled (zset), tokens (hash), tries (hash), crashes (hash),
--       errors (hash), cancels (hash), keyed (hash), keys (hash), freed (zset), results (hash), cancelled (zset),
--       watched (zset), cancel (channel), ended (channel)
-- ARGV  reason, then the ids, each once
-- Returns the ids that were cancelled, and those that were asked.
-- WITH keys, ends, finishing

local reason, ids = ARGV[1], { unpack(ARGV, 2) }
call('HDEL', key.tokens, '') -- a script that has written may go on when memory is full
local tokens, waiting = of_each(key.tokens, ids), {}
for _, set in ipairs({ key.ready, key.suspect, key.scheduled }) do
  for n, score in ipairs(scores(set, ids)) do waiting[n] = waiting[n] or score end
end

local cancelled, jobs, asked, workers = {}, {}, {}, {}
for n, id in ipairs(ids) do
  if tokens[n] then
    asked[#asked + 1] = id
    call('HSET', key.cancels, id, reason)
    workers[string.match(tokens[n], '^(.*)/%x+/')] = true
  elseif waiting[n] then
    cancelled[#cancelled + 1] = id
    jobs[#jobs + 1] = { id, reason, '' }
  end
end
drop('ZREM', { key.ready, key.suspect, key.scheduled }, cancelled)
finish('cancelled', key.cancelled, jobs)
for worker in pairs(workers) do call('PUBLISH', key.cancel, worker) end
return { cancelled, asked }
