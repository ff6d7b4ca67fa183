--- Messages over PostgreSQL's channels: NOTIFY, as a statement whose parts are parameters.
local M = {}

local CHANNEL_MAX, PAYLOAD_MAX = 63, 7999 -- bytes; PostgreSQL's own

M.SQL = "SELECT pg_notify($1, $2)"

---@param level integer the stack level of whoever called the public function
---@param channel string
function M.check_channel(level, what, channel)
  if type(channel) ~= "string" or channel == "" or #channel > CHANNEL_MAX
    or channel:find("%z") then
    error(("%s: a channel is wanted, a name of 1 to %d bytes"):format(what, CHANNEL_MAX),
      level + 1)
  end
end

--- Raises at the caller's line.
function M.check(level, channel, payload)
  M.check_channel(level + 1, "notify", channel)
  if payload ~= nil and (type(payload) ~= "string" or #payload > PAYLOAD_MAX
    or payload:find("%z")) then
    error(("notify: a payload is a text of up to %d bytes, not %s (what is larger goes into a "
      .. "table, and its key into the payload)"):format(PAYLOAD_MAX,
      type(payload) == "string" and #payload .. " bytes" or type(payload)), level + 1)
  end
end

return M
