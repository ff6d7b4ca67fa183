---@meta _

--- Raw streams to servers of other protocols, for clients of them that are written in Lua.
---
--- ```lua spec
--- local moongate = require("moongate")
--- local test = require("moongate.test")
---
--- it("asks a cache of another protocol", function()
---   local app = test.app(function(app)
---     app:get("/size", function()
---       local s = moongate.tcp.connect("cache.internal:11211", { timeout = 1 }):await()
---       s:write("stats\r\n")
---       local line = s:read_line():timeout(2):await()
---       s:close()
---       return line
---     end)
---   end)
---   app:stub_tcp("cache.internal:11211", function(s)
---     assert.equal("stats", s:read_line():await())
---     s:write("STAT bytes 7\r\n")
---   end)
---   assert.equal("STAT bytes 7", app:get("/size").body)
---   app:assert_no_leaks()
--- end)
--- ```
---@class moongate.tcp
local tcp = {}

---@class moongate.TcpTls the option `tls` of `moongate.tcp.connect`
---@field ca? string a file or folder of certificates that are trusted, instead of the configuration's
---@field server_name? string for SNI and the certificate, instead of the host
---@field cert? string a file: the certificate that is shown to a server that asks, with its chain
---@field key? string a file: its private key
---@field insecure? boolean neither certificate nor name are verified
---@field alpn? string|string[] protocols that are offered

---@class moongate.TcpOptions of `moongate.tcp.connect`
---@field tls? boolean|moongate.TcpTls TLS, with the system's certificates unless told otherwise
---@field timeout? number seconds for name, connection and handshake together: 5 unless given
---@field idle? number seconds without a byte either way, after which it is closed and a read that waits fails with code `timeout`; none unless given
---@field max_line? integer bytes that `read_line` and `read_until` look through: 65536 unless given
---@field deny? string|string[] networks and names of addresses that may not be dialled, as "private"; besides the configuration's http.deny
---@field allow? string|string[] those that may be dialled alone, or in spite of deny

--- Connects. The stream ends with the coroutine that has asked for it, at the latest: closed if that
--- returns, cut off if it fails or its request is cancelled; `s:detach()` makes it the scripts' own,
--- for pools. Counted in limits.descriptors. Which addresses may be dialled is said as for
--- `moongate.http`: http.deny and http.allow, and the options of the same names. Errors: `dns`,
--- `denied`, `connect`, `tls`, `timeout`, `limit`, `cancelled`. Its reads and writes fail with
--- `closed` once the peer is gone.
---@param address string "host:7000", "[::1]:7000", "unix:run/x.sock"
---@param options? moongate.TcpOptions
---@return moongate.Future<moongate.TcpStream>
---@nodiscard
function tcp.connect(address, options) end

--- A stream of `moongate.tcp.connect`.
---@class moongate.TcpStream: moongate.Stream
local tcp_stream = {}

--- Ends both sides; what was written still leaves.
function tcp_stream:close() end

--- It ends neither with the coroutine nor with the request that has asked for it any more, but with
--- the scripts, unless it is closed before: for pools.
---@return moongate.TcpStream self
function tcp_stream:detach() end
