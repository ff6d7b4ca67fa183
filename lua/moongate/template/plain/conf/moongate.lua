-- All settings, with their defaults: moongate check --defaults
return {
  listen = { "127.0.0.1:8080" },
  app = "lua/app.lua",
  cache = "memory:16M",
  -- database = "sqlite:var/app.db", -- then: moongate migrate, with files in lua/migrations
  log = { level = "info" },
}
