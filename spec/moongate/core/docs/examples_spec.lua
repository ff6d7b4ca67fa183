--- Every example of the reference is run, and what its `-->` lines say is what happens:
---   --> METHOD TARGET (Field: value) BODY => STATUS (Field: value) BODY
---   --> with METHOD URL => STATUS BODY       what another server answers (stub_http)
---   --> with upstream NAME => STATUS BODY    what a server of that upstream answers
---   --> with redis WORDS => JSON             what Redis says to a command (stub_redis)
---   --> with statement SQL => JSON           what a statement gives that SQLite has not
--- A body that ends in `...` may go on. Blocks of "lua spec" are specs, of "lua conf"
--- configurations.
local test = require("moongate.test")
local reference = require("moongate.core.docs.reference")
local json = require("moongate.json")
local native = require("moongate.native")

local folder = os.tmpname() .. ".d"

local function write(path, text)
  local file = assert(io.open(folder .. "/" .. path, "w"))
  file:write(text)
  file:close()
end

for _, name in ipairs({ "public", "views", "migrations" }) do
  os.execute("mkdir -p '" .. folder .. "/" .. name .. "'")
end
write("public/hello.txt", "hello from a file")
write("views/page.etlua", "<title><%= title %></title>")
write("migrations/0001_users.sql", [[
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
INSERT INTO users (name) VALUES ('Ada'), ('Alan');
]])

-- "(Name: value) (Name: value) rest" as fields and the rest.
local function take_fields(text)
  local fields = {}
  while text:find("^%(") do
    local block = text:match("^%b()")
    local name, value = block:match("^%(([%w-]+): (.*)%)$")
    fields[name] = assert(value, "a field is wanted: " .. block)
    text = text:sub(#block + 1):gsub("^ ", "")
  end
  return fields, text
end

local function read_line(line)
  local asked, answered = line:match("^(.-) => (.*)$")
  local method, target, rest = (asked or ""):match("^(%u+) (%S+) ?(.*)$")
  local status, tail = (answered or ""):match("^(%d+) ?(.*)$")
  assert(method and status, "an example's line cannot be read: " .. line)
  local headers, body = take_fields(rest)
  local fields, text = take_fields(tail)
  return {
    line = line, method = method, target = target, headers = headers, body = body ~= "" and body,
    status = tonumber(status), fields = fields, text = text,
  }
end

local function first_line(text)
  return text:match("^[^\n]*")
end

local function check(app, step)
  local res
  if step.method == "CONNECT" then
    res = app:raw("CONNECT " .. step.target .. " HTTP/1.1\r\nHost: " .. step.target .. "\r\n\r\n")
      :response()
  else
    res = app:request(step.method, step.target, { headers = step.headers, body = step.body or nil })
  end
  assert.equal(step.status, res.status, step.line .. "\n" .. res.body)
  for name, value in pairs(step.fields) do
    assert.equal(value, res.headers[name], step.line)
  end
  if step.text:sub(-3) == "..." then
    local wanted = step.text:sub(1, -4)
    assert.equal(wanted, res.body:sub(1, #wanted), step.line)
  elseif step.text:find("^[{%[]") then
    assert.same(json.decode(step.text), json.decode(res.body), step.line)
  elseif step.method ~= "HEAD" and not (next(step.fields) and step.text == "") then
    assert.equal(step.text, (first_line(res.body):gsub(" $", "")), step.line)
  end
end

local function stub(app, line)
  local step = read_line(line)
  app:stub_http(step.method .. " " .. step.target, { status = step.status, body = step.text })
end

local UPSTREAM = "%-%-> with upstream (%w+) => (%d+) ?([^\n]*)"

local function upstreams_of(code)
  local upstreams = {}
  for upstream in code:gmatch(UPSTREAM) do
    upstreams[upstream] = { "http://127.0.0.1:9001" }
  end
  return next(upstreams) and upstreams
end

local function stub_upstreams(app, code)
  for upstream, status, body in code:gmatch(UPSTREAM) do
    app:stub_upstream(upstream, { { status = tonumber(status), body = body } })
  end
end

local function stub_redis(app, code)
  for words, reply in code:gmatch("%-%-> with redis (.-) => ([^\n]*)") do
    app:stub_redis(words, json.decode(reply))
  end
end

local function stub_statements(app, code)
  for sql, rows in code:gmatch("%-%-> with statement (.-) => ([^\n]*)") do
    app:stub_database(sql, json.decode(rows))
  end
end

local function run(code, name)
  local chunk = assert(loadstring("local moongate, app = ...; " .. code, "@" .. name))
  local app = test.app(function(app)
    chunk(require("moongate"), app)
  end, {
    root = folder, database = "sqlite::memory:", migrations = folder .. "/migrations",
    cache = "memory:1M", upstreams = upstreams_of(code) or nil, files = folder,
  })
  stub_upstreams(app, code)
  stub_redis(app, code)
  stub_statements(app, code)
  local steps = 0
  for line in code:gmatch("%-%-> ([^\n]*)") do
    local stubbed = line:match("^with (%u.*)$")
    if stubbed then
      stub(app, stubbed)
    elseif not line:find("^with %l+ ") then
      check(app, read_line(line))
      steps = steps + 1
    end
  end
  app:close()
  assert.is_true(steps > 0, name .. ": the example says nothing with -->")
end

describe("the reference's examples", function()
  teardown(function()
    os.execute("rm -r '" .. folder .. "'")
  end)

  for _, example in ipairs(reference.load().examples) do
    local name = ("%s (%s:%d)"):format(example.name, example.file, example.line)
    if example.kind == "spec" then
      describe(name, setfenv(assert(loadstring(example.code, "@" .. name)), getfenv(1)))
    elseif example.kind == "conf" then
      it(name, function()
        write("example.conf", example.code)
        assert(native.test_configuration(folder .. "/example.conf"))
      end)
    elseif example.kind == "" then
      it(name, function()
        run(example.code, name)
      end)
    end
  end
end)
