--- Jobs of app:every, seen from outside.
local services = require("support.service")
local process = require("support.process")

local service
local start, stop = services.each(function(now)
  service = now
end)

after_each(stop)

describe("a job", function()
  it("that never ends is shown by status, and warned of", function()
    start({ workers = 1, timeouts = { drain = 0.5 } }, "one", [[
      app:every("stuck", 0.2, function() moongate.sleep(3600):await() end)]])
    service:wait_for_log("job stuck %(lua/app%.lua:12%) has run for")
    local job = service:status().workers[1].jobs[1]
    assert.equal("stuck", job.job)
    assert.is_true(job.seconds >= 0.6)
    assert.truthy(service:command("status").out:find("job stuck runs since", 1, true))
  end)

  it("ticks though reloads come faster than its ticks", function()
    local path = os.tmpname()
    start({ workers = 2 }, "one", ([[
      app:every("tick", 1, function()
        local file = io.open(%q, "a")
        file:write("x")
        file:close()
      end)]]):format(path))
    process.wait_until("it has ticked", function()
      service:must_reload()
      return #process.read_file(path) > 1
    end)
    os.remove(path)
  end)
end)
