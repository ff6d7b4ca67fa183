--- What of a recorded request nobody else is to read.
local options = require("moongate.core.http.options")

local M = {}

M.TEXT = "[redacted]"

-- Parts of the names of fields that hold secrets.
local SECRET = {
  "passw", "secret", "token", "api[_%-]?key", "credential", "authorization", "session",
  "card[_%-]?number", "cvv", "private[_%-]?key",
}

--- Whether a member or parameter of that name holds a secret.
---@param name any
---@return boolean
function M.is_secret(name)
  if type(name) ~= "string" then
    return false
  end
  name = name:lower()
  for _, part in ipairs(SECRET) do
    if name:find(part) then
      return true
    end
  end
  return false
end

--- A copy of a value as JSON has them, its secrets replaced.
---@param value any
---@return any
function M.value(value)
  if type(value) ~= "table" then
    return value
  end
  local copy = setmetatable({}, getmetatable(value))
  for key, member in pairs(value) do
    copy[key] = M.is_secret(key) and M.TEXT or M.value(member)
  end
  return copy
end

local function is_private(name)
  name = name:lower()
  return options.PRIVATE[name] or name == "set-cookie" or M.is_secret(name)
end

-- The values of cookies, and what stands behind the name of a scheme: "Bearer [redacted]".
local function private_value(name, value)
  if name:lower() == "cookie" then
    return (value:gsub("=[^;]*", "=" .. M.TEXT))
  end
  local scheme = value:match("^(%a+) +[^ ]+$")
  return scheme and scheme .. " " .. M.TEXT or M.TEXT
end

--- A copy of header fields.
---@param headers table<string, string>
function M.headers(headers)
  local copy = {}
  for name, value in pairs(headers) do
    copy[name] = is_private(name) and private_value(name, value) or value
  end
  return copy
end

--- A query or a form, and whatever stands before it: "?token=a&b=1" is "?token=[redacted]&b=1".
---@param text string
---@return string
function M.query(text)
  return (text:gsub("([^?&=#/]+)=([^&#]*)", function(name, value)
    return name .. "=" .. (M.is_secret(name) and value ~= "" and M.TEXT or value)
  end))
end

-- --- the same secrets under other names ---

local SHORTEST = 4 -- what is shorter stands anywhere by chance

---@class moongate.Secrets values that were seen where secrets are
local Secrets = {}
Secrets.__index = Secrets

---@return moongate.Secrets
function M.secrets()
  return setmetatable({ known = {}, list = {} }, Secrets)
end

local function add(self, value)
  if type(value) == "string" and #value >= SHORTEST and not self.known[value] then
    self.known[value] = true
    table.insert(self.list, value)
  end
end

--- Learns the secrets of a value as JSON has them.
function Secrets:learn(value)
  for key, member in pairs(type(value) == "table" and value or {}) do
    if M.is_secret(key) then
      add(self, member)
    end
    self:learn(member)
  end
end

function Secrets:learn_query(text)
  for name, value in text:gmatch("([^?&=#/]+)=([^&#]*)") do
    if M.is_secret(name) then
      add(self, value)
    end
  end
end

function Secrets:learn_headers(headers)
  for name, value in pairs(headers) do
    if is_private(name) then
      add(self, value:match("^%a+ +([^ ]+)$") or value)
      for cookie in value:gmatch("=([^;]*)") do
        add(self, cookie)
      end
    end
  end
end

--- The text without them.
---@param text string
---@return string
function Secrets:clean(text)
  table.sort(self.list, function(a, b)
    return #a > #b
  end)
  for _, value in ipairs(self.list) do
    text = text:gsub(value:gsub("%W", "%%%0"), M.TEXT)
  end
  return text
end

--- A URL, whose user and password count as well.
---@param url string
---@return string
function M.url(url)
  return M.query((url:gsub("^(%w+://)[^/@]+@", "%1" .. M.TEXT .. "@")))
end

return M
