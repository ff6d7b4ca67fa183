local message = require("moongate.core.live.message")

describe("what is sent over a WebSocket", function()
  local function fails(pattern, fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    assert.matches(pattern, err)
  end

  it("is text, bytes or JSON", function()
    assert.same({ "a", false }, { message.payload("send", "a") })
    assert.same({ "\255", true }, { message.payload("send", "\255", "binary") })
    assert.same({ "7", false }, { message.payload("send", 7) })
    assert.same({ "[1]", false }, { message.payload("send", { 1 }) })
    fails("send: text is UTF%-8", message.payload, "send", "\255")
    fails('send: the kind: "bytes" is unknown', message.payload, "send", "a", "bytes")
    fails("send: ", message.payload, "send", nil)
    fails("send: ", message.payload, "send", { print })
  end)

  it("ends with a code that may be sent, and a short reason", function()
    assert.same({ 1000, "" }, { message.farewell("close") })
    assert.same({ 4999, "x" }, { message.farewell("close", 4999, "x") })
    for _, code in ipairs({ 999, 1004, 1005, 1006, 1015, 2999, 5000, 1000.5, "1000" }) do
      fails("close: the code is 1000 to 1014", message.farewell, "close", code)
    end
    fails("at most 123 bytes", message.farewell, "close", 1000, ("x"):rep(124))
    fails("a reason is UTF%-8", message.farewell, "close", 1000, "\255")
  end)

  it("may be a ping of 125 bytes", function()
    assert.equal("", message.ping("ping"))
    assert.equal(125, #message.ping("ping", ("x"):rep(125)))
    fails("ping: at most 125 bytes", message.ping, "ping", ("x"):rep(126))
  end)

  it("names protocols once each", function()
    assert.same({ "a", "b" }, message.protocols("protocols", { "a", "b" }))
    assert.is_nil(message.protocols("protocols", {}))
    fails('protocols%[2%]: "a" is there already', message.protocols, "protocols", { "a", "a" })
    fails("protocols%[1%]: a token", message.protocols, "protocols", { "a,b" })
    fails("without a hole", message.protocols, "protocols", { [1] = "a", [3] = "b" })
    fails("without a hole", message.protocols, "protocols", { chat = true })
    local many = {}
    for i = 1, 33 do
      many[i] = "p" .. i
    end
    fails("at most 32 subprotocols", message.protocols, "protocols", many)
  end)
end)
