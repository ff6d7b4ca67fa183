-- bench/ws/moongate: one worker. Port and path are known to ws.py.
return {
  listen = { "127.0.0.1:18100" },
  workers = 1,
  app = "app.lua",
  cache = false,
  log = { access = false, level = "warn" },
}
