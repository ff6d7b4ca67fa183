---@meta _

--- Calls to other servers: `ctx:http_request(options)` in a request, `moongate.http.request(options)`
--- in jobs and background work. Connections are pooled; a call starts at once, and is cancelled down
--- to the wire with its Future.
---
--- Failures have a code: `dns`, `denied` (by `http.deny` or the option `deny`), `connect`, `tls`,
--- `timeout`, `closed`, `protocol`, `limit`, `cancelled`. A status of 400 and more is none.
---@class moongate.http
local http = {}

---@class moongate.HttpOptions: moongate.HttpCallOptions of a call; a URL alone is a GET
---@field url string "http://host/path" or "https://host/path"
---@field method? string "GET" unless told

---@class moongate.HttpCallOptions of a call besides its URL and its method
---@field headers? table<string, string|number|(string|number)[]> fields of the request; a list is a line each
---@field query? table<string, string|number|boolean|(string|number|boolean)[]> added to the URL's query
---@field body? string|async fun(out: moongate.Out) a text, or a function that calls `out:write(data)`
---@field json? any sent as JSON
---@field form? table<string, string|number|boolean|(string|number|boolean)[]> sent as a form, urlencoded
---@field file? string the path of a file that is sent
---@field timeout? number seconds in total, 30 unless told; of a stream until its head
---@field connect_timeout? number seconds for name, dial and handshake, 5 unless told
---@field first_byte_timeout? number seconds from the connection until the response's head
---@field idle_timeout? number seconds between two pieces of a stream, 30 unless told
---@field redirects? integer|false how many are followed, 5 unless told; false: none
---@field retries? integer after failures that may pass, for idempotent methods; 0 unless told
---@field max? integer|string|false the largest body, "16M" unless told, false: any; of a stream there is none unless it is set
---@field http2? boolean|"auto" "auto": over TLS, if the server offers it; true: without TLS too; as `http.http2` unless told
---@field decompress? boolean gzip and deflate are undone; true unless told
---@field stream? boolean the Future resolves with the head; read `response:chunks()`
---@field ca? string PEM file of the certificates that are trusted, instead of `http.ca`
---@field insecure? boolean certificates are not verified; logged as a warning
---@field server_name? string for the handshake, instead of the host
---@field unix? string the path of a Unix socket that is called instead of the host
---@field deny? string|string[] networks and names of addresses that may not be called, as "private"
---@field allow? string|string[] exceptions from `deny`, or alone the only ones
---@field credentials? string|string[] names of fields that no other server gets by a redirection

--- Sends a request that belongs to the app: no client that leaves stops it.
---
--- ```lua
--- app:get("/", function()
---   local res = moongate.http.request({ url = "http://api.internal/v1", query = { q = "moon" } }):await()
---   return res:json().answer
--- end)
--- --> with GET http://api.internal/v1?q=moon => 200 {"answer":"grey"}
--- --> GET / => 200 grey
--- ```
---@param options string|moongate.HttpOptions
---@return moongate.Future<moongate.Response>
---@nodiscard
function http.request(options) end

--- A GET. `http.head`, `http.post`, `http.put`, `http.patch`, `http.delete` and `http.options` are
--- likewise.
---
--- ```lua
--- app:get("/", function() return moongate.http.get("http://api.internal/"):await().body end)
--- --> with GET http://api.internal/ => 200 fine
--- --> GET / => 200 fine
--- ```
---@param url string
---@param options? moongate.HttpCallOptions
---@return moongate.Future<moongate.Response>
---@nodiscard
function http.get(url, options) end

--- A HEAD.
---
--- ```lua
--- app:get("/", function() return tostring(moongate.http.head("http://api.internal/"):await().status) end)
--- --> with HEAD http://api.internal/ => 204
--- --> GET / => 200 204
--- ```
---@param url string
---@param options? moongate.HttpCallOptions
---@return moongate.Future<moongate.Response>
---@nodiscard
function http.head(url, options) end

--- A POST.
---
--- ```lua
--- app:get("/", function()
---   return moongate.http.post("http://api.internal/", { json = { a = 1 } }):await().body
--- end)
--- --> with POST http://api.internal/ => 201 made
--- --> GET / => 200 made
--- ```
---@param url string
---@param options? moongate.HttpCallOptions
---@return moongate.Future<moongate.Response>
---@nodiscard
function http.post(url, options) end

--- A PUT.
---
--- ```lua
--- app:get("/", function()
---   return tostring(moongate.http.put("http://api.internal/7", { body = "x" }):await():ok())
--- end)
--- --> with PUT http://api.internal/7 => 204
--- --> GET / => 200 true
--- ```
---@param url string
---@param options? moongate.HttpCallOptions
---@return moongate.Future<moongate.Response>
---@nodiscard
function http.put(url, options) end

--- A PATCH.
---
--- ```lua
--- app:get("/", function()
---   return tostring(moongate.http.patch("http://api.internal/7", { json = { a = 2 } }):await().status)
--- end)
--- --> with PATCH http://api.internal/7 => 200 changed
--- --> GET / => 200 200
--- ```
---@param url string
---@param options? moongate.HttpCallOptions
---@return moongate.Future<moongate.Response>
---@nodiscard
function http.patch(url, options) end

--- A DELETE.
---
--- ```lua
--- app:get("/", function()
---   return tostring(moongate.http.delete("http://api.internal/7"):await().status)
--- end)
--- --> with DELETE http://api.internal/7 => 404 nothing
--- --> GET / => 200 404
--- ```
---@param url string
---@param options? moongate.HttpCallOptions
---@return moongate.Future<moongate.Response>
---@nodiscard
function http.delete(url, options) end

--- An OPTIONS.
---
--- ```lua
--- app:get("/", function()
---   return tostring(moongate.http.options("http://api.internal/"):await().status)
--- end)
--- --> with OPTIONS http://api.internal/ => 204
--- --> GET / => 200 204
--- ```
---@param url string
---@param options? moongate.HttpCallOptions
---@return moongate.Future<moongate.Response>
---@nodiscard
function http.options(url, options) end

--- Figures of this worker's client: `origins`, `connections`, `idle`, `waiting` (calls, for a
--- connection), `calls`, `reused` (connections, by calls), `dialled`, `failed`.
---
--- ```lua
--- app:get("/", function() return type(moongate.http.stats()) end)
--- --> GET / => 200 table
--- ```
---@return table<string, integer>
function http.stats() end

---@class moongate.Response what a call to another server answers
---@field status integer 200 to 599
---@field headers table<string, string> looked up without regard to case; repeated ones joined
---@field cookies string[]? the Set-Cookie fields
---@field body string nil of a streamed response
---@field url string of the last redirect
---@field redirects integer that were followed
---@field version string "2.0", "1.1" or "1.0"
local response = {}

--- Whether the status is 200 to 299.
---
--- ```lua
--- app:get("/", function(ctx)
---   local res = ctx:http_request("http://api.internal/"):await()
---   return { ok = res:ok(), status = res.status }
--- end)
--- --> with GET http://api.internal/ => 404 none
--- --> GET / => 200 {"ok":false,"status":404}
--- ```
---@return boolean
function response:ok() end

--- The body as JSON, of at most 100 levels; raises code `protocol` if it is none.
---
--- ```lua
--- app:get("/", function(ctx) return ctx:http_request("http://api.internal/"):await():json().name end)
--- --> with GET http://api.internal/ => 200 {"name":"Ada"}
--- --> GET / => 200 Ada
--- ```
---@return any
---@typescript json<V = any>(): V
function response:json() end

--- The body as it comes: an iterator which awaits. Of a response that was not streamed it gives the
--- body in one piece.
---
--- ```lua
--- app:get("/", function(ctx)
---   local res = ctx:http_request("http://api.internal/"):await()
---   local n = 0
---   for piece in res:chunks() do n = n + #piece end
---   return tostring(n)
--- end)
--- --> with GET http://api.internal/ => 200 hello
--- --> GET / => 200 5
--- ```
---@return async fun(): string?
function response:chunks() end

--- Ends a streamed response; what has not come yet is not waited for.
---
--- ```lua
--- app:get("/", function(ctx)
---   local res = ctx:http_request("http://api.internal/"):await()
---   res:close()
---   return tostring(res.status)
--- end)
--- --> with GET http://api.internal/ => 200 hello
--- --> GET / => 200 200
--- ```
function response:close() end
