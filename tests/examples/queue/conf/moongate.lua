return {
  listen = { "127.0.0.1:8080" },
  database = "sqlite:var/queue.db",
  limits = { body = "64K" },
}
