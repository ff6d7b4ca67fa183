--- A client of memcached's text protocol: get, set and delete over a few kept connections.
local moongate = require("moongate")

local M = {}

local SECONDS = 1 -- for a connection, and for an answer
local KEPT = 4 -- connections that wait for the next question

local Client = {}
Client.__index = Client

---@param address string "host:port"
function M.new(address)
  return setmetatable({ address = address, idle = {} }, Client)
end

-- Runs `ask(s)` on a connection, which is kept unless that fails.
local function with_connection(self, ask)
  local s = table.remove(self.idle)
    or moongate.tcp.connect(self.address, { timeout = SECONDS }):await()
  local value = ask(s)
  if #self.idle < KEPT then
    self.idle[#self.idle + 1] = s:detach()
  else
    s:close()
  end
  return value
end

local function line_of(s)
  return s:read_line():timeout(SECONDS):await() or error("the server has left")
end

local function expect(s, wanted, other)
  local line = line_of(s)
  if line ~= wanted and line ~= other then
    s:close()
    error("the server said " .. line)
  end
  return line == wanted
end

---@return string? nil: it is not there
function Client:get(key)
  return with_connection(self, function(s)
    s:write("get " .. key .. "\r\n")
    local size = line_of(s):match("^VALUE %S+ %d+ (%d+)$")
    if not size then
      return nil -- END
    end
    local value = s:read(size + 2):timeout(SECONDS):await():sub(1, -3)
    expect(s, "END")
    return value
  end)
end

---@param ttl integer? seconds; none: for ever
function Client:set(key, value, ttl)
  return with_connection(self, function(s)
    s:write(("set %s 0 %d %d\r\n%s\r\n"):format(key, ttl or 0, #value, value))
    return expect(s, "STORED")
  end)
end

---@return boolean it was there
function Client:delete(key)
  return with_connection(self, function(s)
    s:write("delete " .. key .. "\r\n")
    return expect(s, "DELETED", "NOT_FOUND")
  end)
end

return M
