--- Matchers: which calls a stub or an assertion of a spec means.
local check = require("moongate.core.check")

local M = {}

-- What a matcher of each call is compared with; others: the first argument as it is.
local KIND = {
  http_request = "http",
  query_database = "sql",
  query_cache = "key", update_cache = "key", delete_cache = "key", increment_cache = "key",
  cached = "key", redis_command = "words",
}

local function any()
  return true
end

-- Statements are written over several lines: runs of white space are one space.
local function squeeze(text)
  return (text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", ""))
end

local HTTP_KEYS = { method = check.string, url = check.string, pattern = check.string }
local PATTERN = { pattern = check.string }

local function http(matcher)
  if type(matcher) == "string" then
    local method, url = matcher:match("^(%u+) (.+)$")
    matcher = { method = method, url = url or matcher }
  end
  matcher = check.options("the matcher", matcher, HTTP_KEYS)
  local method = matcher.method and matcher.method:upper()
  return function(request)
    return (not method or request.method == method)
      and (not matcher.url or request.url == matcher.url)
      and (not matcher.pattern or request.url:find(matcher.pattern) ~= nil)
  end
end

local function pattern_of(matcher)
  local pattern = check.options("the matcher", matcher, PATTERN).pattern
  if not pattern then
    check.fail("the matcher: { pattern = \"a Lua pattern\" } is wanted")
  end
  return function(first)
    return type(first) == "string" and first:find(pattern) ~= nil
  end
end

-- All words of a command as one text.
local function of_words(test)
  return function(...)
    return test(table.concat({ ... }, " "))
  end
end

local function exactly(kind, matcher)
  if kind == "sql" and type(matcher) == "string" then
    matcher = squeeze(matcher)
    return function(sql)
      return type(sql) == "string" and squeeze(sql) == matcher
    end
  end
  return function(first)
    return first == matcher
  end
end

--- A function(call record) -> boolean. `matcher`: nil (every call), a function of the arguments
--- (of an HTTP request: of { method, url, headers, body }), { pattern = }, or what is looked for
--- itself: a URL with or without its method, a statement, a key, a path.
function M.compile(name, matcher)
  local kind = KIND[name]
  local test
  if matcher == nil then
    return any
  elseif check.is_callable(matcher) then
    test = matcher
  elseif kind == "http" then
    test = http(matcher)
  elseif type(matcher) == "table" then
    test = pattern_of(matcher)
  else
    test = exactly(kind, matcher)
  end
  if kind == "words" and not check.is_callable(matcher) then
    test = of_words(test)
  end
  return function(record)
    if record.request then
      return test(record.request)
    end
    return test(unpack(record, 1, record.n))
  end
end

local function show_value(value)
  if type(value) == "string" then
    return (("%q"):format(#value > 200 and value:sub(1, 200) .. "..." or value):gsub("\\\n", "\\n"))
  end
  return tostring(value)
end
M.show_value = show_value

--- A call in words: http_request GET http://..., query_cache("key").
function M.describe(record)
  local request = record.request
  if request then
    return record.name .. " " .. request.method .. " " .. request.url
  end
  local args = {}
  for i = 1, record.n do
    args[i] = show_value(record[i])
  end
  return record.name .. "(" .. table.concat(args, ", ") .. ")"
end

return M
