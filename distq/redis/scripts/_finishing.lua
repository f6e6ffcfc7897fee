-- Jobs that end as dead or cancelled. After ends and keys.
-- Keys: tries (hash), crashes (hash), errors (hash), cancels (hash), keyed (hash), results (hash).

-- End jobs as dead or cancelled, each given as { id, body, token }. Their messages stay, to be replayed.
local function finish(state, set, jobs, from)
  from = from or 1
  if from > #jobs then return end
  local ids, records, ends = {}, {}, {}
  for n = from, math.min(from + 999, #jobs) do ids[#ids + 1] = jobs[n][1] end
  local tries, crashes = of_each(key.tries, ids), of_each(key.crashes, ids)
  free_keys(ids, of_each(key.keyed, ids))
  for n, id in ipairs(ids) do
    local _, body, token = unpack(jobs[from + n - 1])
    records[2 * n - 1] = id
    records[2 * n] = summary(state, tries[n] or '0', crashes[n] or '0', '0', this_moment, '0', '')
      .. '\n\n' .. token .. '\n' .. body
    ends[2 * n - 1], ends[2 * n] = this_moment, id
  end
  call('HSET', key.results, unpack(records))
  call('ZADD', set, unpack(ends))
  drop('HDEL', { key.tries, key.crashes, key.errors, key.cancels }, ids)
  notify(ids)
  return finish(state, set, jobs, from + 1000)
end
