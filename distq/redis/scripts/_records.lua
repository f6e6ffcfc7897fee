-- What is known of jobs. Keys: jobs, tokens, tries, crashes, errors, history, progress, cancels, keyed, priority,
-- results: all hashes.

-- Whether the record of a job that has ended is past its time to live.
local function expired(value)
  local expires = tonumber(string.match(value, '^%a+ %d+ %d+ %d+ %d+ (%d+)'))
  return expires > 0 and expires <= now
end

-- Rows as distq/redis/records.py reads them, for jobs of one state with the scores that they have in its set.
local function describe(ids, state, places)
  local columns = { ids, {}, places }
  for n = 1, #ids do columns[2][n] = state end
  for _, hash in ipairs({
    key.jobs, key.tokens, key.tries, key.crashes, key.errors, key.priority, key.keyed, key.cancels, key.history,
    key.progress, key.results,
  }) do
    columns[#columns + 1] = of_each(hash, ids)
  end
  local rows = {}
  for n = 1, #ids do
    local row = {}
    for c, column in ipairs(columns) do row[c] = column[n] end
    rows[n] = row
  end
  return rows
end
