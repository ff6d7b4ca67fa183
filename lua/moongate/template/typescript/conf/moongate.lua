-- All settings, with their defaults: moongate check --defaults
return {
  listen = { "127.0.0.1:8080" },
  app = "lua/app.lua", -- made of src/app.ts
  cache = "memory:16M",
  log = { level = "info" },
}
