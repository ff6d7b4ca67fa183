--- The network of specs: servers in memory at the other end of whatever the app dials. All above
--- the socket is the real code: a call's own time, redirects and pieces, retries, balance, hedging.
---
--- The clock's turns drive it (clock.lua): M.poll looks for connections and requests that came.
local native = require("moongate.native")
local answers = require("moongate.test.answers")
local errors = require("moongate.core.errors")
local reply = require("moongate.test.reply")
local streams = require("moongate.test.streams")
local wire = require("moongate.test.wire")
local Future = require("moongate.future")
local time = require("moongate.time")
local timers = require("moongate.core.timer")

local M = {}

local current -- the net of the app whose servers are there

---@class moongate.test.Server
---@field name string of requests to it, such as "http://127.0.0.1:9001"
---@field url string? of each request; nil: the name and the path that is asked for
---@field answer any
---@field choose (fun(): any)? gives the answer instead; asked at each connection
---@field connections integer that were accepted

-- --- connections ---

local function refuse_unknown(address)
  error(("the app connects to %s, which no stub answers, and specs have no network; write:\n  "
    .. "app:stub_upstream(NAME, { [\"http://%s\"] = { status = 200, body = \"...\" } })\n"
    .. "or, of another protocol:\n  app:stub_tcp(\"%s\", function(s) ... end)")
    :format(address, address, address), 0)
end

local function refuse(number, code, message, seconds)
  if seconds == 0 then
    native.test_refuse(number, code, message)
  else
    timers.after(seconds, function()
      native.test_refuse(number, code, message)
    end)
  end
end

local function choose(number, server)
  local ok, answer = pcall(server.choose)
  if not ok then
    native.test_refuse(number, "connect", "its stub failed")
    error(answer, 0)
  end
  return answer
end

local function accept(net, number, server)
  local answer = server.answer
  if server.choose then
    answer = choose(number, server)
  end
  local code, message, seconds = answers.take_refusal(answer)
  if code then
    refuse(number, code, message, seconds)
    return
  end
  if server.stream then
    server.connections = server.connections + 1
    streams.serve(net, number, answer)
    return
  end
  local peer = native.test_accept(number)
  if peer then -- the app still wants it
    server.connections = server.connections + 1
    net.peers[#net.peers + 1] = {
      peer = peer, server = server, answer = answer, busy = false, over = false,
    }
  end
end

local function accept_all(net)
  while true do
    local number, host, port, name = native.test_next_dial()
    if not number then
      return
    end
    local address = port == 0 and host or host .. ":" .. port
    net.moved = true
    accept(net, number, net.servers[name] or net.servers[address] or refuse_unknown(address))
  end
end

-- --- requests ---

local function drop(conn, reset)
  conn.over = true
  conn.peer:close(reset)
end

-- What crossed from a coroutine is wrapped.
local function as_raised(err)
  return errors.field(err, "cause") or err
end

-- A FIN, or what is no HTTP; else the mistake is the spec's own.
local function fail(conn, err)
  local code = errors.code(err)
  if code == "protocol" then
    conn.peer:send("this is no HTTP\r\n\r\n")
  end
  drop(conn, false)
  if not code or code == "error" then
    error(as_raised(err), 0)
  elseif code ~= "closed" and code ~= "protocol" then
    error(('a server cannot fail with code "%s": allowed are closed, connect, denied, dns, '
      .. "protocol, timeout, tls"):format(code), 0)
  end
end

-- A body in pieces, as the spec's function writes it.
local function write_pieces(net, conn, request, response)
  conn.writer = time.spawn_in(net.app.served.root, 2, reply.write, conn, response)
  conn.writer:and_then(function()
    conn.busy = false
  end, function(err)
    if not request.cancelled then
      drop(conn, true)
      net.fault = as_raised(err)
    end
  end)
end

local function finish(net, conn, request, future)
  if request.cancelled then
    return
  elseif future:state() ~= "resolved" then
    fail(conn, future._value)
    return
  end
  local response = Future._values(future)
  conn.peer:send(reply.head(response, request.method))
  if type(response.body) == "function" and request.method ~= "HEAD" then
    write_pieces(net, conn, request, response)
  else
    conn.busy = false
  end
end

-- What a mistake in the spec's answer raises is told by the next look.
local function finish_safely(net, conn, request, future)
  local ok, message = pcall(finish, net, conn, request, future)
  net.fault = net.fault or not ok and message or nil
end

local function note(net, conn, request)
  local server = conn.server
  conn.busy, conn.request = true, request
  request.server, request.at = server.name, net.app.clock:elapsed()
  request.url = server.url or server.name .. request.path
  net.requests[#net.requests + 1] = request
end

-- The server's answer to it, now or later.
local function serve(net, conn, request)
  note(net, conn, request)
  local root, answer = net.app.served.root, conn.server.answer
  if conn.server.choose then
    answer = conn.answer
  end
  local call = { scope = root, args = { n = 1, request }, shape = reply.new }
  local ok, future = pcall(answers.future, call, answer, 0)
  if not ok then
    drop(conn, true)
    error(future, 0)
  end
  future._looked_at = true
  request.future = future
  Future._react(future, {
    scope = root,
    direct = function()
      finish_safely(net, conn, request, future)
    end,
  })
end

local function cancel(conn)
  local request = conn.request
  conn.over = true
  if conn.busy then
    request.cancelled = true
    request.future:cancel("the gateway closed the connection")
    if conn.writer then
      conn.writer:cancel("the gateway closed the connection")
    end
  end
end

-- One look at a connection. True: something happened on it.
local function look(net, conn)
  local text, ended = conn.peer:received()
  if not conn.busy then
    local request, length = wire.parse_request(text)
    if request then
      conn.peer:take(length)
      serve(net, conn, request)
      return true
    end
  end
  if ended then
    cancel(conn)
    conn.peer:close(false)
    return true
  end
end

local function look_at_all(net)
  for i = #net.peers, 1, -1 do
    local conn = net.peers[i]
    if not conn.over and look(net, conn) then
      net.moved = true
    end
    if conn.over then
      table.remove(net.peers, i)
    end
  end
end

--- Looks for what has come since the last turn of the loop. Raises what is wrong with a stub.
---@return boolean something has happened
function M.poll()
  local net = current
  if not net then
    return false
  end
  net.moved = false
  accept_all(net)
  look_at_all(net)
  local fault = net.fault
  if fault then
    net.fault = nil
    error(fault, 0)
  end
  return net.moved
end

-- --- the app's ---

--- `servers`: by "host:port", by a Unix socket's path, or by the server_name of a call.
function M.install(app)
  app.net = { app = app, servers = {}, peers = {}, requests = {} }
  current = app.net
end

function M.remove(app)
  for _, conn in ipairs(app.net.peers) do
    cancel(conn)
    conn.peer:close(true)
  end
  app.net.peers = {}
  if current == app.net then
    current = nil
  end
end

--- The requests that servers have had, in order, of which `means(request)` is true.
---@return table[]
function M.requests(app, means)
  local list = {}
  for _, request in ipairs(app.net.requests) do
    if means(request) then
      list[#list + 1] = request
    end
  end
  return list
end

return M
