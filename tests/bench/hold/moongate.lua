-- bench/hold: as in production, a master and six workers. Port and path are known to hold.py.
return {
  listen = { "127.0.0.1:18103" },
  workers = 6,
  app = "app.lua",
  cache = false,
  log = { access = false, level = "warn" },
  timeouts = { idle = 3600 },
}
