return function(app)
  app:get("/", function()
    return "It runs. Edit lua/routes/hello.lua, then look again.\n"
  end)

  app:get("/hello/:name", { name = "hello", timeout = 2 }, function(ctx)
    local visits = ctx:increment_cache("visits:" .. ctx.params.name):await()
    return { hello = ctx.params.name, visits = visits }
  end)
end
