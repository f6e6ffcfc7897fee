-- What every script begins with; the loader puts the constants of distq/job.py before it. It writes KEYS[n] for
-- `key.jobs`, where `jobs` is the nth key of the script's header, and puts the parts `_keys.lua` and `_ends.lua` in
-- the place of a line `WITH keys, ends`: where that is in a branch they cost nothing elsewhere.
-- Times are µs since 1970 by this server's clock, durations µs: a double holds them exactly.
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local clock = call('TIME')
local now = clock[1] * 1e6 + clock[2]

-- A time as text; Lua itself would write 14 digits of it.
local function text(time) return string.format('%.0f', time) end

-- What a hash holds of each of the ids.
local function of_each(hash, ids) return #ids > 0 and call('HMGET', hash, unpack(ids)) or {} end

-- Which scores the ids have in a sorted set.
local function scores(set, ids) return #ids > 0 and call('ZMSCORE', set, unpack(ids)) or {} end

-- Take the ids out of hashes, or of sorted sets; what a queue does not use costs next to nothing.
local function drop(command, keys, ids)
  for _, name in ipairs(#ids > 0 and keys or {}) do
    if call('EXISTS', name) == 1 then call(command, name, unpack(ids)) end
  end
end
