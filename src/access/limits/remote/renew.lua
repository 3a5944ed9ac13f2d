-- Renews the lease of a replica.
-- KEYS: the replica's reservations, the leases.
-- ARGV: replica, length of a lease.
-- Returns the number of the last settlement, and the replicas whose leases have lapsed.

local now, length = clock(), tonumber(ARGV[2])
redis.call('ZADD', KEYS[2], text(now + length), ARGV[1])
redis.call('PERSIST', KEYS[1])
-- If the clock was set back, leases would last too long, so they are shortened.
for _, replica in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. text(now + length), '+inf')) do
  redis.call('ZADD', KEYS[2], text(now + length), replica)
end
local lapsed = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', text(now), 'LIMIT', 0, 16)
return { tonumber(redis.call('HGET', KEYS[1], 'settled') or 0), lapsed }
