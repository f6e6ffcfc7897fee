-- One job, wherever it is.
-- KEYS  jobs (hash), ready (zset), suspect (zset), scheduled (zset), leased (zset), tokens (hash), tries (hash),
--       crashes (hash), errors (hash), priority (hash), cancels (hash), history (hash), progress (hash),
--       keyed (hash), results (hash)
-- ARGV  id
-- Returns nil, or its row.
-- WITH records

local id = ARGV[1]
local result = call('HGET', key.results, id)
if result then
  return not expired(result) and describe({ id }, string.match(result, '^%a+'), { '0' })[1]
end
for _, set in ipairs({
  { key.leased, 'leased' }, { key.ready, 'ready' }, { key.scheduled, 'scheduled' }, { key.suspect, 'ready' },
}) do
  local place = call('ZSCORE', set[1], id)
  if place then return describe({ id }, set[2], { place })[1] end
end
return nil
