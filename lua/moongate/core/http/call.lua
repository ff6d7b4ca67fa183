--- A call whose body and response are whole: it needs no coroutine.
local native = require("moongate.native")
local sched = require("moongate.core.sched")
local errors = require("moongate.core.errors")
local again = require("moongate.core.http.again")
local redirect = require("moongate.core.http.redirect")
local responses = require("moongate.core.http.response")
local scopes = require("moongate.core.scope")
local Future = require("moongate.future")
local time = require("moongate.time")

local M = {}

-- A call under way, in the scheduler's eyes: told when its operation has finished.
local Call = {}
Call.__index = Call

local function cancel_operation(future)
  if future._operation then
    sched.cancel_operation(future._operation)
  end
end

local function call_native(request)
  return native.http_call(request.method, request.url, request.headers, request.body,
    request.options)
end

function Call:watch(handle)
  self.future._operation = handle
  sched.watch(handle, self)
end

-- Begins again, or ends.
function Call:send_again()
  if not again.use_what_is_left(self.request) then
    self:reject_with(again.too_late(self.request))
    return
  end
  local handle, err = call_native(self.request)
  if handle then
    self:watch(handle)
  else
    self:reject_with(errors.new("protocol", self.request.url .. ": " .. err))
  end
end

function Call:_where()
  return self.future:_where()
end

function Call:reject_with(err)
  err.where, err.url = self.future:_where(), self.request.url
  self.future:reject(err)
end

function Call:reject(code, message)
  self:reject_with(errors.new(code, message))
end

-- Follows a redirect: true if another call is under way instead.
function Call:follow(response)
  local request = self.request
  if request.redirects == 0 then
    if request.followed then
      self:reject("limit", request.url .. ": more redirects than allowed (option redirects)")
      return true
    end
    return false
  end
  local following, why = redirect.follow(request, response)
  if not following then
    self:reject("protocol", request.url .. ": " .. why)
    return true
  end
  self.request = following
  self:send_again()
  return true
end

function Call:_settle_operation(ok, a, b, c)
  local future = self.future
  future._operation = false
  if future._state ~= "pending" then
    return
  end
  if not ok then
    if again.may_retry(self.request, a, c) then
      self:send_again()
    else
      self:reject(a, b)
    end
  elseif not (redirect.is(a) and self:follow(a)) then
    local request = self.request
    Future._settle(future, "resolved", 1, responses.adopt(a, request.url, request.followed or 0))
  end
end

--- Begins the call.
---@param request table of core/http/options.lua
---@param level integer stack level of the caller's line
---@return moongate.Future? of a moongate.Response; nil if it cannot be sent
---@return string? why
function M.start(request, scope, level)
  if time.is_over(scope) then
    local future = Future._new(scope, level + 1)
    future:_abandon(scope[scopes.CANCELLED])
    return future
  end
  local handle, err = call_native(request)
  if not handle then
    return nil, err
  end
  local future = Future._new(scope, level + 1)
  future._cancel = cancel_operation
  setmetatable({ future = future, request = request }, Call):watch(handle)
  return future
end

return M
