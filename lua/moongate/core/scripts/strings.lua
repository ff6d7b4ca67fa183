--- The metatable of strings, which the framework and its scripts share: what the framework calls
--- stays there. Scripts get something that stands for it: what they put there is added, and what
--- they give as __index is asked for what strings do not have by themselves.
local check = require("moongate.core.check")

local M = {}

local getmetatable, rawget, rawset, type = debug.getmetatable, rawget, rawset, type
local setmetatable = setmetatable
local theirs = getfenv(0).string -- of the scripts: src/lua/home.h
local own = string
local facade

local function index_of(given)
  if type(given) ~= "function" then
    setmetatable(own, { __index = given })
    return own
  end
  return function(text, key)
    local value = rawget(own, key)
    if value ~= nil then
      return value
    end
    return given(text, key)
  end
end

local function new_facade(meta)
  local given = theirs
  return setmetatable({}, {
    __index = function(_, key)
      if key == "__index" then
        return given
      end
      return rawget(meta, key)
    end,
    __newindex = function(_, key, value)
      if key == "__metatable" then
        check.fail("the metatable of strings belongs to every script: it cannot be locked")
      elseif key == "__index" then
        local index = index_of(value)
        given = value
        value = index
      end
      rawset(meta, key, value)
    end,
  })
end

--- In a state that serves, whose framework has globals of its own.
function M.install()
  if own == theirs then
    return
  end
  local meta = getmetatable("")
  facade = facade or new_facade(meta)
  rawset(meta, "__metatable", facade)
end

--- What stands for the metatable of strings, nil if nothing does.
function M.facade()
  return facade
end

return M
