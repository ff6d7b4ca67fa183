--- Which lines can run, and what is told of those that did not. That they are counted:
--- tests/integration/spec_runner_spec.lua.
local coverage = require("moongate.test.coverage")

local path

local function write(text)
  path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

after_each(function()
  os.remove(path)
end)

local SCRIPT = [[
local M = {}

-- A comment.
function M.abs(n)
  if n < 0 then
    return -n
  else
    return n
  end
end

function M.never()
  local list = {}
  for i = 1, 3 do
    list[i] = function()
      return i
    end
  end
  return list
end

return M
]]

describe("the coverage of a file", function()
  it("knows the lines that can run, those of functions in functions too", function()
    write(SCRIPT)
    assert.same({ 1, 4, 5, 6, 8, 12, 13, 14, 16, 19, 22 }, coverage.lines_of(path))
    write("this is no Lua")
    assert.is_nil(coverage.lines_of(path))
    assert.is_nil(coverage.lines_of("/none"))
  end)

  it("is a share of them, and names those that did not run", function()
    write(SCRIPT)
    local counts = { [1] = 1, [4] = 1, [5] = 2, [8] = 2, [12] = 1, [19] = 1, [22] = 1 }
    local file = coverage.of_file(path, counts)
    assert.equal(7, file.hit)
    assert.equal("6, 13-16", file.missing)
    assert.equal(path .. "   63.6 %  6, 13-16\nall" .. (" "):rep(#path - 3) .. "   63.6 %\n",
      coverage.table_of({ file }))
    local lcov = coverage.lcov_of({ file })
    assert.equal(1, lcov:find("TN:\nSF:" .. path .. "\nDA:1,1\nDA:4,1\nDA:5,2\nDA:6,0\n", 1, true))
    assert.matches("\nLF:11\nLH:7\nend_of_record\n$", lcov)
  end)

  it("is whole where nothing can run", function()
    write("-- nothing\n")
    assert.matches("100.0 %", coverage.table_of({ coverage.of_file(path, {}) }), 1, true)
  end)
end)
