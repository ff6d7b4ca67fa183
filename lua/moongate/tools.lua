--- Small tools, found on `moongate` itself. A wrong argument raises at the caller's line; malformed
--- text gives nil and a message.
local native = require("moongate.native").tools

---@class moongate.tools
local M = {}

--- With "url": the alphabet with - and _, and no padding.
---@type fun(bytes: string, variant?: "standard"|"url"): string
M.base64_encode = native.base64_encode

--- Padding may be absent, but nothing else is forgiven.
---@type fun(text: string, variant?: "standard"|"url"): string?, string?
M.base64_decode = native.base64_decode

--- In lower case.
---@type fun(bytes: string): string
M.hex_encode = native.hex_encode

---@type fun(text: string): string?, string?
M.hex_decode = native.hex_decode

--- The text of a number or 64-bit integer, exact: what fields, URLs, queries, bodies and keys get.
--- (`"id " .. 1700000000123456` is Lua's own, of 14 digits.) Raises for nan and infinities.
---@type fun(n: number): string
function M.number_text(n)
  local text, wrong = native.number_text(n)
  return text or error("number_text: " .. wrong, 2)
end

--- Whether the text is UTF-8: what a client sends need not be.
---@type fun(text: string): boolean
M.is_utf8 = native.is_utf8

--- For one component of a URL: all but letters, digits and `-._~` is written as %XX.
---@type fun(text: string): string
M.url_encode = native.url_encode

--- Leaves a plus sign alone, which means a space in forms only.
---@type fun(text: string): string?, string?
M.url_decode = native.url_decode

--- "a=1&b=x%20y" with sorted keys. An array repeats its key; an empty one is left out.
---@type fun(fields: table<string, string|number|boolean|(string|number|boolean)[]>): string
M.query_encode = native.query_encode

--- 32 raw bytes; hex_encode makes them readable.
---@type fun(bytes: string): string
M.sha256 = native.sha256

--- 32 raw bytes.
---@type fun(key: string, bytes: string): string
M.hmac_sha256 = native.hmac_sha256

--- 20 raw bytes, for old protocols: no protection against forgery.
---@type fun(bytes: string): string
M.sha1 = native.sha1

--- 16 raw bytes, for old protocols: no protection against forgery.
---@type fun(bytes: string): string
M.md5 = native.md5

--- 1 to 65536 bytes of the kernel's randomness, fit for keys.
---@type fun(count: integer): string
M.random_bytes = native.random_bytes

--- A random UUID (version 4).
---@type fun(): string
M.uuid = native.uuid

--- A UUID that begins with the real time (version 7); later ones of a worker sort behind earlier
--- ones.
---@type fun(): string
M.uuid7 = native.uuid7

--- Compares secrets in a time that tells nothing but whether their lengths differ.
---@type fun(a: string, b: string): boolean
M.constant_time_equal = native.constant_time_equal

return M
