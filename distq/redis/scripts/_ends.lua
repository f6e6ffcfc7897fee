-- The end of jobs. Keys: watched (zset), ended (channel).

local this_moment = text(now)

-- The first line of what `results` holds of a job that has ended; keys.md has the format.
local function summary(state, tries, crashes, priority, ended, expires, name)
  local size = name == '' and '0' or #name
  return state .. ' ' .. tries .. ' ' .. crashes .. ' ' .. priority .. ' ' .. ended .. ' ' .. expires
    .. ' ' .. size .. '\n'
end

-- Tell who watches that jobs have ended.
local function notify(ids)
  if #ids == 0 or call('EXISTS', key.watched) == 0 then return end
  local heard = {}
  for n, since in ipairs(scores(key.watched, ids)) do
    if since then heard[#heard + 1] = ids[n] end
  end
  if #heard == 0 then return end
  call('ZREM', key.watched, unpack(heard))
  call('PUBLISH', key.ended, table.concat(heard, ' '))
end
