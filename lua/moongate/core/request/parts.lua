--- ctx:parts(): a multipart form as it comes, part by part. A piece of the body is read when a
--- script asks for more, so that a slow reader slows the client, and no more than that is kept.
local native = require("moongate.native")
local check = require("moongate.core.check")
local errors = require("moongate.core.errors")
local files = require("moongate.files")
local suggest = require("moongate.core.suggest")

local M = {}

---@class moongate.Part
local Part = {}
Part.__index = Part

local function none() end

suggest.close(Part, "a part", { filename = none, transfer_encoding = none }) -- not every part's

local SAVE = {
  max = check.bound, mode = check.string, make_folders = function(name, value)
    return check.type(name, value, "boolean")
  end,
}

local function refuse(message, limit)
  error(errors.new("status", limit and message or "the form is malformed: " .. message, {
    status = limit and 413 or 400,
  }), 0)
end

-- The next event of the form; nil at its end. What came before a fault is told before it.
local function next_event(form)
  while form.at >= #form.events do
    if form.fault then
      refuse(form.fault, form.limit)
    elseif form.over then
      return nil
    end
    local piece = form.read()
    form.over = piece == nil
    form.events, form.fault, form.limit = form.parser:feed(piece)
    form.at = 0
  end
  form.at = form.at + 1
  return form.events[form.at]
end

local function form_of(part)
  local form = part._form
  if form.part ~= part then
    check.fail("this part of the form is over: the next one has begun")
  end
  return form
end

--- The content as it comes: for piece in part:chunks() do ... end
---@return fun(): string?
function Part:chunks()
  form_of(self)
  return function()
    local form = form_of(self)
    local event = not form.read_whole and next_event(form)
    if type(event) == "string" then
      return event
    end
    form.read_whole = true
    return nil
  end
end

local function check_size(part, bytes, most)
  if bytes > most then
    refuse(("the part %s is larger than %d bytes"):format(part.name, most), true)
  end
end

--- The whole content; waits for it.
---@param max integer|string|false|nil "1M" unless told; more is 413
---@return string
function Part:text(max)
  local most = check.bound("text", max == nil and "1M" or max)
  local pieces, bytes = {}, 0
  for piece in self:chunks() do
    bytes = bytes + #piece
    check_size(self, bytes, most)
    pieces[#pieces + 1] = piece
  end
  return table.concat(pieces)
end

-- Pieces go behind each other into a file beside the target.
local function write_pieces(self, beside, options)
  local ctx, bytes = self._form.ctx, 0
  local how = { mode = options.mode, make_folders = options.make_folders, sync = false }
  ctx:write_file(beside, "", how):await()
  for piece in self:chunks() do
    bytes = bytes + #piece
    check_size(self, bytes, options.max or math.huge)
    ctx:write_file(beside, piece, { append = true, sync = false, max = false }):await()
  end
  ctx:write_file(beside, "", { append = true }):await() -- waits for the disk
  return bytes
end

--- Writes the content to a file, which is there whole or not at all; waits for it.
---@param path string against the project's folder; a client's `filename` is no path to be trusted
---@param options table? max (any size unless told; more is 413), mode, make_folders
---@return integer bytes
function Part:save(path, options)
  check.string("save: path", path)
  options = options and check.options("save", options, SAVE) or {}
  local ctx = form_of(self).ctx
  local beside = path .. ".part-" .. native.tools.hex_encode(native.tools.random_bytes(6))
  local ok, result = pcall(write_pieces, self, beside, options)
  if ok then
    ok, result = pcall(function() ctx:rename_file(beside, path):await() return result end)
  end
  if not ok then
    files.delete_file(beside):catch(none) -- in the background: the request may be over
    error(result, 0)
  end
  return result
end

--- The parts of a form whose body `read()` gives piece by piece, nil at its end.
---@return fun(): moongate.Part?
function M.iterate(ctx, content_type, most, read)
  local kind = native.http.parse_content_type(content_type or "")
  if kind ~= "multipart/form-data" then
    error(errors.new("status", "multipart/form-data is wanted", { status = 415 }), 0)
  end
  local parser, wrong = native.http.form(content_type, most)
  if not parser then
    refuse(wrong)
  end
  local form = { ctx = ctx, parser = parser, read = read, events = {}, at = 0 }
  return function()
    form.part = nil
    repeat -- what was not read of the part before is left out
      local event = next_event(form)
      if event == nil then
        return nil
      end
      form.part = type(event) == "table" and setmetatable(event, Part) or nil
    until form.part
    form.read_whole = false
    form.part._form = form
    return form.part
  end
end

return M
