--- The other side of it: memcached's text protocol over the cache of all workers.
local moongate = require("moongate")

local M = {}

local VALUE_BYTES = 1024 * 1024

local commands = {}

function commands.get(s, ...)
  for _, key in ipairs({ ... }) do
    local value = moongate.cache():get(key):await()
    if value then
      s:write(("VALUE %s 0 %d\r\n%s\r\n"):format(key, #value, value))
    end
  end
  s:write("END\r\n")
end

function commands.set(s, key, _, ttl, size)
  size = tonumber(size)
  if not key or not size or size > VALUE_BYTES then
    s:write("CLIENT_ERROR bad data chunk\r\n")
    return s:close()
  end
  local value = size > 0 and s:read(size):await() or ""
  s:read(2):await() -- its CRLF
  ttl = tonumber(ttl)
  moongate.cache():set(key, value, { ttl = ttl and ttl > 0 and ttl or nil }):await()
  s:write("STORED\r\n")
end

function commands.delete(s, key)
  local was_there = moongate.cache():get(key):await() ~= nil
  moongate.cache():delete(key):await()
  s:write(was_there and "DELETED\r\n" or "NOT_FOUND\r\n")
end

function commands.version(s)
  s:write("VERSION moongate " .. moongate.version .. "\r\n")
end

function commands.quit(s)
  s:close()
end

--- Serves one connection.
---@param s moongate.ServerStream
function M.serve(s)
  for line in function() return s:read_line():await() end do
    local words = {}
    for word in line:gmatch("%S+") do
      words[#words + 1] = word
    end
    local command = commands[words[1]]
    if command then
      command(s, unpack(words, 2))
    else
      s:write("ERROR\r\n")
    end
  end
end

return M
