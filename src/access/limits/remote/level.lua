-- The arithmetic of one count, which must give the same numbers as ../level.rs. All scripts include
-- it. Numbers are doubles, which are exact up to 2^53; the bounds of the configuration keep counts
-- below. Times are milliseconds since 1970 by the store's clock.

local MINUTE = 60000
local DAY = 86400000
-- The window of each kind of limit, by the kind's number.
local WINDOWS = {
  [0] = 'open', 'minute', 'minute', 'minute', 'minute', 'day', 'month', 'day', 'month',
}

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Returns an integer as text. Lua itself would write 1e+15.
local function text(number)
  return string.format('%.0f', number)
end

local function month_of(day)
  day = day + 719468
  local era = math.floor(day / 146097)
  local of_era = day % 146097
  local year = math.floor((of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524)
    - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local from_march = math.floor((5 * of_year + 2) / 153)
  local month = from_march < 10 and from_march + 3 or from_march - 9
  if month <= 2 then year = year + 1 end
  return (era * 400 + year) * 12 + month
end

-- Returns the number of the day or month that contains a time.
local function number_of(window, time)
  local day = math.floor(time / DAY)
  return window == 'month' and month_of(day) or day
end

-- Returns requests, input, output and cost, which are four consecutive arguments.
local function amounts_at(i)
  return {
    tonumber(ARGV[i]), tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]),
  }
end

-- Returns the part of the amounts that a kind of limit counts.
local function of(kind, amounts)
  if kind == 0 then return 1 end
  if kind == 1 then return amounts[1] end
  if kind == 2 or kind == 5 or kind == 6 then return amounts[2] + amounts[3] end
  if kind == 3 then return amounts[2] end
  if kind == 4 then return amounts[3] end
  return amounts[4]
end

-- Returns the limits of all scopes with their counts. `scopes` contains `kind:most,kind:most` for
-- each scope, separated by `;`. The keys of the scopes are consecutive, from the number `first`.
local function levels(scopes, first)
  local all, key = {}, first
  for scope in string.gmatch(scopes, '[^;]+') do
    local kinds = {}
    for kind, most in string.gmatch(scope, '(%d+):(%d+)') do
      kinds[#kinds + 1] = kind
      all[#all + 1] = { key = KEYS[key], field = kind, kind = tonumber(kind), most = tonumber(most) }
    end
    local found = redis.call('HMGET', KEYS[key], unpack(kinds))
    for i = 1, #kinds do
      local level = all[#all - #kinds + i]
      local taken, at = string.match(found[i] or '', '^(%d+) (%d+)$')
      level.taken, level.at = tonumber(taken or 0), tonumber(at or 0)
    end
    key = key + 1
  end
  return all
end

-- Returns a count at this time. If the clock was set back, nothing has been refilled.
local function current(level, now)
  local window = WINDOWS[level.kind]
  if window == 'open' then return level.taken, level.at end
  if window == 'minute' then
    local at = math.max(level.at, now)
    return math.max(level.taken - (at - level.at) * level.most, 0), at
  end
  local number = number_of(window, now)
  if number > level.at then return 0, number end
  return level.taken, level.at
end

local function scaled(level, amount)
  return WINDOWS[level.kind] == 'minute' and amount * MINUTE or amount
end

-- Returns whether a further amount fits into the limit.
local function fits(level, amount, now)
  local taken = current(level, now)
  return taken + scaled(level, amount) <= scaled(level, level.most)
end

local function keep(level)
  redis.call('HSET', level.key, level.field, text(level.taken) .. ' ' .. text(level.at))
end

local function take(level, amount, now)
  level.taken, level.at = current(level, now)
  level.taken = level.taken + scaled(level, amount)
  keep(level)
end

-- Corrects the amount of a call that took `taken` at the time `began` and has used `actual`.
-- Nothing changes if that day or month is over.
local function correct(level, taken, actual, began, now)
  level.taken, level.at = current(level, now)
  local window = WINDOWS[level.kind]
  if window == 'open' or window == 'minute' or number_of(window, began) == level.at then
    level.taken = math.max(level.taken + scaled(level, actual - taken), 0)
  end
  keep(level)
end

-- Logs a decision, if the store's log level is `debug`.
local function log(...)
  redis.log(redis.LOG_DEBUG, 'limits', ...)
end

-- The reservations of a replica are fields of a hash, by their IDs. A value contains the time, the
-- state (open or lapsed), the amounts, the limits, and the names of the scopes.
local RECORD = '^(%d+) (%l+) (%d+) (%d+) (%d+) (%d+) '
local function record_of(value)
  local at, state, requests, input, output, money = string.match(value, RECORD)
  return {
    at = tonumber(at),
    state = state,
    amounts = { tonumber(requests), tonumber(input), tonumber(output), tonumber(money) },
  }
end
