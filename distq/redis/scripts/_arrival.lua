-- The order of arrival. Keys: arrival (string).

-- The first of `count` moments, one for each job, that ascend from call to call: jobs with equal ones would be
-- in the order of their ids. A clock that was set back by more than a second is followed.
local function moments(count)
  local last = tonumber(call('SET', key.arrival, text(now + count - 1), 'GET') or 0)
  if last < now or last > now + 1e6 then return now end
  call('SET', key.arrival, text(last + count))
  return last + 1
end
