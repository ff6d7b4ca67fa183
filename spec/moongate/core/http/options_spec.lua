local moongate = require("moongate")
local native = require("moongate.native")
local test = require("moongate.test")
local options = require("moongate.core.http.options")

local http = moongate.http
local URL = "http://127.0.0.1:1/"
local LINE = "options_spec%.lua:%d+: " -- of the caller
local app

before_each(function()
  app = test.app(function() end)
  app:stub_http({ pattern = "." }, "")
end)
after_each(function()
  app:assert_no_leaks()
end)

local function error_of(fn)
  local ok, err = pcall(app.run, app, fn)
  assert.is_false(ok)
  return tostring(err)
end

describe("http_request", function()
  it("wants whole numbers of redirects, at the caller's line", function()
    for _, wrong in ipairs({ 0.5, -1, 21, 0 / 0, "5", true }) do
      assert.matches(LINE .. "http_request: redirects: a whole number", error_of(function()
        http.request({ url = URL, redirects = wrong })
      end))
    end
  end)

  it("wants a length in whole bytes of a body that a function writes", function()
    for _, wrong in ipairs({ "-5", "5.5", "1e3", "9e15", "0x10", "nan", 2 ^ 63, -1, {} }) do
      assert.matches(LINE .. "http_request: content%-length: a whole number", error_of(function()
        http.post(URL, { body = function() end, headers = { ["Content-Length"] = wrong } })
      end))
    end
  end)

  it("speaks HTTP/2 as it is told", function()
    for _, wrong in ipairs({ "h2", 2, {} }) do
      assert.matches(LINE .. 'http_request: http2: "auto", true or false', error_of(function()
        http.request({ url = URL, http2 = wrong })
      end))
    end
  end)

  it("wants names of files and servers without a NUL, at which C would end them", function()
    for _, option in ipairs({ "unix", "ca", "server_name" }) do
      for _, wrong in ipairs({ "", "\0", "conf/a.pem\0.txt" }) do
        assert.matches(LINE .. "http_request: " .. option .. ": it is empty or holds a NUL",
          error_of(function()
            http.request({ url = URL, [option] = wrong })
          end))
      end
    end
  end)

  it("puts a query in front of the fragment, whatever that holds", function()
    local query = { b = 1 }
    local function url(given)
      return options.normalize({ url = given, query = query }).url
    end
    assert.equal("http://a/?b=1#c?d", url("http://a/#c?d"))
    assert.equal("http://a/?e&b=1#c", url("http://a/?e#c"))
  end)

  it("sends the headers as they were when it was called", function()
    local http_open, sent = native.http_open, nil
    finally(function()
      native.http_open = http_open
    end)
    native.http_open = function(_, _, headers)
      sent = headers
      return nil, "enough"
    end
    app:run(function()
      local headers = { one = "1", many = { "1", "2" } }
      local call = http.request({ url = URL, stream = true, headers = headers })
      headers.one, headers.two, headers.many[1] = "2", "2", "3"
      call:try_await()
    end)
    assert.same({ one = "1", many = { "1", "2" } }, sent)
  end)
end)
