-- bench/proxy: Moongate as the server behind, over both wires, one worker.
return {
  listen = { "127.0.0.1:18095", { address = "127.0.0.1:18096", http2 = true } },
  workers = 1,
  app = "origin_app.lua",
  log = { access = false, level = "warn" },
  limits = { requests_per_connection = 1000000000 },
  timeouts = { idle = 600 },
}
