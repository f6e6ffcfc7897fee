-- Forget jobs that no worker holds.
-- KEYS  jobs (hash), ready (zset), suspect (zset), scheduled (zset), leased (zset), tokens (hash), tries (hash),
--       crashes (hash), errors (hash), priority (hash), cancels (hash), history (hash), progress (hash),
--       keyed (hash), keys (hash), freed (zset), results (hash), done (zset), expiry (zset), dead (zset),
--       cancelled (zset), watched (zset)
-- ARGV  the ids, each once
-- Returns the ids that were forgotten, but for those of expired records.
-- WITH keys, forgetting, records

local tokens, results = of_each(key.tokens, ARGV), of_each(key.results, ARGV)
local gone, told = {}, {}
for n, id in ipairs(ARGV) do
  local known = results[n] or call('HEXISTS', key.jobs, id) == 1
  if known and not tokens[n] then
    gone[#gone + 1] = id
    if not (results[n] and expired(results[n])) then told[#told + 1] = id end
  end
end
forget(gone)
return told
