-- All settings, with their defaults: moongate check --defaults
return {
  listen = { "127.0.0.1:8080" },
  app = "lua/app.lua",
  database = "sqlite:var/app.db", -- brought up to date by moongate migrate, and by moongate dev
  limits = { body = "1M" },
  log = { level = "info" },
}
