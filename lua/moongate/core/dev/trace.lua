--- `moongate dev`: what requests await, and the last of them.
local sched = require("moongate.core.sched")
local log = require("moongate.log")

local native = sched.native

local M = {}

M.OWN = "/.moongate/" -- what the pages of development ask for

--- Whether a path is one of those.
function M.is_own(path)
  return path:sub(1, #M.OWN) == M.OWN
end

local KEPT = 50 -- requests
local TOLD = 100 -- awaits of one request

---@class moongate.core.Await
---@field what string the call: "read_file"
---@field where string "file:line" that made the Future
---@field began number as of native.now()
---@field seconds number? nil: it still waits

local awaits = setmetatable({}, { __mode = "k" }) -- ctx -> list
local last = {} -- requests that have ended, the newest first

-- What Future:await calls when it has to wait, and again with the entry when it need not any more.
local function tracer(list)
  return function(future, entry)
    if entry then
      entry.seconds = native.now() - entry.began
      return
    end
    if #list < TOLD then
      entry = { what = future._what or "a Future", where = future:_where(), began = native.now() }
      list[#list + 1] = entry
    end
    return entry
  end
end

--- The running task's awaits belong to ctx from here on.
function M.follow(ctx)
  awaits[ctx] = awaits[ctx] or {}
  sched.current.trace = tracer(awaits[ctx])
end

--- What a request has awaited so far, in order.
---@return moongate.core.Await[]
function M.awaits(ctx)
  return awaits[ctx] or {}
end

---@param seconds number?
---@return string
function M.time(seconds)
  return seconds and ("%.1f ms"):format(seconds * 1000) or "still waits"
end

--- One line for each await.
---@param list moongate.core.Await[]
---@return string[]
function M.lines(list)
  local lines = {}
  for i, await in ipairs(list) do
    lines[i] = ("%-16s %9s  %s"):format(await.what, M.time(await.seconds), await.where)
  end
  return lines
end

--- An answer has ended: app:on_response.
function M.ended(ctx, answer)
  if M.is_own(ctx.path) then
    return
  end
  local list = M.awaits(ctx)
  table.insert(last, 1, {
    request = ctx.method .. " " .. ctx.target, status = answer.status, seconds = answer.seconds,
    awaits = list, route = ctx.route.pattern,
  })
  last[KEPT + 1] = nil
  local line = ("%s %s %d, %d bytes in %s%s"):format(ctx.method, ctx.target, answer.status,
    answer.bytes, M.time(answer.seconds), answer.aborted and ", broken off" or "")
  log.info(table.concat({ line, unpack(M.lines(list)) }, "\n"))
end

--- The last requests, the newest first.
function M.last()
  return last
end

return M
