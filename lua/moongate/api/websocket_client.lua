---@meta _

--- WebSockets to other servers.
---
--- ```lua spec
--- local moongate = require("moongate")
--- local test = require("moongate.test")
---
--- it("asks a feed for the moon", function()
---   local app = test.app(function(app)
---     app:get("/moon", function()
---       local ws = moongate.websocket.connect("wss://feed.internal/sky", { timeout = 2 }):await()
---       ws:send({ want = "moon" })
---       for data in ws:messages() do
---         return data
---       end
---     end)
---   end)
---   app:stub_websocket("wss://feed.internal/sky", function(ws)
---     assert.equal('{"want":"moon"}', (ws:receive():await()))
---     ws:send("full")
---   end)
---   assert.equal("full", app:get("/moon").body)
---   app:assert_no_leaks()
--- end)
--- ```
---
--- A socket ends with the coroutine that has asked for it, at the latest: whoever keeps one for
--- longer says `socket:detach()`. One that shall last is opened in `app:on_start` with the option
--- `reconnect`, and read in a coroutine of `moongate.spawn`.
---@class moongate.websocket
local websocket = {}

---@class moongate.WebSocketConnectOptions of `moongate.websocket.connect`
---@field headers? table<string, string|number|(string|number)[]> of the request: Origin, Cookie, Authorization
---@field protocols? string[] subprotocols, the preferred one first; a server that chooses none of them is refused
---@field timeout? number seconds until it is open, 30 unless told
---@field connect_timeout? number seconds of these for name, dial and handshake, 5 unless told
---@field max_message? integer|string the largest message that may come, "1M" unless told: beyond it 1009
---@field ping? number|false seconds without a byte from the server after which it is pinged, 30 unless told
---@field idle? number|false likewise, after which the socket is closed with 1001: 90 unless told
---@field close_timeout? number seconds that the server has for its half of the closing handshake, 5 unless told
---@field deflate? boolean permessage-deflate is offered, without context takeover; false unless told
---@field ca? string PEM file of the certificates that are trusted, instead of `http.ca`
---@field insecure? boolean certificates are not verified; logged as a warning
---@field server_name? string for the TLS handshake, instead of the host
---@field unix? string the path of a Unix socket that is dialled instead of the host
---@field deny? string|string[] networks and names of addresses that may not be dialled, as "private"; besides the configuration's http.deny
---@field allow? string|string[] exceptions from `deny`, or alone the only ones
---@field reconnect? boolean|moongate.WebSocketReconnect another connection is opened whenever this one ends, but for an end by `socket:close` and for one with code 1000 or 1008

---@class moongate.WebSocketReconnect the option `reconnect` of `moongate.websocket.connect`
---@field wait? number seconds before the first try, 0.5 unless told; doubled for each further one. Up to half of them are left to chance
---@field most? number seconds at most between two tries, 30 unless told
---@field tries? integer after which it is given up; without end unless told. An answer of 4xx ends it too
---@field opened? async fun(socket: moongate.ClientWebSocket, code: integer) called with each new connection, before messages of it are given out: what the server has to be told again. Messages may have been missed; `code` is how the one before ended

--- Opens a WebSocket (RFC 6455). What http.deny and http.allow say holds. Errors: `dns`, `denied`,
--- `connect`, `tls`, `timeout`, `closed`, `limit`, `cancelled`, and `protocol` for an answer that
--- makes no WebSocket, whose status is `err.answered`; redirections are not followed.
---@param url string "ws://host/path" or "wss://host/path"
---@param options? moongate.WebSocketConnectOptions
---@return moongate.Future<moongate.ClientWebSocket>
---@nodiscard
function websocket.connect(url, options) end

--- A socket of `moongate.websocket.connect`.
---@class moongate.ClientWebSocket
---@field url string
---@field protocol string the subprotocol that the server has chosen; "" if there is none
---@field headers table<string, string> of the server's answer, names in lower case
---@field code? integer once it has ended: how; 1005 is a close frame without a code, 1006 a connection that failed
---@field reason? string
local socket = {}

--- The next message and "text" or "binary"; once the socket has ended nil, the code and the reason.
--- What came before the end is given first.
---@return moongate.Future<string?>
---@nodiscard
function socket:receive() end

--- The messages one after the other, until the socket has ended; `socket.code` tells how.
---@return fun(): string?
---@nodiscard
function socket:messages() end

--- Sends a message; suspends while much waits for the server. Raises with code `closed` while there
--- is no connection: nothing is kept for another one.
---@param data string|number|table a table becomes JSON
---@param kind? "text"|"binary" "text", which has to be UTF-8, unless told
---@return moongate.ClientWebSocket self
---@async
function socket:send(data, kind) end

--- Asks the server for a sign of life; the option `ping` does so by itself.
---@param data? string of at most 125 bytes
---@return moongate.ClientWebSocket self
function socket:ping(data) end

--- Closes. What was sent still leaves; what comes is dropped. It has ended once `socket:receive()` gives
--- nil.
---@param code? integer 1000 unless told
---@param reason? string of at most 123 bytes
function socket:close(code, reason) end

--- It ends neither with the coroutine nor with the request that has asked for it any more, but with
--- the scripts, unless it is closed before.
---@return moongate.ClientWebSocket self
function socket:detach() end
