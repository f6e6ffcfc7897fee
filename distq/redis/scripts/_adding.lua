-- Adding jobs. After arrival and order. Keys: jobs (hash), ready (zset), suspect (zset), scheduled (zset),
-- cancelled (zset), results (hash), keyed (hash), priority (hash), and those of keys, ends and finishing.

-- What jobs with keys need, made only where there are some.
local function claiming()
  -- WITH keys, ends, finishing

  -- The job that keeps a new one out by having its key. One that waits makes way where the new one says so.
  local function occupant(name, conflict)
    local id = holder(name)
    if not id or conflict ~= 'replace' then return id end
    local found = 0
    for _, set in ipairs({ key.ready, key.suspect, key.scheduled }) do found = found + call('ZREM', set, id) end
    if found > 0 then finish('cancelled', key.cancelled, { { id, REPLACED, '' } }) end
    return found == 0 and id or nil
  end

  local function claim(id, name, hold, seconds)
    call('HSET', key.keyed, id, hold .. ' ' .. seconds .. ' ' .. name)
    take(name, id, hold, seconds)
  end

  return { holder = holder, occupant = occupant, claim = claim, prune = prune_keys }
end

-- The jobs of ARGV from `first` on: their number; three values a job: id, task "\n" payload, when; then five a
-- key: the number of its job, key, hold, seconds in µs, conflict. `when` is '' for a job of priority 0 that is ready
-- now, else the priority, a space, and a delay in µs or '@' and a moment.
-- Returns the ids that were not added, each followed by the one that is there instead;
-- or '', a key and its holder where a key is taken that a job asks an error for: then nothing was added.
local function add(first)
  local count = tonumber(ARGV[first])
  local ids, uniques = {}, {}
  for n = 1, count do ids[n] = ARGV[first + 3 * n - 2] end
  for i = first + 3 * count + 1, #ARGV, 5 do uniques[tonumber(ARGV[i])] = { unpack(ARGV, i + 1, i + 4) } end
  local claims = next(uniques) and claiming()
  call('ZCARD', key.ready) -- where the keys are of another version this fails, before anything is written
  local known, ended = of_each(key.jobs, ids), of_each(key.results, ids)
  for n = 1, claims and count or 0 do
    local name, _, _, conflict = unpack(uniques[n] or {})
    local other = conflict == 'error' and not known[n] and not ended[n] and claims.holder(name)
    if other and other ~= ids[n] then return { '', name, other } end
  end

  local moment, enqueued = moments(count), text(now) .. '\n'
  local refused, messages, ready, later, urgent, seen = {}, {}, {}, {}, {}, {}

  -- Where a job goes, and with which score.
  local function place(n, when)
    local due = moment + n - 1
    if when == '' then return ready, due end
    local priority, absolute, time = string.match(when, '^(%-?%d+) (@?)(.*)$')
    due = (absolute == '@' and 0 or due) + tonumber(time)
    if priority ~= '0' then
      urgent[#urgent + 1] = ids[n]
      urgent[#urgent + 1] = priority
    end
    if due >= moment + count then return later, due end
    return ready, rank(due, priority)
  end

  local size = 0
  for n = 1, count do
    local id, unique = ids[n], uniques[n]
    local other = (known[n] or ended[n] or seen[id]) and id or unique and claims.occupant(unique[1], unique[4])
    seen[id] = true
    if other then
      refused[#refused + 1] = id
      refused[#refused + 1] = other
    else
      messages[size + 1], messages[size + 2] = id, enqueued .. ARGV[first + 3 * n - 1]
      size = size + 2
      local list, score = place(n, ARGV[first + 3 * n])
      local at = #list
      list[at + 1], list[at + 2] = score, id
      if unique then claims.claim(id, unpack(unique, 1, 3)) end
    end
  end
  if #messages > 0 then call('HSET', key.jobs, unpack(messages)) end
  if #urgent > 0 then call('HSET', key.priority, unpack(urgent)) end
  if #later > 0 then call('ZADD', key.scheduled, unpack(later)) end
  admit(key.ready, ready)
  if claims then claims.prune(2 * count) end
  return refused
end
