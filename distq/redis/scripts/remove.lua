-- Forget jobs that no worker holds.
-- KEYS  jobs (hash), ready (zset), suspect (zset), scheduled (zset), leased (zset), tokens (hash), tries (hash),
--       crashes (hash), errors (hash), priority (hash), cancels (hash), history (hash), progress (hash),
--       keyed (hash), keys (hash), freed (zset), results (hash), done (zset), expiry (zset), dead (zset),
--       cancelled (zset), watched (zset)
-- ARGV  the ids, each once
-- Returns the ids that were forgotten.
-- WITH keys, forgetting

local tokens, gone = of_each(key.tokens, ARGV), {}
for n, id in ipairs(ARGV) do
  local known = call('HEXISTS', key.jobs, id) + call('HEXISTS', key.results, id) > 0
  if known and not tokens[n] then gone[#gone + 1] = id end
end
forget(gone)
return gone
