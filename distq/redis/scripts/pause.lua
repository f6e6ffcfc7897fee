-- Let no job of the queue be leased, or let them again.
-- KEYS  paused (string), wake (channel)
-- ARGV  '1' to pause
if ARGV[1] == '1' then return call('SET', key.paused, text(now)) end
if call('DEL', key.paused) == 1 then call('PUBLISH', key.wake, '') end
return redis.status_reply('OK')
