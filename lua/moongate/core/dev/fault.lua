--- `moongate dev`: a fault as a page for browsers, and as text for everybody else: the script's own
--- lines, the request, and what it had awaited.
local errors = require("moongate.core.errors")
local html = require("moongate.core.dev.html")
local trace = require("moongate.core.dev.trace")

local M = {}

local AROUND = 5 -- lines of source before and behind the one at fault
local AROUND_OTHERS = 2 -- the same of those that called it
local FRAMES = 10

local escape = html.escape

---@class moongate.core.Frame
---@field path string
---@field line integer
---@field source string
---@field what string "in function 'load'"

---@class moongate.core.Fault
---@field title string
---@field message string
---@field request string "GET /users/7?x=1"
---@field frames moongate.core.Frame[]
---@field details string[][] { name, value } of the request
---@field awaits moongate.core.Await[]

-- --- frames ---

local function add_frame(frames, text, what, source_of)
  local path, line = text:match("^([^%s:'\"]+%.lua):(%d+)")
  local source = path and source_of(path)
  local before = frames[#frames]
  if not source or #frames >= FRAMES
    or before and before.path == path and before.line == tonumber(line) then
    return
  end
  frames[#frames + 1] = { path = path, line = tonumber(line), source = source, what = what }
end

--- The lines of scripts that a fault names, the innermost first: of its message, then of its
--- traceback. Those whose source cannot be read are left out.
---@param message string
---@param traceback string?
---@param source_of fun(path: string): string?
---@return moongate.core.Frame[]
function M.frames(message, traceback, source_of)
  local frames = {}
  for text in message:gmatch("[^%s:'\"]+%.lua:%d+") do
    add_frame(frames, text, "", source_of)
    if frames[1] then
      break
    end
  end
  for line in errors.show(traceback or ""):gmatch("[^\n]+") do
    local place, what = line:match("^%s+(.-%.lua:%d+): (.*)$")
    if place then
      add_frame(frames, place, what, source_of)
    end
  end
  return frames
end

--- Lines around one of a source: { number, text } each; none if there is no such line.
---@param source string
---@param line integer from 1
---@param around integer
---@return table[]
function M.excerpt(source, line, around)
  local rows, n, found = {}, 0, false
  for text in (source:gsub("\n$", "") .. "\n"):gmatch("(.-)\r?\n") do
    n = n + 1
    if n >= line - around and n <= line + around then
      rows[#rows + 1] = { n, text }
      found = found or n == line
    end
  end
  return found and rows or {}
end

local function around_of(i)
  return i == 1 and AROUND or AROUND_OTHERS
end

-- --- as HTML ---

local function frame_html(frame, i)
  local rows = {}
  for n, row in ipairs(M.excerpt(frame.source, frame.line, around_of(i))) do
    local text = escape(("%5d  %s"):format(row[1], row[2]))
    rows[n] = row[1] == frame.line and "<mark>" .. text .. "</mark>" or text .. "\n"
  end
  local what = frame.what ~= "" and " <small>" .. escape(frame.what) .. "</small>" or ""
  return "<h2>" .. escape(frame.path) .. ":" .. frame.line .. what .. "</h2><pre tabindex=0>"
    .. table.concat(rows) .. "</pre>"
end

local function table_html(title, rows)
  if not rows[1] then
    return ""
  end
  return "<h2>" .. title .. "</h2>" .. html.rows(rows)
end

--- A page that loads itself again when the scripts have been.
---@param fault moongate.core.Fault
---@return string
function M.html(fault)
  local frames, awaits = {}, {}
  for i, frame in ipairs(fault.frames) do
    frames[i] = frame_html(frame, i)
  end
  for i, await in ipairs(fault.awaits) do
    awaits[i] = { await.what, trace.time(await.seconds), await.where }
  end
  return html.page(fault.title, "<h1 role=alert>" .. escape(fault.message) .. "</h1><p>"
    .. escape(fault.request) .. ". This page loads itself again when a file is saved.</p>"
    .. table.concat(frames) .. table_html("Request", fault.details)
    .. table_html("Awaits so far", awaits))
end

-- --- as text ---

local function add_frame_text(lines, frame, i)
  lines[#lines + 1] = ""
  lines[#lines + 1] = frame.path .. ":" .. frame.line
    .. (frame.what ~= "" and ", " .. frame.what or "")
  for _, row in ipairs(M.excerpt(frame.source, frame.line, around_of(i))) do
    lines[#lines + 1] = ("%s %5d  %s"):format(row[1] == frame.line and ">" or " ", row[1], row[2])
  end
end

---@param fault moongate.core.Fault
---@return string
function M.text(fault)
  local lines = { fault.title, "", fault.message }
  for i, frame in ipairs(fault.frames) do
    add_frame_text(lines, frame, i)
  end
  if fault.awaits[1] then
    lines[#lines + 1] = ""
    lines[#lines + 1] = "awaits so far:"
    for _, line in ipairs(trace.lines(fault.awaits)) do
      lines[#lines + 1] = "  " .. line
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

return M
