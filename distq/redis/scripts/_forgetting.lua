-- Forgetting jobs. After keys. Keys: all hashes and sorted sets in which an id may be.

-- Forget jobs that are done: they are in few places. `expiry` has one entry for all that ended at one moment.
local function forget_done(ids)
  local ends = scores(key.done, ids)
  drop('HDEL', { key.results, key.history, key.progress }, ids)
  drop('ZREM', { key.done }, ids)
  local before
  for _, ended in ipairs(ends) do
    if ended and ended ~= before and call('ZCOUNT', key.done, ended, ended) == 0 then
      call('ZREM', key.expiry, text(tonumber(ended)))
    end
    before = ended
  end
end

-- Forget jobs wherever they are. The key of one that has not ended is free.
local function forget(ids)
  for n, value in ipairs(of_each(key.keyed, ids)) do
    if value and call('HEXISTS', key.results, ids[n]) == 0 then
      local _, _, name = unique(value)
      free(name, ids[n], now)
    end
  end
  forget_done(ids)
  drop('HDEL', { key.jobs, key.tokens, key.tries, key.crashes, key.errors, key.cancels, key.keyed, key.priority }, ids)
  drop('ZREM', { key.ready, key.suspect, key.scheduled, key.leased, key.dead, key.cancelled, key.watched }, ids)
end
