--- A gateway in front of two services: keys, a limit of requests, a canary, cached answers.
local moongate = require("moongate")
local api_key = require("api_key")
local rate_limit = require("rate_limit")

local app = moongate.app()

app:use(moongate.middleware.request_id())
app:use(moongate.middleware.cors({
  origins = { "https://shop.example" }, expose = { "X-Request-Id" },
}))

app:get("/health", function() return { status = "up" } end)

-- Everybody may see the rates; they are asked for once a minute, whoever asks.
app:get("/rates", function(ctx)
  ctx:header("Cache-Control", "public, max-age=60")
  return ctx:cached("rates", 60, function()
    local res = moongate.http.get("http://rates.internal/today", { timeout = 2 }):await()
    if not res:ok() then
      ctx:fail(502, "the rates cannot be had")
    end
    return res:json()
  end):await()
end)

app:group("/api", {
  api_key({ keys = { ada = "key of ada", alan = "key of alan" } }),
  rate_limit({ requests = 3, seconds = 60 }),
}, function(api)
  api:proxy("/users/*path", "users", { strip = "/api/users" })

  api:any("/shop/*path", function(ctx)
    local answer = ctx:proxy("shop", {
      strip = "/api/shop",
      headers = { ["X-Api-Key"] = false, ["X-User"] = ctx.state.user },
    })
    ctx:log_field("shop_status", answer.status)
    ctx:header("X-Powered-By", nil)
  end)
end)

return app
