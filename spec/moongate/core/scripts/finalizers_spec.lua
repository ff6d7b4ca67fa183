-- What scripts leave to the collector.
local ffi = require("ffi")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")

local app

local function logged()
  return helpers.logged(app)
end

-- Ways to have `fn` called when an object is collected.
local WAYS = {
  ["a proxy"] = function(fn)
    getmetatable(newproxy(true)).__gc = fn
  end,
  ["a proxy like another"] = function(fn)
    local first = newproxy(true)
    getmetatable(first).__gc = fn
    newproxy(first)
  end,
  ["debug.setmetatable"] = function(fn)
    debug.setmetatable(newproxy(), { __gc = fn })
  end,
  ["debug.setmetatable, hidden"] = function(fn)
    debug.setmetatable(newproxy(), { __gc = fn, __metatable = false })
  end,
  ["debug.setmetatable, set later"] = function(fn)
    local p, meta = newproxy(), {}
    debug.setmetatable(p, meta)
    getmetatable(p).__gc = fn
  end,
  ["debug.getmetatable"] = function(fn)
    debug.getmetatable(newproxy(true)).__gc = fn
  end,
  ["ffi.gc"] = function(fn)
    ffi.gc(ffi.new("int[1]"), fn)
  end,
  ["ffi.metatype"] = function(fn)
    ffi.metatype(ffi.typeof("struct { int x; }"), { __gc = fn })()
  end,
}

-- The collector comes round by itself, twice: it marks, then it calls finalizers.
local function come_round()
  for _ = 1, 2 do
    local seen, t = setmetatable({ {} }, { __mode = "v" }), nil
    repeat
      t = { tostring(t) }
    until not seen[1]
  end
end

local function serve_with(way, fn)
  app = test.app(function(a)
    a:get("/", function()
      way(fn)
      return "made"
    end)
    a:get("/collect", function()
      collectgarbage()
      collectgarbage()
      return "collected"
    end)
    a:get("/churn", function()
      local t = {}
      for i = 1, 2e5 do
        t[i % 100] = { tostring(i) }
      end
      return #t > 0 and "churned"
    end)
  end)
end

after_each(function()
  app:assert_no_leaks()
end)

for name, way in pairs(WAYS) do
  describe("a finalizer of " .. name, function()
    it("that raises is told with its place, and harms nobody", function()
      serve_with(way, function()
        error("no end")
      end)
      for _ = 1, 20 do
        assert.equal("made", app:get("/").body)
      end
      assert.equal("churned", app:get("/churn").body)
      assert.equal("collected", app:get("/collect").body)
      app.clock:advance(1)
      assert.matches("the finalizer at spec/moongate/core/scripts/finalizers_spec%.lua:%d+ failed: "
        .. "spec/moongate/core/scripts/finalizers_spec%.lua:%d+: no end", logged())
      assert.equal("made", app:get("/").body)
      app:get("/collect")
    end)
  end)
end

describe("a finalizer", function()
  it("runs at once if the script collects, otherwise in a turn of its own", function()
    local objects = 0
    serve_with(WAYS["a proxy"], function(object)
      objects = objects + (type(object) == "userdata" and 1 or 0)
    end)
    app:get("/")
    app:get("/collect")
    assert.equal(1, objects)
    for _ = 1, 100 do
      app:get("/")
    end
    come_round()
    app.clock:advance(1)
    assert.is_true(objects > 1)
    app:get("/collect")
    assert.equal(101, objects)
  end)

  it("cannot await", function()
    local moongate = require("moongate")
    serve_with(WAYS["a proxy"], function()
      moongate.sleep(1):await()
    end)
    app:get("/")
    app:get("/collect")
    app.clock:advance(1)
    assert.matches("finalizers_spec%.lua:%d+: await cannot cross __gc: ", logged())
  end)

  it("may throw what cannot be shown, and be something that cannot be called", function()
    serve_with(WAYS["a proxy"], function()
      error(setmetatable({}, { __tostring = error, __index = error }))
    end)
    app:get("/")
    WAYS["a proxy"](7)
    app:get("/collect")
    assert.matches("whose __tostring failed", logged())
    assert.matches("the finalizer at number failed: attempt to call a number value", logged())
  end)
end)

describe("a proxy's metatable", function()
  it("is used like any other", function()
    app = test.app(function() end)
    local p = newproxy(true)
    local meta = getmetatable(p)
    local finalizer = function() end
    meta.__index = { x = 7 }
    meta.__len = function()
      return 3
    end
    meta.__tostring = function()
      return "mine"
    end
    meta.__gc = finalizer
    assert.same({ 7, 3, "mine", finalizer }, { p.x, #p, tostring(p), meta.__gc })
    assert.equal(meta, getmetatable(newproxy(p)))
    meta.__metatable = "locked"
    assert.equal("locked", getmetatable(p))
  end)
end)
