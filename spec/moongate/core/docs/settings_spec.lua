--- Every key of a configuration is written of, and its example has it.
local json = require("moongate.json")
local native = require("moongate.native")
local reference = require("moongate.core.docs.reference")
local settings = require("moongate.core.docs.settings")

local written = reference.load().settings

describe("settings.md", function()
  local there = {}
  for _, setting in ipairs(json.decode(native.settings())) do
    there[setting.path] = true
  end

  it("tells of each key there is", function()
    for path in pairs(there) do
      assert.is_table(written[path], path .. " has no entry in core/docs/settings.md")
    end
  end)

  it("tells of no other", function()
    for path in pairs(written) do
      assert.is_true(there[path], path .. " has an entry, but is no key")
    end
  end)

  it("shows each key in its example", function()
    for path, entry in pairs(written) do
      local name = path:match("([%w_]+)$") -- that of a list's only key may be left out
      local left_out = path == "listen[].address" or path == "upstreams.*.servers"
      assert.is_true(left_out or entry.example:find("%f[%w_]" .. name .. "%f[^%w_]") ~= nil, path)
    end
  end)

  it("needs nothing that stands before an entry", function()
    for path, entry in pairs(written) do
      assert.is_nil(entry.text:find("^%.%.%."), path)
      assert.matches("[.:]$", entry.text, path)
    end
  end)
end)

describe("settings.parse", function()
  it("has what each key means, and a configuration", function()
    assert.same({
      ["a.b"] = { text = "One line.\nAnother.", example = "return { a = { b = 1 } }" },
      ["c"] = { text = "Short.", example = "return { c = 2 }" },
    }, settings.parse("# A title\n\n## a.b\nOne line.\nAnother.\nexample: a = { b = 1 }\n\n"
      .. "## c\nShort.\nexample: c = 2\n"))
  end)

  it("tells where one of both is missing", function()
    for _, text in ipairs({ "## a.b\nMeaning.", "## a.b\nexample: a = 1", "## a.b" }) do
      assert.error_matches(function() settings.parse(text) end,
        "settings.md: a.b: a meaning is wanted", 1, true)
    end
  end)
end)

describe("settings.complete", function()
  it("joins what C knows and what is written", function()
    assert.same({ { path = "a", about = "A", text = "Alpha.", example = "return { a = 1 }" },
      { path = "b", about = "B" } },
      settings.complete({ { path = "a", about = "A" }, { path = "b", about = "B" } },
        settings.parse("## a\nAlpha.\nexample: a = 1")))
  end)
end)
