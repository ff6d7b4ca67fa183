-- bench/proxy: Moongate before bench/origin, and another Moongate over either wire, one worker.
return {
  listen = { "127.0.0.1:18094" },
  workers = 1,
  app = "app.lua",
  upstreams = {
    origin = { servers = { "http://127.0.0.1:18090" }, connections = 4096, idle = 600,
      timeouts = { first_byte = 600 } },
    over_h1 = { servers = { "http://127.0.0.1:18095" }, connections = 4096, idle = 600 },
    over_h2 = { servers = { "http://127.0.0.1:18096" }, http2 = true, idle = 600 },
  },
  log = { access = false, level = "warn" },
  limits = { requests_per_connection = 1000000000, body = "2G" },
  timeouts = { idle = 600, handler = 600 },
}
