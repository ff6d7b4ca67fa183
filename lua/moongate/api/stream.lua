---@meta _

--- A raw stream: bytes both ways, once a request was taken over by `ctx:upgrade` or `ctx:tunnel`, of
--- a connection that came to `app:stream`, or to another server (`moongate.tcp`).
---
--- Reads are Futures; one reads at a time. `stream:write` suspends while the peer is slow. What was
--- taken over or accepted ends when the function that got the stream returns, when the peer leaves,
--- when the server has stopped.
---@class moongate.Stream
local stream = {}

--- Bytes: `n` of them, fewer only at the end; without `n` whatever has come, one at least. nil behind
--- the last byte.
---@param n? integer
---@return moongate.Future<string?>
---@nodiscard
function stream:read(n) end

--- A line without its LF or CRLF; the last one may have none. nil behind the last. Rejected with
--- code `limit` if it is longer than `most`.
---@param most? integer bytes, 65536 unless told
---@return moongate.Future<string?>
---@nodiscard
function stream:read_line(most) end

--- What comes before `delimiter`, which is taken away. nil if nothing is left; rejected with code
--- `closed` if the peer ends before it, with `limit` if more than `most` bytes come before it.
---@param delimiter string of 1 to 256 bytes
---@param most? integer bytes, 65536 unless told
---@return moongate.Future<string?>
---@nodiscard
function stream:read_until(delimiter, most) end

--- Sends; suspends while the peer is slow. Raises with code `closed` once nothing can be sent.
---@param data string|number
---@return moongate.Stream self
function stream:write(data) end

--- Ends this side: the peer sees the end behind what was written. Reading goes on.
function stream:shutdown() end

--- Ends both sides; what was written still leaves.
function stream:close() end
