--- Streams of specs: clients of app:stream, and servers that moongate.tcp connects to.
local native = require("moongate.native")
local answers = require("moongate.test.answers")
local check = require("moongate.core.check")
local errors = require("moongate.core.errors")
local sched = require("moongate.core.sched")
local raw = require("moongate.core.stream")
local suggest = require("moongate.core.suggest")
local wire = require("moongate.test.wire")
local time = require("moongate.time")

local M = {}

-- --- clients ---

--- Connects to what the app speaks at `address`.
---@return moongate.test.Flight
function M.connect(app, address)
  local declared = app.served.app.streams
  check.string("stream_connect: the address", address)
  if not declared[address] then
    local known = {}
    for _, endpoint in ipairs(declared) do
      known[endpoint.address] = true
    end
    check.fail(("stream_connect: the app has no app:stream(\"%s\", fn)%s"):format(address,
      suggest.for_name(address, known)))
  end
  return wire.wrap(app, native.test_connect_stream(address), "STREAM")
end

-- --- servers ---

-- What ends with the function that has the stream.
local function holder(handle)
  return {
    cancel = function(_, _, err)
      native.tunnel_release(handle, err ~= nil)
    end,
  }
end

local EXPECTED = { cancelled = true, closed = true }

--- Serves a connection of the app that the spec's function answers.
---@param net table what is told of a mistake, as `fault`
function M.serve(net, number, fn)
  local handle = native.test_accept_stream(number)
  if not handle then
    return -- the app has given it up
  end
  local stream = raw.new(false, handle)
  local future = time.spawn_in(net.app.served.root, 1, fn, stream)
  if not future._task then
    return native.tunnel_release(handle, true)
  end
  sched.hold(future._task, holder(handle))
  future:catch(function(err)
    if not EXPECTED[errors.code(err)] then
      net.fault = errors.field(err, "cause") or err
    end
  end)
end

--- A server at `address`, for app:stub_tcp.
---@param answer function|any fn(s), or test.fail("connect") and the like
function M.stub(app, address, answer)
  check.string("stub_tcp: the address", address)
  if type(answer) ~= "function" and not answers.take_refusal(answer) then
    check.fail("stub_tcp: a function(s) is wanted, or a failure such as test.fail(\"connect\")")
  end
  local name = address:match("^unix:(.*)$") or address:gsub("[%[%]]", "")
  app.net.servers[name] = { name = address, connections = 0, answer = answer, stream = true }
end

return M
