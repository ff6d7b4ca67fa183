return {
  listen = { "127.0.0.1:8080" },
  app = "lua/app.lua",
  cache = "memory:16M",
}
