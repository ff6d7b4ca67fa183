---@meta _

--- A named set of servers, which the configuration has under `upstreams`; `app:proxy` and `ctx:proxy`
--- send requests there. What a script says of one holds in all workers, over reloads and for workers
--- to come, until the server stops; it is written down in no file.
---@class moongate.Upstream
---@field name string as the configuration has it
local upstream = {}

---@class moongate.UpstreamServer
---@field url string as it was configured or set
---@field address string where it is: `10.0.0.5:8080`, one of those of the URL's name
---@field weight integer its share among the others
---@field backup boolean it is used when none of the others can be
---@field state string `up`, `down` (health checks), `ejected` (it failed), `draining`
---@field why string the reason; empty if there is nothing to say
---@field in_flight integer requests, of all workers
---@field latency number seconds until the head of an answer, a moving average; 0: unknown

---@class moongate.UpstreamStatus
---@field name string as the configuration has it
---@field servers moongate.UpstreamServer[] as `upstream:servers` gives them
---@field in_flight integer requests, of all workers
---@field circuit string `closed`, `open`, `half open`

--- The servers as they are now: each address of a name is one.
---
--- ```lua
--- app:get("/servers", function()
---   local list = {}
---   for i, server in ipairs(moongate.upstream("users"):servers()) do
---     list[i] = server.url .. " is " .. server.state
---   end
---   return list
--- end)
--- --> with upstream users => 200 Ada
--- --> GET /servers => 200 ["http://127.0.0.1:9001 is up"]
--- ```
---@return moongate.UpstreamServer[]
---@nodiscard
function upstream:servers() end

--- Other servers from now on: URLs, or tables. Those that stay keep their connections, those that are
--- not named any more end what they are at. Without a list: those of the configuration again. What
--- cannot be raises, with the item and what is allowed. From a job it is discovery:
---
--- ```lua
--- app:every("find users", 10, function()
---   local answer = moongate.http.get("http://registry.internal/users"):await()
---   moongate.upstream("users"):set_servers(answer:json())
--- end)
--- app:proxy("/users/*path", "users")
--- --> with upstream users => 200 Ada
--- --> GET /users/7 => 200 Ada
--- ```
---@param servers? (string | { url: string, weight?: integer, backup?: boolean })[]
function upstream:set_servers(servers) end

--- The server of that URL takes nothing new, what is under way ends. `false` as the second argument:
--- it takes requests again; so does `set_servers`. A URL that none of the servers has raises.
---
--- ```lua
--- app:post("/drain", function(ctx)
---   moongate.upstream("users"):drain("http://127.0.0.1:9001", ctx.query.off ~= "1")
---   return 204
--- end)
--- --> with upstream users => 200 Ada
--- --> POST /drain => 204
--- --> POST /drain?off=1 => 204
--- ```
---@param url string
---@param drain? boolean
function upstream:drain(url, drain) end

--- All that there is to say of it now.
---
--- ```lua
--- app:get("/", function()
---   local status = moongate.upstream("users"):status()
---   return { servers = #status.servers, circuit = status.circuit }
--- end)
--- --> with upstream users => 200 Ada
--- --> GET / => 200 {"circuit":"closed","servers":1}
--- ```
---@return moongate.UpstreamStatus
---@nodiscard
function upstream:status() end
