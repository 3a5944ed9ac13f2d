-- Replaces the amounts that a call has reserved by those that it used.
-- KEYS: the replica's reservations, the mark of a void ID, then each scope.
-- ARGV: ID, number of the settlement, milliseconds since the call began, how long an unknown ID
-- stays void (0: it is not marked), requests, input, output, money, limits, names of scopes, number
-- of the settlement that has to precede it (0: none).
-- Replies: 0 was settled before; 1 settled; 2 no reservation was found, and the whole usage is
-- charged; 3 the reservation had lapsed, and its charge is corrected; 4 the preceding settlement is
-- missing.

local id, number = ARGV[1], tonumber(ARGV[2])
local found = redis.call('HMGET', KEYS[1], 'settled', id)
-- A replica's settlements are executed in the order of their numbers, so the last number shows
-- which of them have been executed.
local settled = tonumber(found[1] or 0)
if number <= settled then return 0 end
if settled < tonumber(ARGV[11]) then return 4 end

local now, used = clock(), amounts_at(5)
local record = found[2] and record_of(found[2])
local began = record and record.at or now - tonumber(ARGV[3])
local state = record and record.state or 'unknown'
for _, level in ipairs(levels(ARGV[9], 3)) do
  if level.kind ~= 0 then
    local reserved = record and of(level.kind, record.amounts) or 0
    correct(level, reserved, of(level.kind, used), began, now)
  elseif state == 'open' then
    correct(level, 1, 0, began, now)
  end
end
redis.call('HSET', KEYS[1], 'settled', ARGV[2])
redis.call('HDEL', KEYS[1], id)
if not record and ARGV[4] ~= '0' then
  redis.call('SET', KEYS[2], '1', 'PX', ARGV[4])
end
log(' settle ', id, ' ', text(now), ' ', state, ' ', ARGV[5], ' ', ARGV[6], ' ', ARGV[7], ' ',
  ARGV[8], ' ', ARGV[9], ' ', ARGV[10], ' ', text(began), ' ', ARGV[2])
if state == 'open' then return 1 end
return record and 3 or 2
