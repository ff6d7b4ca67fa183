--- A raw client connection: bytes go out exactly as given, responses go through the strict parser.
local socket = require("socket")
local unix = require("socket.unix")
local response = require("support.response")
local M = {}

local DEADLINE = 15 -- seconds without a byte after which a test fails

local Wire = {}
Wire.__index = Wire

local function wrap(sock)
  sock:settimeout(DEADLINE)
  -- What has come and is not yet read: buffer from `at` on.
  return setmetatable({ sock = sock, buffer = "", at = 1 }, Wire)
end

--- Connects to host:port.
---@param options table|nil receive_buffer: bytes, for slow readers
function M.connect(host, port, options)
  local v6 = host:find(":", 1, true)
  local sock = assert((v6 and socket.tcp6 or socket.tcp4)())
  if options and options.receive_buffer then
    assert(sock:setoption("recv-buffer-size", options.receive_buffer))
  end
  sock:settimeout(DEADLINE)
  assert(sock:connect(host, port))
  sock:setoption("tcp-nodelay", true)
  return wrap(sock)
end

function M.connect_unix(path)
  local sock = assert(unix.stream())
  sock:settimeout(DEADLINE)
  assert(sock:connect(path))
  return wrap(sock)
end

--- Sends all, or what the peer takes before it closes (a refusal may come before the end).
---@return boolean everything was taken
function Wire:send(bytes)
  local sent = self.sock:send(bytes)
  return sent == #bytes
end

--- One segment a byte.
function Wire:send_slowly(bytes)
  for i = 1, #bytes do
    if not self:send(bytes:sub(i, i)) then
      return false
    end
  end
  return true
end

--- Two segments, the second from `at` + 1 on.
function Wire:send_split(bytes, at)
  return self:send(bytes:sub(1, at)) and self:send(bytes:sub(at + 1))
end


-- LuaSocket's receive(n) waits for all n bytes; one byte first, then what is there.
function Wire:fill_some()
  local first, err = self.sock:receive(1)
  if not first then
    return nil, err
  end
  self.sock:settimeout(0)
  local data, _, partial = self.sock:receive(65536)
  self.sock:settimeout(DEADLINE)
  self:keep(self:unread() .. first .. (data or partial or ""))
  return true
end

function Wire:unread()
  return self.buffer:sub(self.at)
end

function Wire:keep(bytes)
  self.buffer, self.at = bytes, 1
end

local function must(ok, err, what)
  if not ok then
    error(what .. ": the connection gave " .. tostring(err), 0)
  end
end

function Wire:take_line()
  while true do
    local at = self.buffer:find("\n", self.at, true)
    if at then
      local line = self.buffer:sub(self.at, at)
      self.at = at + 1
      assert(line:sub(-2) == "\r\n", "a line ends in LF without CR")
      return line:sub(1, -3)
    end
    local ok, err = self:fill_some()
    must(ok, err, "waiting for a line")
  end
end

--- A line of another protocol than HTTP: LF ends it.
function Wire:take_text_line()
  local bytes = {}
  repeat
    bytes[#bytes + 1] = self:take(1)
  until bytes[#bytes] == "\n"
  return table.concat(bytes, "", 1, #bytes - 1)
end

function Wire:take(n)
  local have = #self.buffer - self.at + 1
  if have >= n then
    self.at = self.at + n
    return self.buffer:sub(self.at - n, self.at - 1)
  end
  local data, err = self.sock:receive(n - have)
  must(data, err, "waiting for " .. n .. " bytes")
  local all = self:unread() .. data
  self:keep("")
  return all
end

--- Everything up to the peer's end (LuaSocket does not tell a reset from a FIN). Silence raises.
function Wire:take_rest()
  local data, err, partial = self.sock:receive("*a")
  if not data and err ~= "closed" then
    error("waiting for the end: the connection gave " .. tostring(err), 0)
  end
  local all = self:unread() .. (data or partial)
  self:keep("")
  return all
end

--- Reads one response.
---@param method string|nil of the request that it answers; default GET
function Wire:read(method)
  return response.read(self, method)
end

--- True if the peer closes (by FIN or reset) without sending anything further.
function Wire:is_closed()
  if #self:unread() > 0 then
    return false, self:unread()
  end
  local byte, err = self.sock:receive(1)
  if byte then
    self:keep(byte)
    return false, byte
  end
  return err == "closed", err
end

--- True if nothing has come so far and the connection stands. Sound only after an event.
function Wire:is_quiet()
  if #self:unread() > 0 then
    return false
  end
  self.sock:settimeout(0)
  local byte, err = self.sock:receive(1)
  self.sock:settimeout(DEADLINE)
  if byte then
    self:keep(byte)
  end
  return err == "timeout"
end

function Wire:finish_sending()
  self.sock:shutdown("send")
end

function Wire:close()
  self.sock:close()
end

--- Closes with a RST.
function Wire:reset()
  self.sock:setoption("linger", { on = true, timeout = 0 })
  self.sock:close()
end

--- Sends a request and reads its answer.
function Wire:request(bytes, method)
  self:send(bytes)
  return self:read(method or bytes:match("^%u+"))
end

--- A request in bytes: get("/x", "Name: value", ...).
function M.get(target, ...)
  return M.head_of("GET", target, ...) .. "\r\n"
end

function M.head_of(method, target, ...)
  local lines = { method .. " " .. target .. " HTTP/1.1", "Host: moongate.test", ... }
  return table.concat(lines, "\r\n") .. "\r\n"
end

--- A request with a body and its Content-Length.
function M.post(target, body, ...)
  return M.head_of("POST", target, "Content-Length: " .. #body, ...) .. "\r\n" .. body
end

--- A chunked request; each further argument is one chunk.
function M.post_chunked(target, ...)
  local out = { M.head_of("POST", target, "Transfer-Encoding: chunked"), "\r\n" }
  for _, chunk in ipairs({ ... }) do
    out[#out + 1] = string.format("%x\r\n%s\r\n", #chunk, chunk)
  end
  return table.concat(out) .. "0\r\n\r\n"
end

return M
