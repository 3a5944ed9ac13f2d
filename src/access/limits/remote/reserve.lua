-- Reserves amounts from all scopes of a call, or from none.
-- KEYS: the replica's reservations, the leases, the mark of a void ID, then each scope.
-- ARGV: ID, replica, length of a lease, requests, input, output, money, limits, names of scopes.
-- Returns the verdict (1 granted, 0 refused, 2 void), the time of the reservation, the time now,
-- and the counts.

local id, now = ARGV[1], clock()
local amounts, scopes = amounts_at(4), ARGV[8]
local all = levels(scopes, 4)

local function reply(verdict, at)
  local counts = { verdict, at, now }
  for _, level in ipairs(all) do
    counts[#counts + 1] = level.taken
    counts[#counts + 1] = level.at
  end
  return counts
end

-- A call without scopes only checks whether the store can make reservations.
if #all == 0 then return reply(1, now) end
-- The same reservation was sent before: the reply is the same, and nothing is reserved twice.
local known = redis.call('HGET', KEYS[1], id)
if known then return reply(1, record_of(known).at) end
-- The gateway gave up this reservation before it was executed.
if redis.call('EXISTS', KEYS[3]) == 1 then return reply(2, now) end

local granted = true
for _, level in ipairs(all) do
  granted = granted and fits(level, of(level.kind, amounts), now)
end
log(' reserve ', id, ' ', text(now), granted and ' granted ' or ' refused ',
  ARGV[4], ' ', ARGV[5], ' ', ARGV[6], ' ', ARGV[7], ' ', scopes, ' ', ARGV[9])
if not granted then return reply(0, now) end

for _, level in ipairs(all) do
  take(level, of(level.kind, amounts), now)
end
redis.call('HSET', KEYS[1], id, table.concat({
  text(now), 'open', ARGV[4], ARGV[5], ARGV[6], ARGV[7], scopes, ARGV[9],
}, ' '))
-- If the replica's lease has lapsed in the meantime, it gets a new one. Without a lease, its
-- reservations would stay forever if the replica ended.
if not redis.call('ZSCORE', KEYS[2], ARGV[2]) then
  redis.call('ZADD', KEYS[2], text(now + tonumber(ARGV[3])), ARGV[2])
  redis.call('PERSIST', KEYS[1])
end
return reply(1, now)
