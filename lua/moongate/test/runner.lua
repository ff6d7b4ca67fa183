--- `moongate test`: busted inside of Moongate, with options of our own.
local M = {}

-- Options of busted whose value is a word of its own.
local WITH_VALUE = {}
for word in ([[-p --pattern --exclude-pattern -e -o --output -C --directory -f --config-file
  --coverage-config-file -t --tags --exclude-tags --filter --filter-out -m --lpath --cpath -r --run
  --repeat --seed --lang --loaders --helper --lua -Xoutput -Xhelper]]):gmatch("%S+") do
  WITH_VALUE[word] = true
end

local SEEDS = 2 ^ 31 -- as many as busted can shuffle with

---@class moongate.test.Arguments
---@field rest string[] busted's
---@field path string the first file or folder of specs
---@field seed integer? --shuffle
---@field coverage string|true|nil --coverage, or --coverage=FILE

-- Not by moongate.native: loaded here, before busted, it would be one for all files of specs.
local function new_seed()
  local file = io.open("/dev/urandom", "rb")
  local bytes = file and { file:read(4):byte(1, 4) } or { os.time() % 256 }
  if file then
    file:close()
  end
  local seed = 0
  for _, byte in ipairs(bytes) do
    seed = seed * 256 + byte
  end
  return seed % (SEEDS - 1) + 1
end

local function seed_of(text)
  local seed = text:match("^%d+$") and tonumber(text)
  if not seed or seed < 1 or seed >= SEEDS then
    return nil, ("--shuffle: a whole number from 1 to %d is wanted, not '%s'")
      :format(SEEDS - 1, text)
  end
  return seed
end

-- The seed that follows, or a new one.
local function take_seed(parsed, args, at)
  local inline = args[at]:match("^%-%-shuffle=(.*)$")
  local text = inline or args[at + 1] and args[at + 1]:match("^%d+$")
  local wrong
  if text then
    parsed.seed, wrong = seed_of(text)
  else
    parsed.seed = new_seed()
  end
  return text and not inline and at + 1 or at, wrong
end

local function take_other(parsed, args, at)
  local word = args[at]
  table.insert(parsed.rest, word)
  if WITH_VALUE[word] then
    table.insert(parsed.rest, args[at + 1])
    return at + 1
  elseif not word:find("^%-") then
    parsed.path = parsed.path or word
  end
  return at
end

--- Takes our own options out of the arguments of `moongate test`.
---@param args string[]
---@return moongate.test.Arguments? nil if one is wrong
---@return string? why
function M.parse(args)
  local parsed, at = { rest = {} }, 1
  while at <= #args do
    local word, wrong = args[at], nil
    if word == "--shuffle" or word:find("^%-%-shuffle=") then
      at, wrong = take_seed(parsed, args, at)
    elseif word == "--coverage" or word:find("^%-%-coverage=.") then
      parsed.coverage = word:match("=(.*)$") or true
    else
      at = take_other(parsed, args, at)
    end
    if wrong then
      return nil, wrong
    end
    at = at + 1
  end
  parsed.path = parsed.path or "."
  return parsed
end

-- busted draws the order of specs, the kit that of what they wait for.
local function shuffle(parsed)
  table.insert(parsed.rest, "--shuffle")
  table.insert(parsed.rest, "--seed=" .. parsed.seed)
end

-- What is to be told when busted is through.
local function report(parsed)
  io.stdout:flush()
  if parsed.coverage then
    require("moongate.test.coverage").report(parsed.coverage)
  end
  if parsed.seed then
    io.stderr:write(("Shuffled; the same order again: moongate test --shuffle %d\n")
      :format(parsed.seed))
  end
end

-- As a command line of busted's own, which names whoever calls it in its messages.
local function run_busted(busted, words)
  _G.arg = words
  words[0] = "moongate test"
  assert(loadstring("local busted = ... busted({ standalone = false })", "@moongate test"))(busted)
end

--- Runs the specs that `args` name. busted ends the process, or raises nil, when one has failed.
---@param args string[]
---@param through fun() to be called when all has been told
function M.run(args, through)
  local found, busted = pcall(require, "busted.runner")
  local parsed, wrong = M.parse(args)
  if not found or not parsed then
    through()
    error(wrong or "busted is wanted (Debian package lua-busted):\n" .. busted, 0)
  end
  local exit, project = require("moongate.test.exit"), require("moongate.test.project")
  local function finish()
    report(parsed)
    through()
  end
  exit.refuse(finish)
  exit.hide_dot_files()
  project.enter(parsed.path)
  -- Loaded again by specs, from where they find all the others.
  package.loaded["moongate.test.project"] = nil
  package.loaded["moongate.specs"] = { path = parsed.path, seed = parsed.seed }
  if parsed.seed then
    shuffle(parsed)
  end
  if parsed.coverage then
    require("moongate.test.coverage").start(project.folder or "")
  end
  local ok, err = pcall(run_busted, busted, parsed.rest)
  finish()
  if not ok then
    error(err, 0)
  end
end

return M
