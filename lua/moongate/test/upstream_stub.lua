--- Upstreams of specs: which servers in the network (net.lua) are theirs, and what these answer.
local check = require("moongate.core.check")
local net = require("moongate.test.net")
local reply = require("moongate.test.reply")
local suggest = require("moongate.core.suggest")

local M = {}

-- --- servers ---

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

-- --- the app's ---

--- The app has these upstreams: { name = as in the configuration }.
function M.install(app, upstreams)
  app.upstreams = upstreams or {}
end

local function set_answer(servers, url, answer)
  local address = address_of(url)
  servers[address] = servers[address] or { name = url, connections = 0 }
  servers[address].answer = answer
end

local function by_number(urls, answer)
  local answers = {}
  for i in ipairs(urls) do
    answers[i] = answer
  end
  return answers
end

--- Sets what the servers of an upstream answer: each of them, or by URL, "host:port" or number. See
--- moongate.test: app:stub_upstream.
function M.stub(app, name, by_server)
  check.string("stub_upstream: the name", name)
  local upstream = app.upstreams[name]
  if name:find("^https?://") then
    set_answer(app.net.servers, name, by_server)
    return
  elseif not upstream then
    check.fail(('stub_upstream: the app has no upstream "%s"%s: give it to test.app as { upstreams '
      .. "= { %s = { ... } } }, or as { configuration = true } what conf/moongate.lua has")
      :format(name, suggest.for_name(name, app.upstreams), name))
  end
  local urls, servers = urls_of(upstream), app.net.servers
  if reply.is(by_server) then
    by_server = by_number(urls, by_server)
  end
  check.type("stub_upstream", by_server, "table")
  for key, answer in pairs(by_server) do
    local url = find_url(urls, key)
    if not url then
      check.fail(('stub_upstream: "%s" has no server %s%s'):format(name, tostring(key),
        suggest.for_name(tostring(key), set_of(urls))))
    end
    set_answer(servers, url, answer)
  end
end

--- The requests that servers of that upstream have had, in order.
function M.requests(app, name)
  local upstream = app.upstreams[name]
  if not upstream then
    check.fail(('requests_to: the app has no upstream "%s"%s'):format(name,
      suggest.for_name(name, app.upstreams)))
  end
  local of_it = set_of(urls_of(upstream))
  return net.requests(app, function(request)
    return of_it[request.server]
  end)
end

return M
