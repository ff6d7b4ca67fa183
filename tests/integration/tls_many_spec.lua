--- A folder of many certificates: each is found, and nothing is left of those that were replaced.
local process = require("support.process")
local servers = require("support.server")
local tls = require("support.tls")

-- In the suite a small run; `make endurance` runs it whole.
local CERTIFICATES = tonumber(os.getenv("ENDURANCE_CERTIFICATES")) or 200
local RELOADS = tonumber(os.getenv("ENDURANCE_RELOADS")) or 4
local WARM_UP = math.ceil(RELOADS / 4)
-- A sanitizer keeps back what was freed: there it looks for leaks at the end.
local SANITIZED = servers.BINARY:find("asan", 1, true) ~= nil

local folder, fresh, server, port
setup(function()
  folder = process.temp_folder()
  fresh = process.temp_folder()
end)
teardown(function()
  if server then
    server:stop()
  end
  process.remove_folder(folder)
  process.remove_folder(fresh)
end)

local function make(where, count)
  local run = process.run({
    "/usr/bin/python3", "-W", "ignore", "tests/integration/support/certificates.py", where,
    tostring(count),
  }, 120)
  assert.equal(0, run.status, run.err)
end

local function name_of(number)
  return number .. ".many.test"
end

local function replace(number)
  for _, ending in ipairs({ ".pem", ".key" }) do
    local file = "/" .. name_of(number) .. ending
    assert(os.rename(fresh .. file, folder .. file))
  end
end

local function assert_serves(number)
  local name = name_of(number)
  local shown = tls.s_client(port, "", "-servername", name).out
  local text = process.read_file(("%s/%s.pem"):format(folder, name))
  assert.is_truthy(shown:find(text, 1, true), name .. " has another certificate, or none")
end

-- Of the master and its workers.
local function memory_kb()
  local sum = process.rss_kb(server.pid)
  for pid in process.run({ "pgrep", "-P", tostring(server.pid) }, 5).out:gmatch("%d+") do
    sum = sum + process.rss_kb(tonumber(pid))
  end
  return sum
end

describe(CERTIFICATES .. " certificates", function()
  it("are each found by their name", function()
    make(folder, CERTIFICATES)
    make(fresh, RELOADS)
    port = servers.free_port()
    server = servers.start({
      listen = { { address = "127.0.0.1:" .. port, tls = { certificates = folder } } },
      workers = 2,
    }, { wait_for = port })
    for _, number in ipairs({ 1, math.floor(CERTIFICATES / 2), CERTIFICATES }) do
      assert_serves(number)
    end
  end)

  it("leave memory as it was over " .. RELOADS .. " reloads, in which some are replaced", function()
    local before
    for turn = 1, RELOADS do
      replace(turn)
      local run = process.run({ servers.BINARY, "reload", server.conf }, 60)
      assert.equal(0, run.status, run.err)
      assert_serves(turn)
      if turn == WARM_UP then
        before = memory_kb()
      end
    end
    local grown = memory_kb() - before
    assert.is_true(SANITIZED or grown < before / 20 + 2048,
      ("%d KB more than the %d KB before"):format(grown, before))
  end)
end)
