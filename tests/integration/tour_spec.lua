--- The README's tour: each project that it writes is good, and its specs pass.
local servers = require("support.server")
local process = require("support.process")

local function tour()
  local text = assert(process.read_file("README.md"))
  return text:match("\n## A tour\n(.-)\n## ")
end

-- Runs `moongate` as the tour does, where its folder build/tour lies.
local function moongate(folder, words)
  local binary = servers.BINARY
  if binary:sub(1, 1) ~= "/" then
    binary = process.run({ "pwd" }).out:match("[^\n]+") .. "/" .. binary
  end
  local argv = { "env", "-C", folder, binary }
  for word in words:gmatch("%S+") do
    argv[#argv + 1] = word
  end
  return process.run(argv, 60)
end

describe("the README's tour", function()
  it("writes projects that are good, whose specs pass", function()
    local folder = process.temp_folder()
    local checked, tested, name, lines = 0, 0, nil, nil
    for line in tour():gmatch("[^\n]*") do
      if name and line == "END" then
        os.execute(("mkdir -p '%s/%s'"):format(folder, name:match("^(.*)/")))
        process.write_file(folder .. "/" .. name, table.concat(lines, "\n") .. "\n")
        name = nil
      elseif name then
        lines[#lines + 1] = line
      elseif line:find("^cat > %S+ <<'END'$") then
        name, lines = line:match("^cat > (%S+)"), {}
      elseif line:find("^build/moongate test ") or line:find("^build/moongate check ") then
        local said = moongate(folder, line:match("^build/moongate (.*)$"))
        assert.equal(0, said.status, line .. "\n" .. said.out .. said.err)
        checked = checked + (line:find(" check ") and 1 or 0)
        tested = tested + (line:find(" test ") and 1 or 0)
      end
    end
    process.remove_folder(folder)
    assert.equal(1, checked)
    assert.equal(2, tested)
  end)
end)
