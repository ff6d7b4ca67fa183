-- W8's side of Moongate: one worker. PORT and CACHE_URL come from tests/bench/servers.py.
return {
  listen = { "127.0.0.1:" .. (os.getenv("PORT") or "18107") },
  workers = 1,
  app = "app.lua",
  cache = os.getenv("CACHE_URL") or "memory:64M",
  log = { access = false, level = "warn" },
  limits = { requests_per_connection = 1000000000 },
  timeouts = { idle = 600 },
}
