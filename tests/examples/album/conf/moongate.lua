return {
  listen = { "127.0.0.1:8080" },
  database = "sqlite:var/album.db",
  limits = { body = "64K" }, -- but for uploads, which say their own
}
