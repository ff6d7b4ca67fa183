--- What outlives a request: what ctx still says when it is over, and app:on_response functions,
--- which run when its answer has ended.
---
--- C forgets a request with its answer. For whoever may ask later (on_close, on_response) it is
--- looked at before: only then, since that costs.
local sched = require("moongate.core.sched")
local scopes = require("moongate.core.scope")
local slots = require("moongate.core.request.slots")
local view = require("moongate.core.request.answer_view")
local retire = require("moongate.core.app.retire")
local log = require("moongate.log")

local native = sched.native
local HANDLE, KEPT = slots.HANDLE, slots.KEPT
local CANCELLED, ROOT, REST = scopes.CANCELLED, scopes.ROOT, scopes.REST

local M = {}

-- --- what ctx says later ---

local ASKED = {
  "request_method", "request_path", "request_target", "request_version", "request_length",
  "request_client_ip", "request_scheme", "request_host", "request_id", "request_query",
  "request_headers", "request_trailers",
}

--- From now on ctx can be read, whatever becomes of the request.
---@return table what was kept: by the function of C that was asked, and `watcher`
function M.keep(ctx)
  local rest = scopes.rest(ctx)
  local kept = rest[KEPT]
  if not kept then
    kept = { watcher = false }
    rest[KEPT] = kept
    for _, name in ipairs(ASKED) do
      local fn = native[name]
      kept[fn] = fn(ctx[HANDLE])
    end
  end
  return kept
end

-- --- in the background ---

local function ended(target)
  target.closing = target.closing - 1
  if target.retired then
    retire.check(target)
  end
end

--- Runs `fn(...)` for a request that is over: it awaits there even if the rest of the background
--- had to end, and the scripts' end waits for it.
---@param what string "an on_close function"
function M.start(ctx, what, fn, ...)
  local target = ctx[ROOT].served
  local root = target.root
  local scope = root[CANCELLED] and target.retired and target.retired.scope or root
  local args = { n = select("#", ...), ... }
  target.closing = target.closing + 1
  sched.start_soon(scope, function()
    local script = fn -- in a local: places.traceback looks for it
    script(unpack(args, 1, args.n))
    ended(target)
  end, function(_, err)
    log.failure(what .. " failed", err)
    ended(target)
  end)
end

-- --- on_response ---

-- Waits in the place of a Future for what C tells.
local Watcher = { _internal = true }
Watcher.__index = Watcher

function Watcher:_settle_operation(_, status, bytes, aborted)
  local ctx = self.ctx
  local target = ctx[ROOT].served
  local answer = view.ended(ctx, {
    status = status, bytes = bytes, aborted = aborted, seconds = native.now() - slots.start(ctx),
  })
  for _, fn in ipairs(target.app.on_response) do
    M.start(ctx, "an on_response function", fn, ctx, answer)
  end
  self.told = true
  if self.counted then
    ended(target)
  end
end

function Watcher._where()
  return "app:on_response"
end

--- A request has come to an app that has on_response functions.
function M.watch(ctx)
  local kept = M.keep(ctx)
  local handle = native.await_end(ctx[HANDLE])
  if handle then
    kept.watcher = setmetatable({ ctx = ctx, told = false, counted = false }, Watcher)
    sched.watch(handle, kept.watcher)
  else
    log.warn("app:on_response: too much is under way to watch the answer of a request")
  end
end

--- The scope of a request that was kept has ended: the scripts' end waits for what C is going to
--- tell.
function M.finish(ctx)
  local watcher = ctx[REST][KEPT].watcher
  if watcher and not watcher.told then
    local target = ctx[ROOT].served
    watcher.counted = true
    target.closing = target.closing + 1
  end
end

return M
