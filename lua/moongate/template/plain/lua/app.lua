local moongate = require("moongate")
local timed = require("timed")
local app = moongate.app()

app:use(moongate.middleware.request_id())
app:use(timed)

require("routes.hello")(app)

app:static("/public", "public")

return app
