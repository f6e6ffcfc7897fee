-- Add jobs that are not known yet and whose keys are free.
-- KEYS  jobs (hash), ready (zset), suspect (zset), scheduled (zset), arrival (string), priority (hash),
--       keyed (hash), keys (hash), freed (zset), results (hash), cancelled (zset), tries (hash), crashes (hash),
--       errors (hash), cancels (hash), watched (zset), wake (channel), ended (channel)
-- ARGV  as `add` says
-- Returns the ids that were not added, each followed by the one that is there instead; or the conflict.
-- WITH arrival, order, adding

return add(1)
