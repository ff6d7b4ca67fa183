--- The app of the process that asks for certificates (src/gate/acme_process.c). It serves nobody.
local moongate = require("moongate")
local acme = require("moongate.core.acme")
local keeper = require("moongate.native").acme

local app = moongate.app()

app:on_start(function()
  moongate.spawn(acme.run, moongate.json.decode(keeper.wishes()), keeper)
end)

return app
