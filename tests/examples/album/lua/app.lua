--- Photos: made, changed, deleted, uploaded, and a stream of what happens to them.
local moongate = require("moongate")
local app = moongate.app()

app:use(moongate.middleware.secure_headers())

-- What the database refuses is the client's mistake.
app:on_error(function(ctx, err)
  if err.code == "database" and err.constraint then
    ctx:fail(422, "this cannot be stored", { constraint = err.constraint, columns = err.columns })
  elseif err.status then
    ctx:fail(err.status, err.message, err.details)
  end
  ctx:fail(500, "something went wrong")
end)

app:group("/photos", require("photos"))
app:get("/events", require("events").stream)

return app
