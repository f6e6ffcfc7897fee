-- Prolong the leases whose token is still the job's, and note the progress of their jobs.
-- KEYS  leased (zset), tokens (hash), cancels (hash), progress (hash)
-- ARGV  ttl, how many leases, two values a lease: id, token; then two for those that have any: id, progress
-- Returns the ids that are still ours, and those of them that are to be cancelled.
local count, ids = tonumber(ARGV[2]), {}
for n = 1, count do ids[n] = ARGV[2 * n + 1] end
call('HDEL', key.tokens, '') -- a script that has written may go on when memory is full
local ours, ends, held = {}, {}, {}
for n, token in ipairs(of_each(key.tokens, ids)) do
  if token == ARGV[2 * n + 2] then
    ours[#ours + 1] = ids[n]
    held[ids[n]] = true
    ends[#ends + 1] = now + ARGV[1]
    ends[#ends + 1] = ids[n]
  end
end
if #ours > 0 then call('ZADD', key.leased, 'XX', unpack(ends)) end
for i = 2 * count + 3, #ARGV, 2 do
  if held[ARGV[i]] then call('HSET', key.progress, ARGV[i], ARGV[i + 1]) end
end
local asked = {}
if call('EXISTS', key.cancels) == 1 then
  for n, reason in ipairs(of_each(key.cancels, ours)) do
    if reason then asked[#asked + 1] = ours[n] end
  end
end
return { ours, asked }
