--- A fault as text and HTML; how it is asked for is in spec/moongate/core/app/dev_spec.lua.
local fault = require("moongate.core.dev.fault")

describe("an excerpt", function()
  local twelve = {}
  for i = 1, 12 do
    twelve[i] = "line " .. i
  end
  local source = table.concat(twelve, "\n") .. "\n"

  local function numbers(text, line)
    local list = {}
    for i, row in ipairs(fault.excerpt(text, line, 5)) do
      list[i] = row[1]
    end
    return list
  end

  it("has lines around the one at fault", function()
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 }, numbers(source, 6))
    assert.same({ 6, "line 6" }, fault.excerpt(source, 6, 5)[6])
  end)

  it("ends with the file's first and last line", function()
    assert.same({ 1, 2, 3, 4, 5, 6 }, numbers(source, 1))
    assert.same({ 7, 8, 9, 10, 11, 12 }, numbers(source, 12))
  end)

  it("is the same without a newline at the end, and with those of Windows", function()
    assert.same(fault.excerpt(source, 12, 5), fault.excerpt(source:sub(1, -2), 12, 5))
    assert.same(fault.excerpt(source, 12, 5), fault.excerpt(source:gsub("\n", "\r\n"), 12, 5))
  end)

  it("is empty if there is no such line", function()
    assert.same({}, numbers(source, 13))
    assert.same({}, numbers(source, 0))
    assert.same({}, numbers("", 2))
  end)
end)

describe("the frames of a fault", function()
  local function source_of(path)
    return path:find("^lua/") and "text" or nil
  end

  it("are lines of scripts that can be read, the innermost first, each once", function()
    local frames = fault.frames("lua/a.lua:3: broken", table.concat({
      "stack traceback:", "\tlua/a.lua:3: in function 'deep'", "\tlua/b.lua:9: in function <x>",
      "\t[C]: in function 'error'", "\t/far/c.lua:1: in main chunk", "-- awaited by --",
      "stack traceback:", "\tlua/d.lua:4: in a function that ended by this call",
      "\t(3 frames of Moongate and of C)",
    }, "\n"), source_of)
    local places = {}
    for i, frame in ipairs(frames) do
      places[i] = frame.path .. ":" .. frame.line .. " " .. frame.what
    end
    assert.same({
      "lua/a.lua:3 ", "lua/b.lua:9 in function <x>",
      "lua/d.lua:4 in a function that ended by this call",
    }, places)
  end)

  it("may be none", function()
    assert.same({}, fault.frames("no place", nil, source_of))
    assert.same({}, fault.frames("/etc/x.lua:1: x", "\t/etc/y.lua:2: in function 'y'", source_of))
  end)

  it("are at most ten", function()
    local lines = { "stack traceback:" }
    for i = 1, 30 do
      lines[#lines + 1] = "\tlua/a.lua:" .. i .. ": in function 'f'"
    end
    assert.equal(10, #fault.frames("x", table.concat(lines, "\n"), source_of))
  end)
end)

describe("a fault as HTML", function()
  it("escapes the source", function()
    local page = fault.html({
      title = "t", message = "m", request = "r", details = {}, awaits = {},
      frames = { { path = "lua/a.lua", line = 1, source = [[x = "<b>&amp;'"]], what = "" } },
    })
    assert.matches("<mark>    1  x = &quot;&lt;b&gt;&amp;amp;&#39;&quot;</mark>", page)
  end)
end)
