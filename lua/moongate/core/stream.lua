--- A raw stream: bytes both ways, of a request that was taken over (ctx:upgrade, ctx:tunnel), of a
--- connection to another server (moongate.tcp), of one that came to app:stream. Pair of
--- src/lua/bind_stream.c.
---
--- Reads are Futures; one reads at a time. write suspends while the peer is slow. What was taken
--- over ends with the request's scope: when the function that got the stream returns, when the peer
--- leaves, when the server has stopped. Who ends the others: tcp.lua, core/app/streams.lua.
local native = require("moongate.native")
local errors = require("moongate.core.errors")
local scopes = require("moongate.core.scope")
local text = require("moongate.core.text")
local settled = require("moongate.core.future.settled")
local Future = require("moongate.future")
local time = require("moongate.time")
local named, current_scope = Future._named, Future._current_scope

local M = {}

local READ_MAX = native.constants.stream_read_max -- bytes of one read
local DELIMITER_MAX = native.constants.stream_delimiter_max
local BEFORE_DELIMITER = 65536 -- unless a script says more

---@class moongate.Stream
local Stream = {}
Stream.__index = Stream

--- A stream of C's handle, in the scope of its request; false: each call is of the scope in which
--- it is made. `most`: bytes before a delimiter, unless a call says more.
---@return moongate.Stream
function M.new(scope, handle, most)
  return setmetatable({
    scope = scope, handle = handle, room = false, most = most or BEFORE_DELIMITER,
    guard = false, -- core/connecting.lua: what ends with its scope
  }, Stream)
end

--- Adds what a kind of stream has besides.
---@param methods table of functions
function M.extend(methods)
  return setmetatable(methods, { __index = Stream })
end

local function scope_of(stream)
  return stream.scope or current_scope()
end

--- The request is over. `failed`: the peer learns that by a reset.
function M.release(stream, failed)
  native.tunnel_release(stream.handle, failed)
end

-- --- reading ---

local function read(stream, n, delimiter, level)
  local ctx = scope_of(stream)
  local result, a, b = native.tunnel_read(stream.handle, n, delimiter)
  if result == true then
    return (settled.resolved(ctx, a, level + 1))
  elseif result == false then
    return (settled.rejected(ctx, a, b, level + 1))
  elseif result then
    return (time.operation(result, ctx, level + 1))
  elseif time.is_over(ctx) then
    return (settled.abandoned(ctx, level + 1))
  elseif a == "busy" then
    return (settled.rejected(ctx, "protocol", "somebody else is reading the stream", level + 1))
  end
  return (settled.rejected(ctx, "closed", "the stream is closed", level + 1))
end

local function check_count(what, n)
  if type(n) ~= "number" or n < 1 or n > READ_MAX or n % 1 ~= 0 then
    error(("%s: an integer from 1 to %d is wanted, not %s"):format(what, READ_MAX, text.shown(n)),
      3)
  end
  return n
end

--- `n` bytes, fewer only at the end; without `n` whatever has come, one byte at least. nil behind
--- the last byte.
---@param n integer?
---@return moongate.Future of a string or nil
function Stream:read(n)
  return (named("read", read(self, n and check_count("read", n) or 0, nil, 2)))
end

--- A line without its LF or CRLF; the last one may have none. nil behind the last. Rejected with
--- code "limit" if it is longer than `most` bytes.
---@param most integer? 65536 unless given
---@return moongate.Future of a string or nil
function Stream:read_line(most)
  local most_bytes = check_count("read_line", most or self.most)
  return (named("read_line", read(self, most_bytes, "", 2)))
end

--- What comes before `delimiter`, which is taken away. nil if nothing is left; rejected with code
--- "closed" if the peer ends before it, with "limit" if more than `most` bytes come before it.
---@param delimiter string of at most 256 bytes
---@param most integer? 65536 unless given
---@return moongate.Future of a string or nil
function Stream:read_until(delimiter, most)
  if type(delimiter) ~= "string" or delimiter == "" or #delimiter > DELIMITER_MAX then
    error(("read_until: a delimiter of 1 to %d bytes is wanted"):format(DELIMITER_MAX), 2)
  end
  local most_bytes = check_count("read_until", most or self.most)
  return (named("read_until", read(self, most_bytes, delimiter, 2)))
end

-- --- writing ---

-- Several may wait for the same room.
local function await_room(stream)
  local room = stream.room
  if not room or room:state() ~= "pending" then
    local handle = native.tunnel_room(stream.handle)
    if not handle then
      return
    end
    room = time.operation(handle, scope_of(stream), 3)
    stream.room = room
  end
  room:await()
end

--- Sends; suspends while the peer is slow. Raises with code "closed" once nothing can be sent.
---@param data string|number
---@return moongate.Stream
function Stream:write(data)
  local bytes, wrong = text.of(data)
  if not bytes then
    error("stream:write: " .. wrong, 2)
  end
  local cancelled = scope_of(self)[scopes.CANCELLED]
  if cancelled then
    Future._raise(cancelled)
  end
  local ok = native.tunnel_write(self.handle, bytes)
  if ok == nil then
    Future._raise(errors.new("closed", "the stream is closed"))
  elseif not ok then
    await_room(self)
  end
  return self
end

--- Ends this side: the peer sees the end behind what was written. Reading goes on.
function Stream:shutdown()
  native.tunnel_shutdown(self.handle)
end

--- Ends both sides; what was written still leaves.
function Stream:close()
  native.tunnel_close(self.handle)
end

return M
