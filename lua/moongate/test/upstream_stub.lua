--- Upstreams of specs: the servers at the other end of what the proxy dials, in memory and virtual
--- time. Everything above the socket is the real code: balance, retries, ejection, hedging.
---
--- The clock's turns drive it (clock.lua): M.poll looks for connections and requests that came.
local native = require("moongate.native")
local answers = require("moongate.test.answers")
local check = require("moongate.core.check")
local errors = require("moongate.core.errors")
local http_stub = require("moongate.test.http_stub")
local suggest = require("moongate.core.suggest")
local wire = require("moongate.test.wire")
local Future = require("moongate.future")

local M = {}

local current -- the app whose upstreams are there

-- --- servers ---

---@class moongate.test.UpstreamServer
---@field name string as in the configuration, such as "http://127.0.0.1:9001"
---@field answer any
---@field connections integer that were accepted
---@field requests table[] { method, path, headers, body, at (virtual seconds), server, cancelled }

-- "host:port" of a server's URL, or the path of its Unix socket.
local function address_of(url)
  local path = url:match("^unix:(.*)$")
  if path then
    return path
  end
  local scheme, authority = url:match("^(%w+)://([^/]*)")
  if authority:find(":%d+$") then
    return (authority:gsub("[%[%]]", ""))
  end
  return (authority:gsub("[%[%]]", "")) .. (scheme == "https" and ":443" or ":80")
end

local function url_of(server)
  return type(server) == "table" and (server.url or server[1]) or server
end

local function urls_of(upstream)
  local urls = {}
  for i, server in ipairs(upstream.servers or upstream) do
    urls[i] = url_of(server)
  end
  return urls
end

local function find_url(urls, key)
  if type(key) == "number" then
    return urls[key]
  end
  for _, url in ipairs(urls) do
    if url == key or address_of(url) == key then
      return url
    end
  end
end

local function set_of(list)
  local set = {}
  for _, value in ipairs(list) do
    set[value] = true
  end
  return set
end

-- --- connections ---

local function refuse_unknown(address)
  error(("the app connects to %s, which no stub answers, and specs have no network; write:\n  "
    .. "app:stub_upstream(NAME, { [\"http://%s\"] = { status = 200, body = \"...\" } })")
    :format(address, address), 0)
end

local function accept_all(net)
  while true do
    local number, host, port = native.test_next_dial()
    if not number then
      return
    end
    local address = port == 0 and host or host .. ":" .. port
    local server = net.servers[address] or refuse_unknown(address)
    net.moved = true
    if answers.take_refusal(server.answer) then
      native.test_refuse(number)
    else
      local peer = native.test_accept(number)
      if peer then
        server.connections = server.connections + 1
        net.peers[#net.peers + 1] = { peer = peer, server = server, served = 0 }
      end
    end
  end
end

-- --- requests ---

local PHRASE = native.http.status_phrase

local function bytes_of(response, request)
  local lines = { ("HTTP/1.1 %d %s"):format(response.status, PHRASE(response.status)) }
  for name, value in pairs(response.headers) do
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      lines[#lines + 1] = name .. ": " .. one
    end
  end
  local bodyless = response.status == 204 or response.status == 304
  if not bodyless and not response.headers["content-length"] then
    lines[#lines + 1] = "content-length: " .. #response.body
  end
  local head = table.concat(lines, "\r\n") .. "\r\n\r\n"
  return head .. ((bodyless or request.method == "HEAD") and "" or response.body)
end

local function finish(conn, request, future)
  conn.busy = false
  if request.cancelled then
    return
  elseif future:state() == "resolved" then
    conn.peer:send(bytes_of(Future._values(future), request))
  else
    conn.peer:close(errors.code(future._value) ~= "closed") -- a FIN, or a reset
    conn.over = true
  end
end

-- The server's answer to it, now or later.
local function serve(net, conn, request)
  local server = conn.server
  conn.busy, conn.request = true, request
  request.server, request.at = server.name, net.app.clock:elapsed()
  server.requests[#server.requests + 1] = request
  net.requests[#net.requests + 1] = request
  local call = {
    scope = net.app.served.root,
    args = { n = 1, request },
    shape = function(value)
      return http_stub.response(value, { url = server.name .. request.path })
    end,
  }
  local future = answers.future(call, server.answer, 0)
  future._looked_at = true
  request.future = future
  Future._react(future, {
    scope = net.app.served.root,
    direct = function()
      finish(conn, request, future)
    end,
  })
end

local function cancel(conn)
  conn.over = true
  if conn.busy then
    conn.request.cancelled = true
    conn.request.future:cancel("the gateway closed the connection")
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

--- Looks for what has come since the last turn of the loop.
---@return boolean something has happened
function M.poll()
  local net = current
  if not net then
    return false
  end
  net.moved = false
  accept_all(net)
  for i = #net.peers, 1, -1 do
    local conn = net.peers[i]
    if not conn.over and look(net, conn) then
      net.moved = true
    end
    if conn.over then
      table.remove(net.peers, i)
    end
  end
  return net.moved
end

-- --- the app's ---

--- The app has these upstreams: { name = as in the configuration }.
function M.install(app, upstreams)
  app.net = { app = app, upstreams = upstreams or {}, servers = {}, peers = {}, requests = {} }
  current = app.net
end

function M.remove(app)
  for _, conn in ipairs(app.net.peers) do
    conn.peer:close(true)
  end
  app.net.peers = {}
  if current == app.net then
    current = nil
  end
end

--- Sets what the servers of an upstream answer, by URL, "host:port" or number. See moongate.test:
--- app:stub_upstream.
function M.stub(app, name, by_server)
  check.string("stub_upstream: the name", name)
  local net = app.net
  if not net.upstreams[name] then
    check.fail(('stub_upstream: the app has no upstream "%s"%s: give it to test.app as { upstreams '
      .. "= { %s = { ... } } }"):format(name, suggest.for_name(name, net.upstreams), name))
  end
  check.type("stub_upstream", by_server, "table")
  local urls = urls_of(net.upstreams[name])
  for key, answer in pairs(by_server) do
    local url = find_url(urls, key)
    if not url then
      check.fail(('stub_upstream: "%s" has no server %s%s'):format(name, tostring(key),
        suggest.for_name(tostring(key), set_of(urls))))
    end
    local address = address_of(url)
    local server = net.servers[address] or { name = url, connections = 0, requests = {} }
    server.answer = answer
    net.servers[address] = server
  end
end

--- The requests that servers of that upstream have had, in order.
function M.requests(app, name)
  local upstream = app.net.upstreams[name]
  if not upstream then
    check.fail(('requests_to: the app has no upstream "%s"%s'):format(tostring(name),
      suggest.for_name(name, app.net.upstreams)))
  end
  local of_it, list = set_of(urls_of(upstream)), {}
  for _, request in ipairs(app.net.requests) do
    if of_it[request.server] then
      list[#list + 1] = request
    end
  end
  return list
end

return M
