-- Releases an open call of a replica whose lease has lapsed. The tokens and the cost that it
-- reserved remain charged, because Bedrock may have billed them. If the ID is empty, ends the
-- lease.
-- KEYS: the reservations of that replica, the leases, then each scope.
-- ARGV: replica, how long its reservations are kept for corrections, ID, limits.
-- Replies: 1 done, 0 nothing to do.

local now = clock()
local ends = redis.call('ZSCORE', KEYS[2], ARGV[1])
-- The replica has renewed its lease in the meantime.
if ends and tonumber(ends) > now then return 0 end
local id = ARGV[3]
if id == '' then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return 1
end
local value = redis.call('HGET', KEYS[1], id)
local record = value and record_of(value)
if not record or record.state ~= 'open' then return 0 end
for _, level in ipairs(levels(ARGV[4], 3)) do
  if level.kind == 0 then correct(level, 1, 0, record.at, now) end
end
redis.call('HSET', KEYS[1], id, (string.gsub(value, ' open ', ' lapsed ', 1)))
log(' lapse ', id, ' ', text(now), ' ', ARGV[4])
return 1
