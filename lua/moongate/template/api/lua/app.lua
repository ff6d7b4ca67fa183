local moongate = require("moongate")
local app = moongate.app()

app:use(moongate.middleware.request_id())
app:use(moongate.middleware.cors())

-- Whatever fails answers in the same form: { error = ..., request_id = ... }.
app:on_error(function(ctx, err)
  local status = err.status or 500
  return status, {
    error = status < 500 and err.message or "something went wrong",
    fields = err.details and err.details.fields,
    request_id = ctx.request_id,
  }
end)

app:group("/api/notes", require("routes.notes"))

return app
