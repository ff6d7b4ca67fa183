-- The configuration that `moongate run` reads. All settings and their defaults:
--   moongate check --defaults
-- After a change:
--   moongate check && moongate reload
return {
  -- Where to listen: "host:port", "[::]:8080", "unix:run/moongate.sock"; one or more.
  listen = { "0.0.0.0:8080" },

  -- Processes that serve: "auto" is one a processor, 0 is all in one process, for debuggers.
  workers = "auto",

  -- The script that returns the app. Paths begin at the folder above conf/.
  app = "lua/app.lua",

  -- What ctx:query_database asks. `moongate migrate` applies lua/migrations to it. The same app on
  -- PostgreSQL: DATABASE_URL=postgres://user@host/name moongate run
  database = os.getenv("DATABASE_URL") or "sqlite:build/var/moongate.db",

  -- Shared by all workers; a reload and a worker's death keep it. With CACHE_URL=redis://... by all
  -- nodes (conf/fleet.lua).
  cache = os.getenv("CACHE_URL") or "memory:64M",

  -- Larger request bodies are answered 413, handlers that take longer 504.
  limits = { body = "16M" },
  timeouts = { handler = 30 },

  -- access: "stdout", "stderr", a path or false. format: "combined" or "json".
  log = { level = "info", access = "stdout", format = "combined" },
}
