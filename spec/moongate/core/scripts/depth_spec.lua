-- Recursion through functions of C, which the Lua stack does not bound.
local coroutines = require("moongate.core.coroutines").library
local moongate = require("moongate")
local test = require("moongate.test")

local app

after_each(function()
  app:assert_no_leaks()
end)

local function run(fn)
  app = test.app(function(a)
    a:get("/", function(ctx)
      return { fn(ctx) or "fine" }
    end)
  end)
  return app:get("/")
end

local endless
local ENDLESS = {
  ["string.gsub"] = function()
    return (("x"):gsub("x", endless))
  end,
  ["string.gsub, of a table"] = function()
    return (("x"):gsub("x", setmetatable({}, { __index = endless })))
  end,
  ["string.gsub, caught"] = function()
    local ok, err = pcall(string.gsub, "x", "x", endless)
    return ok and "x" or error(err, 0)
  end,
  ["table.sort"] = function()
    table.sort({ 1, 2 }, endless)
  end,
  ["load"] = function()
    assert(load(endless))
  end,
  ["coroutine.wrap"] = function()
    local made = coroutines.wrap(endless)()
    return made
  end,
  ["coroutine.resume"] = function()
    local ok, err = coroutines.resume(coroutines.create(endless))
    return ok or error(err, 0)
  end,
  ["coroutine.wrap and string.gsub"] = function()
    local made = coroutines.wrap(function()
      return (("x"):gsub("x", endless))
    end)()
    return made
  end,
}

describe("endless recursion through", function()
  for name, fn in pairs(ENDLESS) do
    it(name .. " says how deep it was", function()
      endless = fn
      local res = run(fn)
      assert.equal(500, res.status)
      assert.matches("depth_spec%.lua:%d+: stack overflow: [%w. ]+ lies %d+ levels deep",
        app.logs[1].message)
      assert.equal(500, app:get("/").status)
    end)
  end

  local UNCOUNTED = {
    ["tostring"] = function(self) return (tostring(self())) end,
    ["string.format"] = function(self) return ("%s"):format(self()) end,
    ["__index"] = function(self) return self().x end,
    ["__eq"] = function(self) return tostring(self() == self()) end,
    ["pcall"] = function(self) return select(2, pcall(self)) end,
    ["xpcall"] = function(self) return select(2, xpcall(error, self)) end,
    ["table.concat"] = function(self) return table.concat({ tostring(self()) }) end,
  }
  for name, step in pairs(UNCOUNTED) do
    it(name .. " ends with an error too", function()
      local function make()
        local object
        local function again()
          return step(make)
        end
        object = setmetatable({}, { __tostring = again, __index = again, __eq = again })
        return name == "pcall" and again() or object
      end
      run(function()
        return tostring(pcall(step, make))
      end)
      assert.equal(0, #app.logs)
    end)
  end
end)

describe("recursion through functions of C", function()
  it("goes on anew once it has failed", function()
    endless = ENDLESS["string.gsub"]
    local function template(depth)
      return (("{x}"):gsub("{x}", function()
        return depth > 0 and template(depth - 1) or "end"
      end))
    end
    local res = run(function(ctx)
      assert(not pcall(endless))
      local first = template(150)
      ctx:sleep(0.1):await()
      assert(not pcall(endless))
      return first .. template(150)
    end)
    assert.equal('["endend"]', res.body)
  end)

  it("leaves the functions as they were", function()
    app = test.app(function() end)
    local ok, err = pcall(function()
      local text = ("x"):gsub()
      return text
    end)
    assert.is_false(ok)
    assert.matches("depth_spec%.lua:%d+: bad argument #1 to 'gsub'", err)
    assert.same({ "bbb", 3 }, { ("aaa"):gsub("a", "b") })
    assert.equal(moongate.json.null, moongate.json.null)
  end)
end)
