--- The sample app: what `make run` serves. Each file in lua/routes declares a few routes.
local moongate = require("moongate")
local slow_log = require("middleware.slow_log")

local app = moongate.app()

-- Middleware sees the routes that are declared after it.
app:use(moongate.middleware.request_id())
app:use(moongate.middleware.secure_headers())
app:use(slow_log.new(1))

require("routes.home").declare(app)
require("routes.hello").declare(app)
require("routes.users").declare(app)
require("routes.parallel").declare(app)
require("routes.fetch").declare(app)
require("routes.stream").declare(app)
require("routes.messages").declare(app)
require("routes.files").declare(app)

return app
