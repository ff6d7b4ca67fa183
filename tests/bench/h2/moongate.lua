-- bench/h2/moongate: one worker, HTTP/2 without TLS. Port and path are known to servers.py.
return {
  listen = { { address = "127.0.0.1:18095", http2 = true } },
  workers = 1,
  app = "app.lua",
  cache = false,
  log = { access = false, level = "warn" },
  limits = { requests_per_connection = 1000000000 },
  timeouts = { idle = 600 },
}
