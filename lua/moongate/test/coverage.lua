--- Which lines of a project's Lua its specs run: `moongate test --coverage`.
local M = {}

-- Lines that only end or begin something: nothing is missing when they do not run.
local IDLE = {
  ["end"] = true, ["end,"] = true, ["end)"] = true, ["end),"] = true, ["else"] = true,
  ["}"] = true, ["})"] = true, ["},"] = true, [""] = true,
}
local SHOWN = 60 -- characters of the missing lines

local folder -- the project's, with a slash at its end or empty

--- Counts from now on.
---@param of string the project's folder, as project.folder
function M.start(of)
  folder = of
  require("moongate.coverage").start()
end

local function read_lines(path)
  local file = io.open(path)
  if not file then
    return nil
  end
  local lines = {}
  for line in file:lines() do
    lines[#lines + 1] = line
  end
  file:close()
  return lines
end

-- Adds the lines that have code, those of the functions within included.
local function add_lines(set, fn, util)
  local at = 1
  local info = util.funcinfo(fn, at)
  while info.currentline do
    set[info.currentline] = true
    at = at + 1
    info = util.funcinfo(fn, at)
  end
  for i = 1, info.gcconsts or 0 do
    local constant = util.funck(fn, -i)
    if type(constant) == "proto" then
      add_lines(set, constant, util)
    end
  end
end

--- The lines of a file that can run, in order.
---@param path string
---@return integer[]? nil: it cannot be read, or is no Lua
function M.lines_of(path)
  local text, chunk = read_lines(path), loadfile(path)
  if not text or not chunk then
    return nil
  end
  local set, list = {}, {}
  add_lines(set, chunk, require("jit.util"))
  for i, line in ipairs(text) do
    line = line:match("^%s*(.-)%s*$")
    if set[i] and not IDLE[line] and line:sub(1, 2) ~= "--" then
      list[#list + 1] = i
    end
  end
  return list
end

-- "3, 7-9": a run of lines that follow each other among those that can run.
local function ranges(missing, position)
  local parts, i = {}, 1
  while i <= #missing do
    local first = missing[i]
    while missing[i + 1] and position[missing[i + 1]] == position[missing[i]] + 1 do
      i = i + 1
    end
    parts[#parts + 1] = first == missing[i] and tostring(first) or first .. "-" .. missing[i]
    i = i + 1
  end
  return table.concat(parts, ", ")
end

--- What of a file has run.
---@param path string
---@param counts table<integer, integer> by line
---@return table? { path, lines, counts, hit, missing (as text) }
function M.of_file(path, counts)
  local lines = M.lines_of(path)
  if not lines then
    return nil
  end
  local position, missing = {}, {}
  for i, line in ipairs(lines) do
    position[line] = i
    if not counts[line] then
      missing[#missing + 1] = line
    end
  end
  return {
    path = path, lines = lines, counts = counts, hit = #lines - #missing,
    missing = ranges(missing, position),
  }
end

-- The project's own files below lua/, but for the framework's.
local function files_of_project()
  local found, dir = pcall(require, "pl.dir")
  local ok, list = pcall(dir.getallfiles, folder .. "lua", "*.lua")
  local files = {}
  for _, path in ipairs(found and ok and list or {}) do
    if not path:find("lua/moongate/", 1, true) then
      files[path] = {}
    end
  end
  return files
end

local function add(into, counts)
  for line, n in pairs(counts) do
    into[line] = (into[line] or 0) + n
  end
end

-- A script's name is against the project's folder, a module's as package.path has it.
local function collect(counted)
  local files = files_of_project()
  for source, counts in pairs(counted) do
    local path = source:sub(2):gsub("^%./", "")
    local counts_of = files[path] or files[folder .. path]
    if counts_of then
      add(counts_of, counts)
    end
  end
  local list = {}
  for path, counts in pairs(files) do
    list[#list + 1] = M.of_file(path, counts)
  end
  table.sort(list, function(a, b)
    return a.path < b.path
  end)
  return list
end

local function percent(hit, all)
  return ("%5.1f %%"):format(all == 0 and 100 or hit / all * 100)
end

--- A table for people: file, percent, lines that did not run.
---@param list table[] of M.of_file
---@return string
function M.table_of(list)
  local width, hit, all = #"all", 0, 0
  for _, file in ipairs(list) do
    width = math.max(width, #file.path)
    hit, all = hit + file.hit, all + #file.lines
  end
  local lines = {}
  local function row(name, of, count, missing)
    if #missing > SHOWN then
      missing = missing:sub(1, SHOWN):gsub(",[^,]*$", "") .. ", ..."
    end
    lines[#lines + 1] = (("%-" .. width .. "s  %s  %s"):format(name, percent(of, count), missing)
      :gsub("%s+$", ""))
  end
  for _, file in ipairs(list) do
    row(file.path, file.hit, #file.lines, file.missing)
  end
  row("all", hit, all, "")
  return table.concat(lines, "\n") .. "\n"
end

--- The same in the format of lcov.
---@param list table[] of M.of_file
---@return string
function M.lcov_of(list)
  local out = { "TN:" }
  for _, file in ipairs(list) do
    out[#out + 1] = "SF:" .. file.path
    for _, line in ipairs(file.lines) do
      out[#out + 1] = ("DA:%d,%d"):format(line, file.counts[line] or 0)
    end
    out[#out + 1] = "LF:" .. #file.lines
    out[#out + 1] = "LH:" .. file.hit
    out[#out + 1] = "end_of_record"
  end
  return table.concat(out, "\n") .. "\n"
end

--- Ends the counting and tells of it.
---@param path string|true also into that file, for lcov
function M.report(path)
  local list = collect(require("moongate.coverage").stop())
  io.stderr:write("\n", M.table_of(list))
  if path ~= true then
    local file, message = io.open(path, "w")
    if not file then
      io.stderr:write("moongate test: --coverage: ", message, "\n")
      return
    end
    file:write(M.lcov_of(list))
    file:close()
  end
end

return M
