-- An example of upstreams: servers that requests are relayed to. Copy from here into your own
-- configuration; what is left out has a default:
--   moongate check --defaults
--   moongate check conf/upstreams.lua
--
-- In the app, without a script on the way:
--   app:proxy("/users/*path", "users", { strip = "/users" })
-- or with what a script has to say:
--   app:any("/shop/*path", function(ctx)
--     local answer = ctx:proxy("shop", { headers = { ["X-User"] = ctx.state.user } })
--     if answer.status == 404 then return ctx:redirect("/shop/") end
--   end)
return {
  listen = { "0.0.0.0:8080" },
  app = "lua/app.lua",

  upstreams = {
    -- The shortest form. Requests go to the server with less to do, of two that are drawn; a
    -- connection that the server has closed meanwhile is never a client's trouble.
    users = { "http://127.0.0.1:9001", "http://127.0.0.1:9002" },

    -- All that can be said.
    shop = {
      servers = {
        { url = "http://127.0.0.1:9011", weight = 3 }, -- three times the share of the next one
        { url = "http://127.0.0.1:9012" },
        { url = "http://127.0.0.1:9019", backup = true }, -- asked if no other may be
      },

      -- "p2c" (as above), "round_robin", "least_requests", "random", or by a hash of "cookie:NAME",
      -- "header:NAME", "query:NAME", "ip" or "path": then a key stays with its server.
      balance = "p2c",

      -- One worker asks each server for all workers. Three bad answers in a row take it out, two
      -- good ones bring it back, with its share growing over slow_start seconds.
      health = { path = "/health", interval = 5, timeout = 1, status = "200-399", up = 2,
        down = 3 },
      slow_start = 10,

      -- Five failed requests in a row take a server out for 10 s, the next time for longer; never
      -- more than half of the servers, never the last one.
      outlier = { failures = 5, eject = 10, most = 0.5 },

      -- Beyond these bounds clients get 503 and Retry-After at once, before anything piles up.
      circuit = { in_flight = 1024, waiting = 128, failures = 0.5, volume = 20, open = 5 },

      -- Another server is asked once more if one fails, but only for what may be done twice (GET,
      -- PUT, ...), and for no more than a fifth of the requests: a dead server causes no avalanche.
      retries = { count = 1, try_timeout = 2, budget = 0.2,
        on = { "connect", "closed", 502, 503, 504 } },

      -- What the first server has not answered in 0.3 s a second one is asked; the quicker wins.
      hedge = { after = 0.3 },

      -- A tenth of the requests goes to another upstream too, whose answers nobody waits for.
      mirror = { to = "shadow", share = 0.1 },

      -- Seconds: until a connection is open, until the answer begins, between two pieces of it.
      -- `total` bounds the whole answer, streams too; 0: it may last.
      timeouts = { connect = 2, first_byte = 30, idle = 60, total = 0 },
      connections = 64, -- of each worker to each server
      idle = 4, -- seconds that an unused connection is kept: less than the server keeps it

      host = "client", -- what Host says: the client's, "upstream" (the URL's) or a literal
      -- true (version 1), 1 or 2: connections begin with the client's address, and are its alone.
      proxy_protocol = false,
    },

    -- Over TLS: the certificate is verified for the URL's host, by the system's authorities unless
    -- `ca` says otherwise; `cert` and `key` are shown to a server that asks for them.
    -- bank = { servers = { "https://bank.internal:8443" },
    --   tls = { ca = "conf/ca.pem", cert = "conf/client.pem", key = "conf/client.key" } },

    shadow = { "http://127.0.0.1:9021" },

    -- A canary: one client in twenty gets the new version, and stays with what it got.
    checkout = {
      split = { { "checkout_old", 95 }, { "checkout_new", 5 } },
      sticky = "cookie:release",
    },
    checkout_old = { "http://127.0.0.1:9031" },
    checkout_new = { "http://127.0.0.1:9032" },
  },

  -- true: ctx:proxy("https://...") asks servers that no upstream names: public ones, and those that
  -- http.allow names.
  proxy = { open = false },
}
