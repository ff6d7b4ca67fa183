-- A node of a fleet: what several machines share lies in PostgreSQL and Redis. The scripts are
-- those that run on one machine; two lines make the difference. Copy from here into your own
-- configuration; what is left out has a default:
--   moongate check --defaults
--   moongate check conf/fleet.lua
return {
  listen = { "0.0.0.0:8080" },
  app = "lua/app.lua",

  -- Each worker keeps a pool of connections; statements that nobody waits for share them. The
  -- password may lie in a file (password_file=...), and is shown nowhere.
  database = os.getenv("DATABASE_URL")
    or "postgres://moongate@127.0.0.1/moongate?pool=8&password_file=/run/secrets/database",

  -- The cache of all nodes: values, counters, leases (`cached` makes a value once in the fleet).
  -- With it, jobs of app:every run on one node, and topics reach the subscribers of all.
  --   prefix   what stands before each key: one Redis may serve several apps
  --   near     hot values are kept in this node's memory too, as long as Redis would tell if they
  --            changed (it is told once, when the server begins: a reload does not change its size)
  --   timeout  seconds that a call may take; beyond them `cached` makes the value itself
  -- One server with sentinels: redis+sentinel://a:26379,b:26379/NAME, a cluster:
  -- redis+cluster://a:6379,b:6379,c:6379 (replicas=true: replicas answer what only reads).
  cache = os.getenv("CACHE_URL") or "redis://127.0.0.1:6379?prefix=shop:&near=64M&timeout=0.5",

  -- Behind a balancer: whose word about the client's address counts.
  trusted_proxies = { "10.0.0.0/8" },

  -- A node that is told to stop gives its jobs to another one at once, and takes so long to finish
  -- what it has begun.
  timeouts = { drain = 30 },

  -- Lines of all nodes go to one place: as JSON, each with its request's id.
  log = { level = "info", access = "stdout", format = "json" },
}
