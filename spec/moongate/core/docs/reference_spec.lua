--- Whatever is public has an entry, and whatever has an entry is there.
local moongate = require("moongate")
local app_class = require("moongate.app")
local context = require("moongate.core.request.context")
local stream = require("moongate.core.stream")
local test = require("moongate.test")
local reference = require("moongate.core.docs.reference")

local loaded = reference.load()

local function methods_of(value)
  return getmetatable(value).__index
end

-- Of a table the names that a script may use.
local function names_of(surface, hidden)
  local names = {}
  for name in pairs(surface) do
    if type(name) == "string" and name:sub(1, 1) ~= "_" and not (hidden or {})[name] then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

-- What stands behind `before` in the reference.
local function documented(before)
  local names = {}
  for _, entry in ipairs(loaded.entries) do
    local name = entry.name:match("^" .. before:gsub("%.", "%%.") .. "[.:]([%w_]+)$")
    if name and (entry.kind == "function" or entry.kind == "field") then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

local function as_set(list)
  local set = {}
  for _, name in ipairs(list) do
    set[name] = true
  end
  return set
end

local function compare(before, names)
  local there, told = as_set(names), as_set(documented(before))
  for name in pairs(there) do
    assert.is_true(told[name], before .. "." .. name .. " has no entry in lua/moongate/api")
  end
  for name in pairs(told) do
    assert.is_true(there[name], before .. "." .. name .. " has an entry, but is not there")
  end
end

local function both(...)
  local all = {}
  for _, names in ipairs({ ... }) do
    for name in pairs(names) do
      all[name] = true
    end
  end
  return all
end

local ALIASES = { -- said with the names that they stand for
  read = true, write = true, stat = true, list = true, delete = true, rename = true, chunks = true,
}

describe("the reference", function()
  it("knows moongate", function()
    compare("moongate", names_of(both(moongate, { retiring = true }))) -- made when it is asked for
  end)

  it("knows an app", function()
    compare("app", names_of(methods_of(app_class.new()), { freeze = true }))
  end)

  it("knows ctx", function()
    compare("ctx", names_of(both(context.methods, context.getters)))
  end)

  it("knows Futures", function()
    local all = names_of(moongate.Future, { deferred = true, keep = true }) -- keep: of the class
    local told = as_set(documented("moongate.Future"))
    local own, shared = {}, {}
    for _, name in ipairs(all) do
      local list = told[name] and shared or own
      list[#list + 1] = name
    end
    compare("future", own)
    compare("moongate.Future", shared)
  end)

  it("knows the modules", function()
    compare("moongate.http", names_of(moongate.http, { calls = true }))
    compare("moongate.tcp", names_of(moongate.tcp))
    compare("moongate.json", names_of(moongate.json))
    compare("moongate.template", names_of(moongate.template))
    compare("moongate.crypto", names_of(moongate.crypto))
    compare("moongate.password", names_of(moongate.password))
    compare("moongate.middleware", names_of(moongate.middleware))
    compare("log", { "debug", "error", "info", "warn" })
    compare("cache", names_of(methods_of(moongate.cache())))
    compare("database", names_of(methods_of(moongate.database())))
    compare("moongate.files", names_of(moongate.files, both(ALIASES, {
      root = true, resolve = true, options = true, calls = true,
    })))
    compare("stream", names_of(methods_of(stream.new())))
  end)

  it("knows the test kit", function()
    local app = test.app(function() end)
    compare("test", names_of(test, { folder = true, read = true }))
    compare("test_app", names_of(methods_of(app)))
    compare("flight", names_of(methods_of(app:raw("")), { done = true }))
    app:close()
  end)

  -- What scripts are given by others than require: where each class stands, and as what they know
  -- it.
  local GIVEN = {
    { "core/request/send.lua", "Out", "out" }, { "core/request/events.lua", "Out", "events_out" },
    { "core/request/parts.lua", "Part", "part" },
    { "core/http/response.lua", "Response", "response" },
    { "core/http/stream.lua", "Out", "out" }, { "core/live/socket.lua", "methods", "ws" },
    { "core/database/transaction.lua", "Transaction", "tx", { rows = true } }, -- which is refused
    { "core/database/row_stream.lua", "Rows", "rows" },
    { "core/database/copy.lua", "Reader", "reader" },
    { "core/database/copy.lua", "Writer", "writer" },
    { "core/hearing.lua", "Hearing", "notes" }, { "core/hearing.lua", "Hearing", "messages" },
    { "core/redis/watch.lua", "Watch", "tx" },
    { "redis.lua", "Redis", "redis" }, { "upstream.lua", "Upstream", "upstream" },
    { "websocket.lua", "WebSocket", "socket" }, { "tcp.lua", "TcpStream", "tcp_stream" },
    { "template.lua", "Template", "Template" },
    { "files.lua", "Chunks", "chunks", { cancel = true } },
    { "test/websocket.lua", "Client", "websocket" }, { "test/events.lua", "Events", "events" },
    { "test/websocket_server.lua", "Server", "server" },
    { "test/clock.lua", "Clock", "clock",
      { new = true, reset = true, until_true = true, wait = true } },
  }

  it("knows what else scripts are given", function()
    for _, given in ipairs(GIVEN) do
      local file, class, owner, hidden = unpack(given)
      local text = assert(io.open("lua/moongate/" .. file)):read("*a")
      local told, seen = as_set(documented(owner)), 0
      for name in text:gmatch("\nfunction " .. class .. "[.:]([%a][%w_]*)%(") do
        seen = seen + 1
        assert.is_true(told[name] or (hidden or {})[name],
          ("%s: %s of %s has no entry in lua/moongate/api"):format(owner, name, file))
      end
      assert.is_true(seen > 0, file .. " has no functions of " .. class)
    end
  end)

  it("has an example of each function", function()
    for _, entry in ipairs(loaded.entries) do
      assert.is_true(entry.kind ~= "function" or entry.item.doc:find("```lua", 1, true) ~= nil,
        entry.name .. " has no example in lua/moongate/api")
    end
  end)

  it("tells what each field of a table is", function()
    for _, entry in ipairs(loaded.entries) do
      for _, field in ipairs(entry.kind == "class" and entry.item.params or {}) do
        assert.is_true(field.doc ~= "",
          entry.name .. "." .. field.name .. ": its meaning is missing")
      end
    end
  end)

  it("tells LuaLS what may be left out in the middle", function()
    for _, entry in ipairs(loaded.entries) do
      local left_out = false
      for _, param in ipairs(entry.kind == "function" and entry.item.params or {}) do
        if left_out and not param.optional and param.name ~= "..." then
          assert.equal(1, #entry.item.overloads, entry.name .. " has no @overload without it")
        end
        left_out = left_out or param.optional
      end
    end
  end)

  it("has what require gives, for LuaLS", function()
    for file, name in pairs({ moongate = "moongate", test = "moongate.test" }) do
      local text = assert(io.open("lua/moongate/api/" .. file .. ".lua")):read("*a")
      assert.equal("---@meta " .. name, text:match("^[^\n]*"))
      assert.truthy(text:find("\nreturn %w+\n$"))
    end
  end)

  it("has each page's links lead somewhere", function()
    local site = { index = true, configuration = true, commands = true }
    for id in pairs(loaded.page_of) do
      site[id] = true
    end
    local function look(text, where)
      for target in text:gmatch("%]%(([%w-]+)%.md") do
        assert.is_true(site[target], where .. ": there is no page " .. target)
      end
    end
    for id, page in pairs(loaded.page_of) do
      look(page.text, id)
    end
    for _, entry in ipairs(loaded.entries) do
      look(entry.item.doc, entry.name)
    end
  end)
end)
