-- Counts one request against several quotas in turn, and stops at the first that it is beyond: those after it are not charged.
-- KEYS  one counter for each quota
-- ARGV  for each quota its limit and the length of its window in ms
-- Returns the place of the quota that the request is beyond (from 1) and the ms until its window ends; else 0 and 0.
-- A window begins with its first request.
for at, key in ipairs(KEYS) do
  local count = redis.call('INCR', key)
  local left = redis.call('PTTL', key)
  if left < 0 then
    left = tonumber(ARGV[at * 2])
    redis.call('PEXPIRE', key, left)
  end
  if count > tonumber(ARGV[at * 2 - 1]) then return { at, left } end
end
return { 0, 0 }
