--- Writes what was recorded as a spec.
local json = require("moongate.json")
local redact = require("moongate.core.record.redact")

local M = {}

-- Of a request: what its connection and its client are, which mean nothing in a spec.
local LEFT_OUT = {
  host = true, connection = true, ["content-length"] = true, ["transfer-encoding"] = true,
  ["user-agent"] = true, ["accept-encoding"] = true, ["keep-alive"] = true, te = true, dnt = true,
  ["upgrade-insecure-requests"] = true, priority = true, ["cache-control"] = true, pragma = true,
}
-- Of another server's response: what its wire said of it.
local OF_WIRE = {
  connection = true, ["content-length"] = true, ["transfer-encoding"] = true, date = true,
  ["content-encoding"] = true, ["keep-alive"] = true, server = true, ["set-cookie"] = true,
}

-- --- values as Lua ---

local secrets = redact.secrets() -- of all that is written

local function quoted(value)
  return (("%q"):format(value):gsub("\\\n", "\\n"):gsub("\r", "\\r"):gsub("%z", "\\0"))
end

local function text(value)
  return quoted(secrets:clean(value))
end

local function key_of(key)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") then
    return key
  end
  return "[" .. M.literal(key) .. "]"
end

local function by_text(a, b)
  return tostring(a) < tostring(b)
end

local function members(value)
  local parts, keys = {}, {}
  for i, member in ipairs(value) do
    parts[i] = M.literal(member)
  end
  for key in pairs(value) do
    if not (type(key) == "number" and key >= 1 and key <= #parts and key % 1 == 0) then
      keys[#keys + 1] = key
    end
  end
  table.sort(keys, by_text)
  for _, key in ipairs(keys) do
    parts[#parts + 1] = key_of(key) .. " = " .. M.literal(value[key])
  end
  return parts[1] and "{ " .. table.concat(parts, ", ") .. " }" or "{}"
end

--- A value as Lua text: what JSON and databases have. Others are nil.
---@param value any
---@return string
function M.literal(value)
  local kind = type(value)
  if kind == "string" then
    return text(value)
  elseif value == json.null then
    return "json.null"
  elseif kind == "table" then
    return members(value)
  elseif kind == "number" and value % 1 == 0 and math.abs(value) < 2 ^ 53 then
    return ("%d"):format(value)
  elseif kind == "number" then
    return ("%.17g"):format(value)
  elseif kind == "boolean" or kind == "cdata" then
    return tostring(value)
  end
  return "nil"
end

-- --- what servers and stores have answered ---

local function without(headers, unwanted)
  local kept = {}
  for name, value in pairs(headers) do
    if not unwanted[name:lower()] and not name:lower():find("^sec%-") then
      kept[name] = value
    end
  end
  return redact.headers(kept)
end

-- A body whose secrets are replaced if its form is known.
local function clean_body(body, content_type)
  content_type = content_type or ""
  if content_type:find("json", 1, true) then
    local value = json.decode(body)
    return type(value) == "table" and json.encode(redact.value(value)) or body
  elseif content_type:find("x-www-form-urlencoded", 1, true) then
    return redact.query(body)
  end
  return body
end

local function failure(err)
  return "test.fail(" .. text(err.code) .. ", " .. text(tostring(err.message)) .. ")"
end

local ANSWERS = {
  http_request = function(res)
    return M.literal({
      status = res.status, headers = without(res.headers, OF_WIRE),
      body = clean_body(res.body or "", res.headers["content-type"]),
    })
  end,
  query_database = function(rows)
    return M.literal(redact.value(rows))
  end,
  read_file = text,
}

local MAGIC = "[%^%$%(%)%%%.%[%]%*%+%-%?]"

-- The app asks with its secret, of which the spec knows only where it stands.
local function http_matcher(call)
  local method, url = call.request.method, call.request.url
  local clean = secrets:clean(redact.url(url))
  if clean == url then
    return quoted(method .. " " .. url)
  end
  local mark = redact.TEXT:gsub(MAGIC, "%%%0")
  local pattern = clean:gsub(MAGIC, "%%%0"):gsub(mark:gsub("%W", "%%%0"), ".-")
  return ("{ method = %s, pattern = %s }"):format(quoted(method), quoted("^" .. pattern .. "$"))
end

local function first_argument(call)
  return text(call[1])
end

local STUBS = {
  http_request = { "stub_http", http_matcher },
  query_database = { "stub_database", first_argument },
  read_file = { "stub_file", first_argument },
}

-- Lines that stub all calls of one kind, in order; several answers to one question are a sequence.
local function add_stubs(lines, calls, name)
  local stub, order, answers = STUBS[name], {}, {}
  for _, call in ipairs(calls) do
    if call.name == name and call.over then
      local key = stub[2](call)
      if not answers[key] then
        order[#order + 1], answers[key] = key, {}
      end
      table.insert(answers[key], call.err and failure(call.err) or ANSWERS[name](call.value))
    end
  end
  for _, key in ipairs(order) do
    local list = answers[key]
    lines[#lines + 1] = ("app:%s(%s, %s)"):format(stub[1], key, list[2]
      and "test.sequence({ " .. table.concat(list, ", ") .. " })" or list[1])
  end
end

-- What was in the cache when the request asked for it first.
local function add_cache(lines, calls)
  local seen, used = {}, false
  for _, call in ipairs(calls) do
    local key = call[1]
    if call.subject == "cache" and type(key) == "string" then
      used = true
      local value = not call.made and call.value
      if call.name == "increment_cache" and type(value) == "number" then
        value = value - (call[2] or 1)
      end
      local reads = call.name == "query_cache" or call.name == "cached"
        or call.name == "increment_cache"
      if not seen[key] and reads and value ~= nil and value ~= false and value ~= 0 then
        value = redact.is_secret(key) and redact.TEXT or redact.value(value)
        lines[#lines + 1] = ("app:run(function() cache():set(%s, %s):await() end)")
          :format(text(key), M.literal(value))
      end
      seen[key] = true
    end
  end
  if used then
    table.insert(lines, 1, "app:stub_cache()")
  end
end

local CHANGES = {
  "write_file", "delete_file", "delete_folder", "make_folder", "rename_file",
}

local function add_changes(lines, calls)
  for _, name in ipairs(CHANGES) do
    for _, call in ipairs(calls) do
      if call.name == name then
        lines[#lines + 1] = ("app:stub(%s, true)"):format(text(name))
        break
      end
    end
  end
end

-- --- the spec ---

local function add_request(lines, tape)
  local options = {}
  local headers = without(tape.headers, LEFT_OUT)
  headers.accept = headers.accept ~= "*/*" and headers.accept or nil
  if next(headers) then
    options.headers = headers
  end
  if tape.body and tape.body ~= "" then
    options.body = clean_body(tape.body, tape.headers["content-type"])
  end
  local target = redact.query(tape.target)
  lines[#lines + 1] = ("local res = app:request(%s, %s%s)"):format(text(tape.method), text(target),
    next(options) and ", " .. M.literal(options) or "")
end

local function add_assertions(lines, tape)
  lines[#lines + 1] = ("assert.equal(%d, res.status)"):format(tape.status)
  if tape.status >= 500 then
    return -- moongate dev shows faults otherwise
  end
  local content_type = tape.content_type
  if content_type then
    lines[#lines + 1] = ('assert.equal(%s, res.headers["content-type"])')
      :format(text(content_type))
  end
  local body = tape.answer
  if not body or tape.method == "HEAD" then
    return -- in pieces, from a file; of an error that each answer numbers
  end
  local value = content_type and content_type:find("json", 1, true) and json.decode(body)
  if type(value) == "table" then
    lines[#lines + 1] = ("assert.same(%s, test.redacted(res:json()))")
      :format(M.literal(redact.value(value)))
  else
    lines[#lines + 1] = ("assert.equal(%s, res.body)"):format(text(body))
  end
end

local function case(tape, number)
  local lines = {}
  add_cache(lines, tape.calls)
  for _, name in ipairs({ "http_request", "query_database", "read_file" }) do
    add_stubs(lines, tape.calls, name)
  end
  add_changes(lines, tape.calls)
  add_request(lines, tape)
  add_assertions(lines, tape)
  local name = ("%d: %s %s is answered %d"):format(number, tape.method, redact.query(tape.target),
    tape.status)
  return ("  it(%s, function()\n    %s\n  end)\n"):format(text(name), table.concat(lines, "\n    "))
end

local HEAD = [[
-- Recorded by `moongate dev --record`: requests, and what servers, database, cache and files said
-- to the app then. Secrets are "[redacted]". What the app draws, or reads from the clock, is yours
-- to edit.
-- luacheck: ignore 631
local test = require("moongate.test")
local json = require("moongate.json") -- luacheck: ignore 211
local cache = require("moongate").cache -- luacheck: ignore 211

describe("recorded", function()
  local app

  before_each(function()
    app = test.app({ jobs = false })
  end)

  after_each(function()
    app:assert_no_leaks()
  end)
]]
local TAIL = "end)\n"

local function learn_body(body, content_type)
  if (content_type or ""):find("json", 1, true) then
    secrets:learn((json.decode(body)))
  elseif (content_type or ""):find("x-www-form-urlencoded", 1, true) then
    secrets:learn_query(body)
  end
end

local function learn_call(call)
  if call.name == "query_database" then
    secrets:learn(call.value)
  elseif call.name == "http_request" then
    secrets:learn_headers(call.request.headers)
    secrets:learn_query(call.request.url)
    if call.value then
      secrets:learn_headers(call.value.headers)
      learn_body(call.value.body or "", call.value.headers["content-type"])
    end
  end
end

local function learn(tape)
  secrets:learn_headers(tape.headers)
  secrets:learn_query(tape.target)
  learn_body(tape.body or "", tape.headers["content-type"])
  learn_body(tape.answer or "", tape.content_type)
  for _, call in ipairs(tape.calls) do
    learn_call(call)
  end
end

--- Adds a request to the text of a spec.
---@param before string? what M.add has returned before; nil or anything else: a spec begins
---@param tape table
---@return string
function M.add(before, tape)
  local good = before and before:sub(1, #HEAD) == HEAD and before:sub(-#TAIL) == TAIL
  before = good and before:sub(1, -#TAIL - 1) or HEAD
  local _, cases = before:gsub("\n  it%(", "")
  learn(tape)
  return before .. "\n" .. case(tape, cases + 1) .. TAIL
end

return M
