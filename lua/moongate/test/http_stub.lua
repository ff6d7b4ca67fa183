--- Stubs of HTTP calls: for each try of a call a server stands in the network of the spec
--- (net.lua), told from all others by the name that the call wants its server to have.
local native = require("moongate.native")
local headers_of = require("moongate.core.headers")
local options = require("moongate.core.http.options")

local M = {}

local STARTS = { "http_call", "http_open" }
local net, tries, started

for _, name in ipairs(STARTS) do
  M[name] = native[name]
end

--- { method, url, headers, body } of a call's arguments; nil, message if it is none that can be.
function M.request(...)
  local ok, request = pcall(options.normalize, ...)
  if not ok then
    return nil, request
  end
  return request
end

-- The server that answers it, once.
local function add_server(request, written)
  tries = tries + 1
  local name = "call-" .. tries .. ".spec"
  net.servers[name] = {
    name = request.url, url = request.url, connections = 0,
    choose = function()
      net.servers[name] = nil
      return started(request, written)
    end,
  }
  return name
end

local function copy_with_name(given, name)
  local copy = { server_name = name }
  for key, value in pairs(given or {}) do
    copy[key] = key ~= "server_name" and value or name
  end
  return copy
end

--- From now on each try of a call goes to a server of its own in the app's network, whose answer is
--- what `answer_for(request)` gives when it connects.
---@param app moongate.test.App
---@param answer_for fun(request: table, written: boolean): any `written`: the body is yet to come
function M.install(app, answer_for)
  net, tries, started = app.net, 0, answer_for
  for _, name in ipairs(STARTS) do
    local real = M[name]
    native[name] = function(method, url, headers, body, given)
      local request = {
        method = method, url = url, headers = headers_of.lowered(headers), body = body,
      }
      local server = add_server(request, given and given.upload)
      local handle, wrong = real(method, url, headers, body, copy_with_name(given, server))
      net.servers[server] = handle and net.servers[server]
      return handle, wrong
    end
  end
end

function M.remove()
  for _, name in ipairs(STARTS) do
    native[name] = M[name]
  end
end

return M
