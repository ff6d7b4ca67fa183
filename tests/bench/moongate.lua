-- bench/moongate: one worker; an access log if $ACCESS_LOG names a file. Port and path are known to
-- servers.py.
return {
  listen = { "127.0.0.1:18084" },
  workers = 1,
  app = "app.lua",
  database = "sqlite:../../build/bench/bench.db",
  cache = "memory:64M",
  log = { access = os.getenv("ACCESS_LOG") or false, level = "warn" },
  limits = { requests_per_connection = 1000000000 },
  timeouts = { idle = 600 },
}
