--- ctx:proxy: another server answers. Its head is awaited and staged as any answer is; its content
--- is relayed by C, both ways, once the onion has unwound.
---
--- Until somebody looks at them, the server's fields stay in C: ctx keeps what scripts have set,
--- which is laid over them when the answer is sent (answer.lua: fetch_fields).
local native = require("moongate.native")
local check = require("moongate.core.check")
local errors = require("moongate.core.errors")
local headers_of = require("moongate.core.headers")
local options = require("moongate.core.proxy.options")
local slots = require("moongate.core.request.slots")
local answer = require("moongate.core.request.answer")
local suggest = require("moongate.core.suggest")
local time = require("moongate.time")

local HANDLE, PHASE, BODY = slots.HANDLE, slots.PHASE, slots.BODY
local BODY_FUTURE, RELAY, COMMITTED = slots.BODY_FUTURE, slots.RELAY, slots.COMMITTED
local STATUS = slots.STATUS

local M = {}

-- --- what ctx:proxy returns ---

---@class moongate.ProxyAnswer
---@field status integer that of the server
---@field headers table<string, string> as the server sent them, looked up in any case; empty once
--- the answer is not the server's any more
local Answer = answer.Relayed

function Answer.__index(self, key)
  if key ~= "headers" then
    error("the answer has no field '" .. tostring(key) .. "'"
      .. suggest.for_name(key, { status = true, headers = true }), 2)
  end
  local ctx = self[1]
  local is_there = ctx[BODY] == self and ctx[PHASE] < COMMITTED
  local headers = headers_of.any_case(is_there and native.proxy_headers(ctx[HANDLE]) or {})
  rawset(self, "headers", headers)
  return headers
end

-- --- asking ---

local PLAIN = options.of_request()

local function unknown(name, level)
  if name:find("://", 1, true) then
    error(('proxy: "%s" is a server that no upstream names: these are asked only if the '
      .. "configuration says proxy = { open = true }; else give it a name under upstreams")
      :format(name), level + 1)
  end
  local known = {}
  for _, each in ipairs(native.upstream_names()) do
    known[each] = true
  end
  error("proxy: " .. options.unknown(tostring(name), known), level + 1)
end

-- A body that has been read as a whole goes on as it was.
local function body_of(ctx, plan)
  local read = slots.in_rest(ctx, BODY_FUTURE)
  return plan.body or read and read:await() or nil
end

local function start(ctx, upstream, plan, level)
  local operation, wrong = native.proxy_start(ctx[HANDLE], upstream, plan.path, plan.strip,
    plan.host, plan.set, plan.removed, plan.buffer, body_of(ctx, plan), plan.connect,
    plan.first_byte, plan.idle, plan.total)
  if operation then
    return operation
  elseif wrong == "unknown" then
    unknown(upstream, level + 1)
  elseif wrong == "closed" then
    error(errors.new("closed", "the request is over"), 0)
  end
  error("proxy: " .. wrong, level + 1)
end

--- Asks a server of an upstream in the request's stead, and stages what it answers. Raises an error
--- with code "status" if none did: 503 if none may be asked, 502, or 504 after a timeout.
---@param ctx moongate.Context
---@param upstream string its name, or the URL of a server
---@param plan moongate.core.ProxyPlan
function M.ask(ctx, upstream, plan, level)
  answer.check_open(ctx, level + 1)
  ctx[STATUS] = time.wait_for(start(ctx, upstream, plan, level + 1), ctx, level + 1)
  answer.stage(ctx, RELAY, nil, answer.UNTOUCHED)
end

--- Of an answer that is not sent the content is dropped: what scripts stage later stands instead.
---@param upstream string a name of the configuration's upstreams, or a server's URL
---@param given table|nil see core/proxy/options.lua
function answer.methods.proxy(ctx, upstream, given)
  if type(upstream) ~= "string" then
    error("proxy: the name of an upstream is wanted, not " .. check.describe(upstream), 2)
  elseif upstream:find("://", 1, true) then
    M.ask(ctx, upstream, options.of_url(upstream, given), 2)
  else
    M.ask(ctx, upstream, given and options.of_request(given) or PLAIN, 2)
  end
  local staged = setmetatable({ ctx, status = ctx[STATUS], all = false }, Answer)
  ctx[BODY] = staged
  return staged
end

return M
