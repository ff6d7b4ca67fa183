--- `moongate repl`: evaluates what is typed in the environment of the app's scripts.
--- A coroutine runs it, so it may await.
local errors = require("moongate.core.errors")
local sched = require("moongate.core.sched")
local show = require("moongate.core.dev.show")

local M = {}

-- What is declared at the prompt is kept until other scripts serve, and is not the scripts'.
local function environment_of(served)
  local env = served.repl
  if not env then
    env = setmetatable({ moongate = require("moongate") }, { __index = served.globals })
    served.repl = env
  end
  return env
end

local function is_incomplete(message)
  return message:find("near '<eof>'$") ~= nil
end

-- An expression, or statements.
local function compile(code, env)
  local chunk, message = load("return " .. code, "=repl", "t", env)
  if chunk or is_incomplete(message) then
    return chunk, message
  end
  return load(code, "=repl", "t", env)
end

local function printing_into(lines)
  return function(...)
    local parts = {}
    for i = 1, select("#", ...) do
      parts[i] = errors.show((select(i, ...)))
    end
    lines[#lines + 1] = table.concat(parts, "\t")
  end
end

local function finish(task, ok, text)
  local said = task.c
  if text ~= "" then
    said[#said + 1] = text
  end
  task.b(ok, table.concat(said, "\n"))
end

local function run(task)
  local script = task.a -- in a local: places.traceback looks for it
  local function told(...)
    local parts = {}
    for i = 1, select("#", ...) do
      parts[i] = show.value((select(i, ...)))
    end
    finish(task, true, table.concat(parts, "\n"))
  end
  told(script())
end

local function failed(task, err)
  finish(task, false, errors.describe(err))
end

--- Evaluates `code`; `reply(ok, text)` comes once: what was printed and what it gave, or the error.
--- reply(false, "") of what is not complete yet.
---@param served table of serve.prepare, with the `globals` of its scripts
---@param code string
---@param reply fun(ok: boolean, text: string)
function M.evaluate(served, code, reply)
  if not served.globals then
    return reply(false, "the scripts could not be loaded: mend them first")
  end
  local env, lines = environment_of(served), {}
  rawset(env, "print", printing_into(lines))
  local chunk, message = compile(code, env)
  if chunk then
    sched.start_soon(served.root, run, failed, chunk, reply, lines)
  elseif is_incomplete(message) then
    reply(false, "")
  else
    reply(false, message)
  end
end

return M
