-- A page of the jobs in a state, in the order of leasing or of their end or against it, that a filter lets through. It is
-- short where thousands of jobs were looked at, or megabytes.
-- KEYS  jobs (hash), ready (zset), suspect (zset), scheduled (zset), leased (zset), tokens (hash), tries (hash),
--       crashes (hash), errors (hash), priority (hash), cancels (hash), history (hash), progress (hash),
--       keyed (hash), results (hash), done (zset), dead (zset), cancelled (zset)
-- ARGV  state, limit, task, text, older than, newer than or 0, '1' for the latest first, and the score and id that the
--       last page ended with, or ''
-- Returns the score and id that this page ends with, '' where it is the last; then its rows.
-- WITH records

local SLICE, MOST, BYTES = 50, 5000, 8000000
local state, limit, task, words = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local older, newer = now - ARGV[5], ARGV[6] == '0' and -1 or now - ARGV[6]
local latest, score, after = ARGV[7] == '1', ARGV[8], ARGV[9]
local has_ended = state == 'done' or state == 'dead' or state == 'cancelled'
local sets = ({
  ready = { key.ready, key.suspect }, scheduled = { key.scheduled }, leased = { key.leased },
  done = { key.done }, dead = { key.dead }, cancelled = { key.cancelled },
})[state] or {}

-- The rank of the first job of a set after the last page, among those of one score by bisection; and in ranks from the
-- end where the latest is first.
local function behind(set)
  if after == '' then return 0 end
  local low = call('ZCOUNT', set, '-inf', '(' .. score)
  local high = low + call('ZCOUNT', set, score, score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local id = call('ZRANGE', set, middle, middle)[1]
    if id > after or latest and id == after then high = middle else low = middle + 1 end
  end
  return latest and call('ZCARD', set) - low or low
end

-- Of jobs that have ended, how many are too old, or too new, and come before the others.
local function outside(set)
  if not has_ended then return 0 end
  if latest then return call('ZCOUNT', set, '(' .. text(older), '+inf') end
  return call('ZCOUNT', set, '-inf', text(newer))
end

local places = {}
for _, set in ipairs(sets) do places[set] = math.max(behind(set), outside(set)) end

-- The next jobs of all sets, as { score, id, set }.
local function slice()
  local jobs = {}
  for _, set in ipairs(sets) do
    local found = call(latest and 'ZREVRANGE' or 'ZRANGE', set, places[set], places[set] + SLICE - 1, 'WITHSCORES')
    for i = 1, #found, 2 do jobs[#jobs + 1] = { found[i + 1], found[i], set } end
  end
  if #sets > 1 then
    table.sort(jobs, function(a, b)
      if latest then a, b = b, a end
      local first, second = tonumber(a[1]), tonumber(b[1])
      return first < second or first == second and a[2] < b[2]
    end)
  end
  return { unpack(jobs, 1, math.min(SLICE, #jobs)) }
end

-- Whether the filter lets a job through, and how many bytes that took to read.
local function matches(message, result, failure)
  local size = #(message or '') + #(result or '') + #(failure or '')
  if result and expired(result) then return false, size end
  local enqueued, name = string.match(message or '', '^(%d+)\n([^\n]*)')
  if state == 'done' then name = string.match(result or '', '^[^\n]*\n[^\n]*\n([^\n]*)') end
  local body = failure or ''
  if has_ended then
    local size, start = string.match(result or '', '(%d+)\n[^\n]*\n[^\n]*\n[^\n]*\n()')
    body = string.sub(result or '', (start or 1) + (size or 0))
  end
  local since = tonumber(enqueued or 0)
  local aged = has_ended or since <= older and since > newer
  return aged and (task == '' or name == task) and string.find(body, words, 1, true) ~= nil, size
end

local found, scores_of, examined, bytes, last, over = {}, {}, 0, 0, nil, false
while #found < limit and examined < MOST and bytes < BYTES and not over do
  local jobs = slice()
  local ids = {}
  for n, job in ipairs(jobs) do ids[n] = job[2] end
  local messages = state ~= 'done' and of_each(key.jobs, ids) or {}
  local results = has_ended and of_each(key.results, ids) or {}
  local failures = not has_ended and words ~= '' and of_each(key.errors, ids) or {}
  over = #jobs < SLICE
  for n, job in ipairs(jobs) do
    local moment = tonumber(job[1])
    if has_ended and (moment > older or moment <= newer) then
      over = true
      break
    end
    local fits, size = matches(messages[n], results[n], failures[n])
    if fits then
      found[#found + 1], scores_of[#scores_of + 1] = job[2], job[1]
    end
    last, examined, bytes, places[job[3]] = job, examined + 1, bytes + size, places[job[3]] + 1
    if #found == limit or bytes > BYTES then
      over = over and n == #jobs
      break
    end
  end
end
local rows = describe(found, state, scores_of)
if over or not last then return { '', '', rows } end
return { last[1], last[2], rows }
