-- W9's side of Moongate; PORT and DATABASE_URL come from tests/bench/database.py.
return {
  listen = { "127.0.0.1:" .. (os.getenv("PORT") or "18096") },
  workers = 0,
  app = "app.lua",
  database = os.getenv("DATABASE_URL") or "postgres://127.0.0.1:18095/postgres",
  timeouts = { handler = 600 },
  log = { access = false, level = "warn" },
}
