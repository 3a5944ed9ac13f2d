-- Ends the lease of a replica that has settled everything.
-- KEYS: the replica's reservations, the leases.
-- ARGV: replica.
-- Returns the number of reservations that are left. If there are any, the lease is not ended here,
-- but lapses.

local left = redis.call('HLEN', KEYS[1])
if redis.call('HEXISTS', KEYS[1], 'settled') == 1 then left = left - 1 end
if left == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('DEL', KEYS[1])
end
return left
