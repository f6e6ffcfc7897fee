-- Let the ends of jobs be told.
-- KEYS  jobs (hash), results (hash), watched (zset)
-- ARGV  the ids, each once
-- Returns the ids of the jobs that have not ended.
local known, results = of_each(key.jobs, ARGV), of_each(key.results, ARGV)
local live, watched = {}, {}
for n, id in ipairs(ARGV) do
  if known[n] and not results[n] then
    live[#live + 1] = id
    watched[#watched + 1], watched[#watched + 2] = now, id
  end
end
if #live > 0 then call('ZADD', key.watched, unpack(watched)) end
return live
