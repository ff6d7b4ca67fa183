--- The HTTP client: ctx:http_request, and moongate.http for work without a request.
local native = require("moongate.native")
local check = require("moongate.core.check")
local call = require("moongate.core.http.call")
local options = require("moongate.core.http.options")
local stream = require("moongate.core.http.stream")
local Future = require("moongate.future")

local M = {}

--- What ctx has: functions of (scope, level, ...).
M.calls = {}

--- Sends a request. Options: url, method, headers, query, one of body (a string, or a function(out)
--- that calls out:write), json, form, file; timeout (30 s in total), connect_timeout (5),
--- first_byte_timeout, idle_timeout (30, of a stream); redirects (5; false: none), retries (0; not
--- of a body that a function writes), max ("16M", of the body; of a stream there is none unless it
--- is set), decompress (true), stream (the Future resolves with the head: read response:chunks()),
--- ca, insecure, server_name, unix (a socket's path), deny and allow (networks and names of
--- addresses that may not, or may, be called, as "private"), credentials (names of fields that no
--- other server gets by a redirection). A status of 400 and more is no error. Errors: dns denied
--- connect tls timeout closed protocol limit cancelled.
---@param given string|table the URL, or options
---@return moongate.Future of a moongate.Response
function M.calls.http_request(scope, level, given)
  Future._refuse_loading("http_request", level + 1)
  local request = options.read(given)
  local start = (request.write or request.stream) and stream.start or call.start
  local future, wrong = start(request, scope, level + 1)
  return future or check.fail("http_request: " .. wrong)
end

--- The same without a ctx: moongate.http.request(url or options).
function M.request(given)
  return (Future._named("request", M.calls.http_request(Future._app_scope(), 2, given)))
end

--- Figures of this worker's client: origins, connections, idle, waiting (calls, for a connection),
--- calls, reused (connections, by calls), dialled, failed.
---@return table
function M.stats()
  return native.http_stats() or {}
end

for _, method in ipairs({ "get", "head", "post", "put", "patch", "delete", "options" }) do
  M[method] = function(url, given)
    if given ~= nil and type(given) ~= "table" then
      error("http." .. method .. ": options are wanted as a table, not "
        .. check.describe(given), 2)
    end
    local all = { method = method:upper(), url = url }
    for key, value in pairs(given or {}) do
      all[key] = value
    end
    return (Future._named(method, M.calls.http_request(Future._app_scope(), 2, all)))
  end
end

return M
