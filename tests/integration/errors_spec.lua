--- What becomes of faults in scripts, and of problems that handlers raise.
local servers = require("support.server")
local wire = require("support.wire")
local http = require("support.http")

local server

setup(function()
  server = servers.start()
end)
teardown(function()
  server:stop()
end)

local function assert_500(target)
  local res = http.assert_kept(server, wire.get(target), 500)
  assert.equal(500, http.problem(res).status)
  return res
end

describe("ctx:fail", function()
  it("becomes a problem+json with the request id", function()
    local res = http.assert_kept(server, wire.get("/fail/422"), 422)
    local problem = http.problem(res)
    assert.equal(422, problem.status)
    assert.is_string(problem.title)
    assert.equal("failed on purpose", problem.detail)
    assert.truthy(res.body:find(res.headers["x-request-id"], 1, true))
    assert.truthy(res.body:find('"field":"name"', 1, true))
  end)

  it("takes every status of an error", function()
    for _, status in ipairs({ 400, 401, 403, 404, 409, 410, 418, 429, 451, 500, 502, 503 }) do
      assert.equal(status, server:get("/fail/" .. status).status)
    end
  end)
end)

describe("a script error", function()
  it("is a 500 that tells the client nothing of it", function()
    local res = assert_500("/error")
    assert.is_nil(res.body:find("on purpose", 1, true))
    assert.is_nil(res.body:find("%.lua"))
  end)

  it("is logged with route, place and request id", function()
    local id = assert_500("/error").headers["x-request-id"]
    -- The id, since an earlier request has logged the same text.
    local log = server:wait_for_log(id)
    assert.truthy(log:find("errors%.lua:%d+: raised on purpose"))
    assert.truthy(log:find("/error", 1, true))
  end)

  it("has a traceback that crosses awaits", function()
    assert_500("/error/awaited")
    local log = server:wait_for_log("broken on purpose")
    assert.truthy(log:find("inner_failure", 1, true))
    assert.truthy(log:find("errors.lua:9: in function", 1, true)) -- the handler, which awaited it
  end)

  it("may be any value", function()
    assert_500("/error/table")
  end)

  it("in a child of the request reaches its awaiter", function()
    assert_500("/error/spawned")
    server:wait_for_log("raised in a child")
  end)

  it("is a handler that ends without an answer, and its route is named", function()
    assert_500("/error/nothing")
    server:wait_for_log("/error/nothing")
  end)
end)

describe("header injection", function()
  for _, which in ipairs({ "value_crlf", "value_lf", "value_cr", "value_nul" }) do
    it("is refused and the header named: " .. which, function()
      local res = assert_500("/bad_header/" .. which)
      assert.is_nil(res.headers["x-smuggled"])
      assert.is_nil(res.headers["x-bad"])
      server:wait_for_log("X%-Bad")
    end)
  end

  for _, target in ipairs({
    "/bad_header/name_crlf", "/bad_header/name_space", "/bad_header/name_empty", "/bad_redirect",
    "/bad_cookie", "/bad_type",
  }) do
    it("is refused: " .. target, function()
      assert.is_nil(assert_500(target).headers["x-smuggled"])
    end)
  end

  it("names Location and the cookie", function()
    assert_500("/bad_redirect")
    server:wait_for_log("Location")
    assert_500("/bad_cookie")
    server:wait_for_log("[Cc]ookie")
  end)
end)

describe("misuse", function()
  it("of globals is named with file and line", function()
    assert_500("/misuse/global")
    local log = server:wait_for_log("accidental")
    assert.truthy(log:find("errors%.lua:%d+"))
  end)

  it("of calls that would block the loop is refused", function()
    assert_500("/misuse/execute")
    server:wait_for_log("os%.execute")
    assert_500("/misuse/popen")
    server:wait_for_log("io%.popen")
  end)

  it("of an unknown field of ctx is answered with a suggestion", function()
    assert_500("/misuse/read_field")
    local log = server:wait_for_log("parmas")
    assert.truthy(log:find("params", 1, true))
  end)

  it("of ctx as a store points to ctx.state", function()
    assert_500("/misuse/write_field")
    server:wait_for_log("ctx%.state")
  end)
end)
