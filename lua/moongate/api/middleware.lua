---@meta _

--- Middleware that most services want: `app:use(moongate.middleware.NAME(options))`, or for a group
--- or a route. The guide [Middleware](guide-middleware.md) shows how to write your own.
---@class moongate.middleware
local middleware = {}

---@class moongate.RequestIdOptions
---@field header? string "X-Request-Id" unless told
---@field trust? boolean a valid incoming id is believed; false unless told

--- Tells the client the request's id, which the log lines carry.
---
--- ```lua
--- app:use(moongate.middleware.request_id({ trust = true }))
--- app:get("/", function() return "hello" end)
--- --> GET / (X-Request-Id: abc-1) => 200 (X-Request-Id: abc-1) hello
--- ```
---@param options? moongate.RequestIdOptions
---@return moongate.Middleware
function middleware.request_id(options) end

---@class moongate.CorsOptions
---@field origins? string|string[] who may read the answers: origins as "https://shop.example"; "*" unless told
---@field methods? string|string[] what preflights allow; all unless told
---@field headers? string|string[] request fields that preflights allow; those that are asked for unless told
---@field expose? string|string[] answer fields that scripts may read
---@field credentials? boolean cookies may be sent; needs a list of origins
---@field max_age? integer seconds that a preflight's answer holds

--- Cross-origin requests (the Fetch standard's CORS protocol): answers preflights, marks answers.
--- Put it in front of what asks who the client is: preflights do not say.
---
--- ```lua
--- app:use(moongate.middleware.cors({ origins = "https://shop.example" }))
--- app:get("/", function() return "hello" end)
--- --> GET / (Origin: https://shop.example) => 200 (Access-Control-Allow-Origin: https://shop.example) hello
--- ```
---@param options? moongate.CorsOptions
---@return moongate.Middleware
function middleware.cors(options) end

--- Answers with the fields that browsers want of a careful site (OWASP Secure Headers):
--- X-Content-Type-Options, X-Frame-Options, Referrer-Policy, Cross-Origin-Opener-Policy.
---
--- ```lua
--- app:use(moongate.middleware.secure_headers({ ["X-Frame-Options"] = "SAMEORIGIN" }))
--- app:get("/", function() return "hello" end)
--- --> GET / => 200 (X-Frame-Options: SAMEORIGIN) hello
--- ```
---@param fields? table<string, string|false> name to value, besides or instead of the defaults; false leaves one out
---@return moongate.Middleware
function middleware.secure_headers(fields) end

---@class moongate.HttpsOptions
---@field hsts? integer|false seconds that browsers are to stay on https, a year unless told
---@field subdomains? boolean those too
---@field preload? boolean browsers may ship it in their lists
---@field port? integer of https, 443 unless told

--- Sends plain requests to https (308), and says Strict-Transport-Security on https.
---
--- ```lua
--- app:use(moongate.middleware.https({ hsts = 31536000 }))
--- app:get("/", function() return "hello" end)
--- --> GET / (Host: moon.example) => 308 (Location: https://moon.example/) ...
--- ```
---@param options? moongate.HttpsOptions
---@return moongate.Middleware
function middleware.https(options) end

---@class moongate.BasicAuthOptions
---@field users? table<string, string> name to password
---@field check? async fun(user: string, password: string): boolean instead of `users`; may await
---@field realm? string shown by browsers, "Restricted" unless told

--- HTTP Basic authentication (RFC 7617). The user's name is left in `ctx.state.user`.
---
--- ```lua
--- app:use(moongate.middleware.basic_auth({ users = { ada = "moon" } }))
--- app:get("/", function(ctx) return "hello, " .. ctx.state.user end)
--- --> GET / (Authorization: Basic YWRhOm1vb24=) => 200 hello, ada
--- --> GET / => 401 ...
--- ```
---@param options moongate.BasicAuthOptions
---@return moongate.Middleware
function middleware.basic_auth(options) end

--- Refuses bodies that announce more than a group of routes allows: 413. (A route's `body` option
--- also bounds bodies that announce nothing.)
---
--- ```lua
--- app:use(moongate.middleware.body_limit("1K"))
--- app:post("/", function(ctx) return ctx:body():await() end)
--- --> POST / short => 200 short
--- ```
---@param size integer|string bytes, or "64K"
---@return moongate.Middleware
function middleware.body_limit(size) end

--- Tells how long the handler took, in milliseconds (Server-Timing).
---
--- ```lua
--- app:use(moongate.middleware.response_time())
--- app:get("/", function(ctx) ctx:sleep(0.25):await() return "hello" end)
--- --> GET / => 200 (Server-Timing: app;dur=250.000) hello
--- ```
---@return moongate.Middleware
function middleware.response_time() end
