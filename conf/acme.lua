-- An example of certificates that a directory issues (ACME, RFC 8555). Copy from here into your own
-- configuration; what is left out has a default:
--   moongate check --defaults
--   moongate check conf/acme.lua
--   moongate help tls
return {
  app = "lua/app.lua",
  user = false, -- a name: workers become that, and scripts have no way to the keys

  listen = {
    -- Where the directory looks with "http-01": port 80 of each name must lead here. It is answered
    -- before the app's routes; all else is the app's.
    "0.0.0.0:80",
    { address = "0.0.0.0:443", http2 = true,
      tls = {
        acme = {
          domains = { "example.com", "www.example.com" }, -- each has a certificate of its own
          email = "ops@example.com",                      -- where the directory may write to

          -- Let's Encrypt unless told. To try things out its staging directory, whose certificates
          -- nobody believes, but which limits little:
          directory = "https://acme-staging-v02.api.letsencrypt.org/directory",

          -- "http-01", or "tls-alpn-01": at port 443, where no plain port can be reached.
          challenge = "http-01",

          -- Accounts, keys and certificates: to be kept over deployments.
          folder = "var/acme",

          -- A directory of your own, whose certificate the system does not know:
          --   ca = "conf/tls/our-ca.pem",
          -- An account that the directory's owner has made:
          --   key_id = "...", hmac_key = os.getenv("ACME_HMAC_KEY"),
        },
      } },
  },
}
