--- ctx.retiring and moongate.retiring: a Future that is resolved when these scripts are to go, with
--- why: "reload" or "stop". Whoever goes on for long ends well then.
local Future = require("moongate.future")

local M = {}

--- The one of an app, which is made when it is first asked for.
---@param root table the app's scope
---@return moongate.Future of "reload" or "stop"
function M.of(root)
  local future = root.retiring
  if not future then
    future = Future._named("retiring", Future._new(nil, 3))
    future.keep, future._uncancellable = true, true
    root.retiring = future
    if root.goes then
      future:resolve(root.goes)
    end
  end
  return future
end

--- They are to go. Of several reasons the first counts.
---@param why "reload"|"stop"
function M.announce(root, why)
  if root.goes then
    return
  end
  root.goes = why
  if root.retiring then
    root.retiring:resolve(why)
  end
end

return M
