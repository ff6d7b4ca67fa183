--- Stubs: replace what ctx and the modules can await. What the network would answer and nobody
--- stubbed is refused, showing the stub to write.
---
--- The seam is the table `calls` of each subject (http, cache, files): ctx and the modules look
--- their functions up there at each call. Statements of databases, by whatever way they are made,
--- come through core/database/statement.lua, commands of Redis through core/redis/asking.lua.
--- Calls are recorded in app.calls.
local context = require("moongate.core.request.context")
local check = require("moongate.core.check")
local folder = require("moongate.test.folder")
local chunks = require("moongate.test.chunks")
local statements = require("moongate.core.database.statement")
local redis = require("moongate.core.redis.asking")
local suggest = require("moongate.core.suggest")
local settling = require("moongate.core.future.settle")
local answers = require("moongate.test.answers")
local http_stub = require("moongate.test.http_stub")
local matchers = require("moongate.test.matchers")
local memory_cache = require("moongate.test.memory_cache")

local M = {}

local SUBJECTS = { "http", "cache", "files" }
local native = require("moongate.native")
local array = native.json.array
local HTTP, STATEMENT, COMMAND = "http_request", "query_database", "redis_command"
local methods = context.methods
-- Name of a call -> its subject.
local subject_of = { [STATEMENT] = "database", [COMMAND] = "redis" }
local originals = {} -- name of a call -> the real function
local own = {} -- likewise for those that are ctx's alone: sleep, spawn
local current

for _, subject in ipairs(SUBJECTS) do
  for name in pairs(require("moongate." .. subject).calls) do
    subject_of[name] = subject
  end
end

-- --- what is refused ---

local show = matchers.show_value

local STUB_TO_WRITE = {
  http = function(record)
    local request = record.request or { method = "GET", url = tostring(record[1]) }
    return "app:stub_http(" .. show(request.method .. " " .. request.url)
      .. ", { status = 200, json = { ... } })"
  end,
  database = function(record)
    return "app:stub_database(" .. show(record[1]) .. ", { { ... } })"
  end,
  redis = function(record)
    return "app:stub_redis(" .. show(table.concat(record, " ")) .. ", \"value\")"
  end,
  cache = function(record)
    if record.name == "query_cache" then
      return "app:stub_cache(" .. show(record[1]) .. ", \"value\")"
    end
    return "app:stub_cache() -- a cache in memory"
  end,
  files = function(record)
    return "app:stub(" .. show(record.name) .. ", true)\nor give the app a folder to write into:\n"
      .. '  test.app(..., { files = "tmp" })'
  end,
}

local ABSENT = {
  http = "specs have no network", database = "specs have no network",
  redis = "specs have no network", cache = "specs have no network", files = "specs change no files",
}

local function refuse(record, level)
  local subject = subject_of[record.name]
  error(("%s is not stubbed, and %s; write for example:\n  %s"):format(matchers.describe(record),
    ABSENT[subject], STUB_TO_WRITE[subject](record)), level and level + 1 or 0)
end

-- --- a call ---

local function note(app, name, ...)
  local record = { name = name, n = select("#", ...), ... }
  if name == HTTP then
    record.request, record.problem = http_stub.request(...)
  end
  app.calls[#app.calls + 1] = record
  return record
end

-- Of several that fit, the one that came last.
local function rule_for(app, record)
  local rules = app.stubs_for[record.name] or {}
  for i = #rules, 1, -1 do
    if rules[i].matches(record) then
      return rules[i]
    end
  end
end

local function to_future(name, call, answer, level)
  local future = answers.future(call, answer, level + 1)
  future._uncancellable = name == "update_cache" or nil
  return future
end

local function follow(rule, scope, level, record)
  local call = { scope = scope, args = rule.args(record), shape = rule.shape }
  return (to_future(record.name, call, rule.answer, level + 1))
end

-- A stub of the call as a whole, whatever its arguments: app:stub.
local function follow_general(answer, scope, level, record)
  local ctx = context.is(scope) and scope or nil
  local call = { scope = scope, args = { n = record.n + 1, ctx, unpack(record, 1, record.n) } }
  return (to_future(record.name, call, answer, level + 1))
end

local function is_refused(app, name)
  local subject = subject_of[name]
  if subject == "files" then
    return folder.refuses(name)
  end
  return subject and not app.real[subject]
end

-- What the real call would refuse.
local function check_options(record)
  local subject = subject_of[record.name]
  local options = subject ~= "http" and require("moongate." .. subject).options[record.name]
  if options and record[options[1]] ~= nil then
    check.options(record.name, record[options[1]], options[2])
  end
end

local function check_request(record, level)
  if record.name == HTTP and not record.request then
    error((record.problem:gsub("^[^\n:]+:%d+: ", "")), level + 1)
  end
end

-- What the spec has for the call, as a Future; nil: nothing, and the real one may be asked.
local function stubbed(record, scope, level)
  local app, name = current, record.name
  local rule = rule_for(app, record)
  if rule and name == HTTP then
    return nil -- the real client calls a server that answers so
  elseif rule then
    return (follow(rule, scope, level + 1, record))
  elseif app.stubs[name] ~= nil then
    return (follow_general(app.stubs[name], scope, level + 1, record))
  elseif is_refused(app, name) then
    refuse(record, level + 1)
  end
end

-- What the server of one try of a call says. A body that is yet to come is waited for.
local function answer_of_server(request, written)
  local record = { name = HTTP, n = 1, request.url, request = request }
  local rule = rule_for(current, record) or refuse(record)
  return written and rule.answer or answers.evaluate(rule.answer, request)
end

local function first_row(rows)
  return rows[1]
end

local function statement(scope, level, sql, first, ...)
  local good, _, number, wrong = native.database_check(...)
  if not good then
    statements.fail_parameter(level + 1, number, wrong)
  end
  local future = stubbed(note(current, STATEMENT, sql, ...), scope, level + 1)
  return future and first and settling.derive(future, level + 1, first_row) or future
end

local function command(scope, level, words)
  return (stubbed(note(current, COMMAND, unpack(words)), scope, level + 1))
end

-- --- what is replaced ---

local function replace(name, calls)
  local real = calls[name]
  originals[name] = originals[name] or real
  real = originals[name]
  calls[name] = function(scope, level, ...)
    local record = note(current, name, ...)
    check_request(record, level + 1)
    check_options(record)
    local future = stubbed(record, scope, level + 1)
    if not future then
      -- A tail call: the level stays.
      return real(scope, level, folder.arguments(name, level + 1, ...))
    end
    return name == "file_chunks" and chunks.new(future, ...) or future
  end
end

-- For calls of ctx that are no subject's.
local function replace_own(name)
  if subject_of[name] or own[name] then
    return
  end
  local real = methods[name]
  own[name] = real
  methods[name] = function(ctx, ...)
    if current.stubs[name] == nil then
      return real(ctx, ...)
    end
    return (stubbed(note(current, name, ...), ctx, 2))
  end
end

--- Makes `app` the one whose stubs hold.
---@param real table? subjects that are there and need no stub: { database = true, cache = true,
--- files = the folder for what is written }
function M.install(app, real)
  app.stubs, app.stubs_for, app.real = {}, {}, real or {}
  current = app
  statements.stub, redis.stub = statement, command
  http_stub.install(app, answer_of_server)
  folder.install(app.real.files)
  for name, subject in pairs(subject_of) do
    -- ctx:cache() gives an object, whose calls count.
    if name ~= STATEMENT and name ~= COMMAND and name ~= subject then
      replace(name, require("moongate." .. subject).calls)
    end
  end
end

function M.remove(app)
  if current ~= app then
    return
  end
  for name, fn in pairs(originals) do
    require("moongate." .. subject_of[name]).calls[name] = fn
  end
  for name, fn in pairs(own) do
    methods[name] = fn
  end
  originals, own = {}, {}
  http_stub.remove()
  folder.install(nil)
  statements.stub, redis.stub, current = false, false, nil
end

-- --- declaring ---

local function check_name(what, name)
  local known = {}
  for _, each in ipairs(context.async) do
    known[each] = true
  end
  if not known[name] then
    check.fail(what .. ": allowed are " .. table.concat(context.async, ", ") .. ", not "
      .. tostring(name) .. suggest.for_name(name, known))
  end
end

function M.set(app, name, answer)
  check_name("stub", name)
  if answer == nil then
    answer = function() end
  end
  app.stubs[name] = answer
  replace_own(name)
end

local function all_arguments(record)
  return record
end

local function but_the_first(record)
  return { n = math.max(record.n - 1, 0), unpack(record, 2, record.n) }
end

-- Rows are a list, also when there are none.
local function rows_shape(value)
  return type(value) == "table" and not getmetatable(value) and array(value) or value
end

local function info_of(content)
  return { kind = "file", size = #content, modified = 0, mode = "0644" }
end

-- `args`: what a function as the answer gets. `shape`: makes of its value what the real call gives.
local RULES = {
  query_database = { args = but_the_first, shape = rows_shape },
  stat_file = { shape = info_of },
}

--- A stub for the calls that the matcher means, before all older ones; `last`: behind them.
function M.add(app, name, matcher, answer, last)
  local kind = RULES[name] or {}
  local rules = app.stubs_for[name] or {}
  app.stubs_for[name] = rules
  table.insert(rules, last and 1 or #rules + 1, {
    matches = matchers.compile(name, matcher),
    answer = answer,
    args = kind.args or all_arguments,
    shape = kind.shape,
  })
end

--- A cache in memory answers what no other stub does.
function M.add_memory_cache(app)
  local cache = memory_cache.new()
  for name, subject in pairs(subject_of) do
    if subject == "cache" and cache[name] then
      M.add(app, name, nil, function(...)
        return cache[name](cache, ...)
      end, true)
    end
  end
end

-- --- asking what was called ---

--- The calls of that name that the matcher means, in order.
function M.calls_of(app, name, matcher)
  check_name("calls", name)
  local matches = matchers.compile(name, matcher)
  local list = {}
  for _, record in ipairs(app.calls) do
    if record.name == name and matches(record) then
      list[#list + 1] = record
    end
  end
  return list
end

--- Whether a request that a server had is one that the matcher of HTTP means.
---@return fun(request: table): boolean
function M.of_http(matcher)
  local matches = matchers.compile(HTTP, matcher)
  return function(request)
    return matches({ request = request })
  end
end

--- In words, all calls of that name.
function M.describe_calls(app, name)
  local lines = {}
  for _, record in ipairs(M.calls_of(app, name)) do
    lines[#lines + 1] = "\n  " .. matchers.describe(record)
  end
  return lines[1] and ("; its calls were:" .. table.concat(lines)) or "; it was never called"
end

return M
