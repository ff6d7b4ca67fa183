--- The options of ctx:proxy and app:proxy.
local options = require("moongate.core.proxy.options")

describe("options of proxying", function()
  it("become what C wants", function()
    local plan = options.of_request({
      path = "/a?b=%20", strip = "/x/y", host = "upstream", buffer = "request", body = "text",
      headers = { ["X-A"] = { 1, "2" }, ["X-B"] = false },
      timeouts = { connect = 0.5, first_byte = 2, idle = 3 },
    })
    assert.same({
      path = "/a?b=%20", strip = "/x/y", host = "upstream", buffer = true, body = "text",
      set = { "X-A", "1", "X-A", "2" }, removed = { "X-B", "" },
      connect = 0.5, first_byte = 2, idle = 3,
    }, plan)
  end)

  it("may be none", function()
    assert.same({ buffer = false }, options.of_request())
    assert.same({ buffer = false }, options.of_route({}))
  end)

  it("of a route have no body", function()
    assert.has_error(function() options.of_route({ body = "x" }) end)
  end)

  local function message_of(given)
    local _, err = pcall(options.of_request, given)
    return err
  end

  for pattern, given in pairs({
    ["spec/.*options_spec.lua:%d+: proxy.path: a path that begins"] = { path = "a" },
    ["proxy.strip: .*wanted encoded"] = { strip = "/a b" },
    ["proxy.path: a string is wanted"] = { path = 1 },
    ["proxy.strip: whole segments of a path are wanted, such as"] = { strip = "/a/" },
    ["proxy.host: \"client\", \"upstream\" or a host"] = { host = "a b" },
    ["proxy.headers: Host is the connection's own to say; write host"] = {
      headers = { Host = "x" },
    },
    ["proxy.headers: Transfer%-Encoding is the connection's own to say$"] = {
      headers = { ["Transfer-Encoding"] = "chunked" },
    },
    ["^spec/.*options_spec.lua:%d+: header X%-B: the value holds CR"] = {
      headers = { ["X-B"] = "a\r\nb" },
    },
    ["proxy.headers.X%-A: a list of values is wanted, without a hole"] = {
      headers = { ["X-A"] = { first = "a" } },
    },
    ["header X%-A: the value holds CR"] = { headers = { ["X-A"] = "a\r\nb" } },
    ["the name 'X A' is not a token"] = { headers = { ["X A"] = "a" } },
    ["proxy.timeouts.idle: seconds are wanted"] = { timeouts = { idle = -1 } },
    ["\"idel\" is unknown, allowed are connect, first_byte, idle, total %(did you mean"] = {
      timeouts = { idel = 1 },
    },
    ["proxy.buffer: \"request\" or false is wanted, not \"all\""] = { buffer = "all" },
    ["proxy.buffer: \"request\" or false is wanted, not true"] = { buffer = true },
    ["proxy.headers: names with values are wanted, as .*, not a list"] = {
      headers = { "X-A: 1" },
    },
    ["\"pathh\" is unknown.*did you mean 'path'"] = { pathh = "/" },
  }) do
    it("are refused: " .. pattern, function()
      local message = message_of(given)
      assert.truthy(message:find(pattern), message)
    end)
  end
end)

describe("a path of ctx:proxy", function()
  it("may have been decoded: what no path has is encoded", function()
    for given, path in pairs({
      ["/a b"] = "/a%20b", ["/é#1"] = "/%C3%A9%231", ["/50%/%4"] = "/50%25/%254",
      ["/a%2Fb?c=%20"] = "/a%2Fb?c=%20", ["/a\r\nX: y"] = "/a%0D%0AX:%20y",
    }) do
      assert.equal(path, options.of_request({ path = path }).path)
      assert.equal(path, options.of_request({ path = given }).path)
    end
  end)

  it("may be in the URL of a server", function()
    for url, path in pairs({
      ["http://a"] = false, ["http://a:80#b"] = false, ["http://a/"] = "/",
      ["http://a?b=1"] = "/?b=1",
      ["https://a/b c?d#e"] = "/b%20c?d", ["http://[::1]:80/x"] = "/x",
    }) do
      assert.equal(path or nil, options.of_url(url, nil).path)
    end
    for _, key in ipairs({ "path", "strip" }) do
      local _, err = pcall(options.of_url, "http://a/b", { [key] = "/c" })
      assert.matches("options_spec.lua:%d+: proxy: " .. key .. ": the URL has a path already", err)
    end
  end)
end)
