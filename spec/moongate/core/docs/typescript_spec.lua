local reference = require("moongate.core.docs.reference")
local source = require("moongate.core.docs.source")
local typescript = require("moongate.core.docs.typescript")

-- What is written of declarations, without the prelude.
local function write(text)
  local entries = {}
  for _, item in ipairs(source.parse(text, "x.lua")) do
    if item.name then
      entries[#entries + 1] = { name = item.name, item = item }
    end
  end
  local out = typescript.write({ pages = { { id = "x", entries = entries } } })
  return out:match("readonly then: .-\n(.*)\n}\n.-declare module \"moongate.test\"")
end

local function assert_has(text, line)
  assert.truthy(text:find(line, 1, true), line .. "\nis not in\n" .. text)
end

describe("typescript.write", function()
  it("makes methods of colons, functions of dots", function()
    local text = write([[
---@class moongate.A
local a = {}

---@param x string
---@return moongate.A self
function a:b(x) end

---@param x? integer
---@return string?
---@return string?
function a.c(x) end
]])
    assert_has(text, "  export interface A {\n    b(x: string): A;\n    c(this: void, x?: number): "
      .. "LuaMultiReturn<[string | undefined, string | undefined]>;\n  }\n")
  end)

  it("makes two of a function whose middle may be left out", function()
    local text = write([[
---@class moongate.A
local a = {}

---@param name string
---@param options? string
---@param fn fun()
function a:b(name, options, fn) end
]])
    assert_has(text, "    b(name: string, fn: ((this: void) => void)): void;\n"
      .. "    b(name: string, options: string, fn: ((this: void) => void)): void;\n")
  end)

  it("lets no Future into what takes any value, nor out of a handler", function()
    local text = write([[
---@class moongate.A
local a = {}

---@param value any
function a:b(value) end

---@param handler moongate.Handler
function a:c(handler) end
]])
    assert_has(text, "    b<V1>(value: V1 & Settled<V1>): void;\n")
    assert_has(text, "    c<R extends Returned>(handler: Handler<R>): void;\n")
  end)

  it("makes the members of a module its exports, and keeps the prose", function()
    local text = write([[
---@class moongate
local moongate = {}

--- Adds, see [A](a.md).
---
--- ```lua
--- x()
--- ```
---@param n integer how many
---@return integer sum of all
function moongate.add(n) end

--- Which.
---@type string
moongate.version = nil
]])
    assert_has(text, "  /**\n   * Adds, see A.\n   * @param n how many\n   * @returns sum of all\n"
      .. "   */\n  export function add(this: void, n: number): number;\n")
    assert_has(text, "  export const version: string;\n")
  end)

  it("makes iterators, lists and classes of more", function()
    local text = write([[
---@overload async fun(): string?
---@class moongate.Chunks

---@class moongate.List: moongate.Item[] of them

---@class moongate.B: moongate.A with more
---@field x? integer of it
---@field y string|nil

---@class moongate.A
local a = {}

---@return async fun(): string?
function a:chunks() end
]])
    assert_has(text, "interface Chunks extends LuaIterable<string> {\n"
      .. "    (this: void): string | undefined;\n  }\n")
    assert_has(text, "interface List extends Array<Item> {\n")
    assert_has(text, "interface B extends A {\n    /** of it */\n    x?: number;\n"
      .. "    y?: string;\n  }\n")
    assert_has(text, "    chunks(): LuaIterable<string>;\n")
  end)

  it("says instead what a declaration says for TypeScript", function()
    local text = write([[
---@class moongate.A
local a = {}

---@return any
---@typescript b<T>(): T
function a:b() end

---@alias moongate.C string
---@typescript C<T> = T[]
]])
    assert_has(text, "    b<T>(): T;\n")
    assert_has(text, "  export type C<T> = T[];\n")
  end)

  it("writes every name of the reference", function()
    local loaded = reference.load()
    local text = typescript.write(loaded)
    for _, entry in ipairs(loaded.entries) do
      local name = entry.item.name:match("([%w_]+)$")
      assert.truthy(text:find("%f[%w_]" .. name .. "%f[^%w_]"), entry.name)
    end
  end)
end)
