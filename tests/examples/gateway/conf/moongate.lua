return {
  listen = { "127.0.0.1:8080" },
  cache = "memory:16M",
  upstreams = {
    users = {
      servers = { "http://127.0.0.1:9001", "http://127.0.0.1:9002" },
      retries = { count = 1 },
      outlier = { failures = 3, eject = 10 },
    },
    shop_old = { "http://127.0.0.1:9003" },
    shop_new = { "http://127.0.0.1:9004" },
    shop = { split = { { "shop_old", 90 }, { "shop_new", 10 } }, sticky = "cookie:release" },
  },
}
