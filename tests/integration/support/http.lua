--- Assertions that many specs share.
local wire = require("support.wire")
local M = {}

-- A request that would be served if the server went on behind a refused one.
M.SECOND = wire.get("/mark/smuggled")

local NAMED = { ["\r"] = "\\r", ["\n"] = "\\n", ["\t"] = "\\t" }

--- Bytes in one printable line, cut after `most` of them.
function M.shown(bytes, most)
  return (bytes:sub(1, most or 200):gsub("[^\32-\126]", function(byte)
    return NAMED[byte] or ("\\x%02x"):format(byte:byte())
  end))
end

local function sent(conn, how, bytes)
  if how == "byte by byte" then
    conn:send_slowly(bytes)
  else
    conn:send(bytes)
  end
end

local function one_of(wanted)
  return type(wanted) == "table" and wanted or { wanted }
end

local function contains(list, value)
  for _, v in ipairs(list) do
    if v == value then
      return true
    end
  end
  return false
end

--- Sends `bytes` with a second request behind: one refusal comes, then the end of the connection.
---@param wanted integer|integer[] allowed statuses
---@param how string|nil "byte by byte"
function M.assert_refused(server, bytes, wanted, how)
  local conn = server:connect()
  sent(conn, how, bytes .. M.SECOND)
  local ok, res = pcall(conn.read, conn, "GET")
  local input = (how or "whole") .. " of " .. M.shown(bytes)
  assert(ok, input .. ": " .. tostring(res))
  assert(contains(one_of(wanted), res.status), input .. " was answered " .. res.status)
  assert(res.headers.connection == "close", input .. ": no Connection: close")
  local closed, more = conn:is_closed()
  assert(closed, input .. ": after the refusal came " .. tostring(more))
  conn:close()
  return res
end

--- Sends `bytes`, then a second request: both are answered, the first with `status`.
function M.assert_kept(server, bytes, status, method)
  local conn = server:connect()
  local res = conn:request(bytes, method)
  assert(res.status == status, M.shown(bytes) .. " was answered " .. res.status)
  assert(res.headers.connection ~= "close", "the connection is to be closed")
  assert(conn:request(wire.get("/text")).body == "hello\n", "the next request was not served")
  conn:close()
  return res
end

--- The problem+json of an error answer as a table.
function M.problem(res)
  assert(res.headers["content-type"], "no Content-Type")
  assert(res.headers["content-type"]:match("^application/problem%+json"), "not a problem+json")
  return M.json(res)
end

--- A response's body decoded.
function M.json(res)
  local value, _, err = require("dkjson").decode(res.body)
  assert(value ~= nil, tostring(err) .. " in " .. res.body)
  return value
end

return M
