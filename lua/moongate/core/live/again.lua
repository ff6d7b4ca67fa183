--- A WebSocket to another server whose connection is opened again whenever it fails: a coroutine
--- waits for its end, and tries until there is another connection. What the server sends meanwhile
--- is missed: that is said in the log, and to the function `opened`.
local native = require("moongate.native")
local check = require("moongate.core.check")
local errors = require("moongate.core.errors")
local log = require("moongate.log")
local Future = require("moongate.future")
local time = require("moongate.time")

local M = {}

local WAIT, MOST = 0.5, 30 -- seconds before the first try, and at most
local FINAL = { [1000] = true, [1008] = true } -- the server wants no more of it

local OPTIONS = {
  wait = check.seconds, most = check.seconds, tries = check.positive_integer,
  opened = check.callable,
}

--- Checks the option `reconnect`.
---@return table|false
function M.option(name, value)
  if type(value) == "boolean" then
    return value and { wait = WAIT, most = MOST }
  end
  local given = check.options(name, value, OPTIONS)
  given.wait, given.most = given.wait or WAIT, given.most or MOST
  return given
end

-- An answer of 4xx will be the same the next time, but for those that ask for patience.
local function is_final(status)
  return status and status >= 400 and status < 500 and status ~= 408 and status ~= 425
    and status ~= 429
end

-- One try; nil and whether another one is of no use.
local function try(socket, dial)
  local handle = dial(socket.request)
  if not handle then
    return nil, true
  end
  local opened, err = time.operation(handle, Future._current_scope(), 2):try_await()
  return opened, err and is_final(errors.field(err, "answered"))
end

-- Half of each wait is left to chance, so that those who lost a server together do not come back
-- together. Returns the connection, or nil.
local function try_again(socket, dial)
  local options = socket.request.options.reconnect
  local wait, tries = options.wait, 0
  repeat
    time.sleep(wait * (0.5 + math.random() / 2)):await()
    local opened, hopeless = try(socket, dial)
    tries, wait = tries + 1, math.min(wait * 2, options.most)
    if opened then
      return opened, tries
    end
  until hopeless or tries == options.tries
  return nil, tries
end

local function tell_opened(socket, code, tries)
  log.warn(socket.url .. ": connected again; messages may have been missed", {
    code = code, tries = tries,
  })
  local opened = socket.request.options.reconnect.opened
  if opened then
    local ok, err = pcall(opened, socket, code)
    if not ok then
      log.failure("the function opened of " .. socket.url .. " failed", err)
    end
  end
end

-- Whoever waits for another connection looks again.
local function wake(socket, next_one)
  local waited_for = socket.again
  socket.again = next_one
  waited_for:resolve()
end

local function run(socket, dial, adopt)
  while true do
    local ended = native.websocket_ended(socket.handle)
    local code = ended and time.operation(ended, Future._current_scope(), 2):await()
    local opened, tries
    if not FINAL[code] then
      opened, tries = try_again(socket, dial)
    end
    if not opened then
      if tries then
        log.warn(socket.url .. ": could not be connected again", { code = code, tries = tries })
      end
      return wake(socket, false)
    end
    adopt(socket, opened)
    tell_opened(socket, code, tries)
    wake(socket, Future.deferred())
  end
end

local function start(socket, scope)
  socket.keeper = time.spawn_in(scope, 2, run, socket, socket.dial, socket.adopt)
  socket.keeper:catch(function(err)
    if not errors.is_cancellation(err) then
      log.failure(socket.url .. ": could not be connected again", err)
    end
  end)
end

--- From now on its connection is opened again when it fails.
---@param dial fun(request: table): integer? operation of another connection
---@param adopt fun(socket: table, opened: table)
function M.keep(socket, scope, dial, adopt)
  socket.again, socket.dial, socket.adopt = Future.deferred(), dial, adopt
  start(socket, scope)
end

--- No other connection is wanted.
function M.stop(socket)
  socket.closing = true
  if socket.keeper then
    socket.keeper:cancel("the socket is closed")
  end
  if socket.again then
    socket.again:resolve()
  end
end

--- It goes on in another scope.
function M.move(socket, scope)
  if socket.keeper then
    socket.keeper:cancel("it goes on elsewhere")
    start(socket, scope)
  end
end

return M
