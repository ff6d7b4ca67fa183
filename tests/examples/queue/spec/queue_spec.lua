local test = require("moongate.test")
local moongate = require("moongate")

describe("the queue", function()
  local app
  local SECRET = "a secret for development"
  local TARGET = "http://subscriber.example/in"

  before_each(function()
    app = test.app({
      configuration = true, database = "sqlite::memory:", migrations = "lua/migrations",
    })
  end)

  after_each(function()
    app:assert_no_leaks()
  end)

  local function signed(body, time)
    local bytes = time .. "." .. body
    return moongate.hex_encode(moongate.hmac_sha256(SECRET, bytes))
  end

  local function hook(id, options)
    local body = moongate.json.encode({ url = TARGET, payload = { moon = "full" } })
    local time = tostring(math.floor(moongate.now()) - (options and options.age or 0))
    return app:post("/hooks", { body = body, headers = {
      ["Content-Type"] = "application/json", ["X-Delivery"] = id, ["X-Time"] = time,
      ["X-Signature"] = options and options.signature or signed(body, time),
    } })
  end

  local function job(id)
    return app:get("/jobs/" .. id):json()
  end

  it("takes what is signed, once", function()
    local res = hook("a")
    assert.equal(202, res.status)
    assert.equal("/jobs/1", res.headers.location)
    assert.same({ known = true }, hook("a"):json())
    assert.equal(202, hook("b").status)
  end)

  it("refuses what is not signed, or was long ago", function()
    assert.equal(401, hook("a", { signature = ("0"):rep(64) }).status)
    local old = hook("a", { age = 301 })
    assert.equal(401, old.status)
    assert.equal("the signature is too old", old:json().detail)
    assert.equal(401, app:post("/hooks", { body = "{}" }).status)
  end)

  it("delivers, signed in turn", function()
    local got
    app:stub_http("POST " .. TARGET, function(request)
      got = request
      return { status = 204 }
    end)
    hook("a")
    app.clock:advance(1.5)
    assert.equal("done", job(1).state)
    assert.equal('{"moon":"full"}', got.body)
    local time = got.headers["x-time"]
    assert.equal(signed(got.body, time), got.headers["x-signature"])
    assert.equal("job-1", got.headers["idempotency-key"])
  end)

  it("tries again, later each time, until it is taken", function()
    local tries = {}
    app:stub_http("POST " .. TARGET, function()
      tries[#tries + 1] = app.clock:elapsed()
      return { status = #tries < 3 and 503 or 200 }
    end)
    hook("a")
    app.clock:advance(20)
    assert.equal(3, #tries)
    assert.is_true(tries[2] - tries[1] >= 2 and tries[2] - tries[1] <= 4)
    assert.is_true(tries[3] - tries[2] >= 4 and tries[3] - tries[2] <= 7)
    assert.equal("done", job(1).state)
  end)

  it("gives up after six tries, and begins again when it is told to", function()
    app:stub_http("POST " .. TARGET, test.fail("connect"))
    hook("a")
    app.clock:advance(200)
    assert.equal("dead", job(1).state)
    assert.equal(6, job(1).tries)
    assert.truthy(job(1).fault:find("connect", 1, true))
    app:stub_http("POST " .. TARGET, "taken")
    assert.equal(202, app:post("/jobs/1/again").status)
    assert.equal(409, app:post("/jobs/1/again").status)
    app.clock:advance(2)
    assert.equal("done", job(1).state)
  end)

  it("lets one slow subscriber hold up nobody", function()
    app:stub_http("POST " .. TARGET, function(request)
      return request.headers["idempotency-key"] == "job-1" and test.never() or "taken"
    end)
    hook("a")
    hook("b")
    app.clock:advance(2)
    assert.equal("waiting", job(1).state)
    assert.equal("done", job(2).state)
    app.clock:advance(5)
    assert.truthy(job(1).fault:find("timeout", 1, true), job(1).fault)
  end)
end)
