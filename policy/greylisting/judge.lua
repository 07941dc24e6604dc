-- The same decision as decision.judge, made by the server in one step: several hosts may ask at once.
--
-- KEYS: the origin, the triplet.
-- ARGV: now, delay, retry_window, max_age, auto_allow, auto_allow_interval, touch, counts ("1" or "0").
-- Gives the outcome, and the seconds to wait or waited.

local now = tonumber(ARGV[1])
local delay = tonumber(ARGV[2])
local retry_window = tonumber(ARGV[3])
local max_age = tonumber(ARGV[4])
local auto_allow = tonumber(ARGV[5])
local interval = tonumber(ARGV[6])
local touch = tonumber(ARGV[7])
local counts = ARGV[8] == "1"

local function written(seconds)
  return string.format("%.3f", seconds)
end

local function expire(key, seconds)
  -- At least 1: with 0 the server would remove it at once.
  redis.call("PEXPIRE", key, string.format("%.0f", math.max(1, math.ceil(seconds * 1000))))
end

local function put_origin(deliveries, counted, last)
  redis.call("HSET", KEYS[1], "deliveries", string.format("%.0f", deliveries),
             "counted", written(counted), "last", written(last))
  expire(KEYS[1], max_age)
end

local function put_triplet(first, last, passed)
  redis.call("HSET", KEYS[2], "first", written(first), "last", written(last), "passed", passed and "1" or "0")
  if passed then
    expire(KEYS[2], max_age)
  else
    expire(KEYS[2], first + retry_window - now)
  end
end

local function is_fresh(last)
  return now >= last and now - last < touch
end

local origin = redis.call("HMGET", KEYS[1], "deliveries", "counted", "last", "pinned")
if origin[4] == "1" then
  return {"pinned", "0"}
end
local deliveries, counted, last_delivery
if origin[1] and now - tonumber(origin[3]) <= max_age then
  deliveries, counted, last_delivery = tonumber(origin[1]), tonumber(origin[2]), tonumber(origin[3])
  if auto_allow > 0 and deliveries >= auto_allow then
    if not is_fresh(last_delivery) then
      put_origin(deliveries, counted, now)
    end
    return {"auto", "0"}
  end
end

local function deliver()
  if not counts or auto_allow == 0 then
    return
  end
  if not deliveries then
    put_origin(1, now, now)
    return
  end
  local earlier = math.min(counted, now)
  if now - earlier >= interval then
    put_origin(deliveries + 1, now, now)
  elseif not is_fresh(last_delivery) then
    put_origin(deliveries, earlier, now)
  elseif earlier ~= counted then
    put_origin(deliveries, earlier, last_delivery)
  end
end

local triplet = redis.call("HMGET", KEYS[2], "first", "last", "passed")
local first, last, passed = tonumber(triplet[1] or nil), tonumber(triplet[2] or nil), triplet[3] == "1"
local expires = first and (passed and last + max_age or first + retry_window)
if not first or now > expires then
  if delay > 0 then
    put_triplet(now, now, false)
    return {"deferred", written(delay)}
  end
  first, last, passed = now, now, false
end

if passed then
  if not is_fresh(last) then
    put_triplet(math.min(first, now), now, true)
  end
  deliver()
  return {"known", "0"}
end

local waited = now - math.min(first, now)
if waited < delay then
  if first > now then
    put_triplet(now, now, false)
  end
  return {"deferred", written(delay - waited)}
end
put_triplet(math.min(first, now), now, true)
deliver()
return {"delayed", written(waited)}
