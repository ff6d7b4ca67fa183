---@meta _

--- The error log: `moongate.log`, and `ctx.log`, whose lines carry the request's id. `log.level` and
--- `log.error_format` of the configuration choose what is written and how; `print` in a script is
--- `log.info`.
---@class moongate.Log
local log = {}

--- A line for whoever hunts a fault.
---
--- ```lua
--- app:get("/", function(ctx) ctx.log.debug("query", ctx.query) return 204 end)
--- --> GET / => 204
--- ```
---@param message any
---@param fields? table<string, any>
function log.debug(message, fields) end

--- A line about what happens.
---
--- ```lua
--- app:get("/", function(ctx) ctx.log.info("seen", { who = "Ada" }) return 204 end)
--- --> GET / => 204
--- ```
---@param message any
---@param fields? table<string, any>
function log.info(message, fields) end

--- A line about what somebody should look at some time.
---
--- ```lua
--- app:get("/", function(ctx) ctx.log.warn("slow", { seconds = 3 }) return 204 end)
--- --> GET / => 204
--- ```
---@param message any
---@param fields? table<string, any>
function log.warn(message, fields) end

--- A line about a failure.
---
--- ```lua
--- app:get("/", function(ctx) ctx.log.error("lost a moon") return 204 end)
--- --> GET / => 204
--- ```
---@param message any
---@param fields? table<string, any>
function log.error(message, fields) end
