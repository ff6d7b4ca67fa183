-- bench/tls/moongate: one worker behind TLS. Port and path are known to tls.py.
return {
  listen = {
    {
      address = "127.0.0.1:18100",
      tls = {
        cert = "../../../build/bench/tls/site.pem", key = "../../../build/bench/tls/site.key",
      },
      http2 = true,
    },
  },
  workers = 1,
  app = "../h2/app.lua",
  cache = false,
  log = { access = false, level = "warn" },
  limits = { requests_per_connection = 1000000000 },
  timeouts = { idle = 600 },
}
