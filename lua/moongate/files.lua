--- Files, through the thread pool: ctx:read_file and the like, and moongate.files for work without
--- a request. What the disk may do rejects the Future with code "file" (errno, reason such as
--- "ENOENT", path); what is too large with code "limit".
local native = require("moongate.native")
local sched = require("moongate.core.sched")
local check = require("moongate.core.check")
local errors = require("moongate.core.errors")
local Future = require("moongate.future")
local time = require("moongate.time")
local text = require("moongate.core.text")

local M = {}

local READ_MAX = 16 * 1024 * 1024
local WRITE_MAX = 64 * 1024 * 1024
local LIST_MAX, LIST_MOST = 10000, 100000
local PIECE, PIECE_MOST = 64 * 1024, native.constants.file_piece

--- The project's folder, against which paths are; set when an app is served.
M.root = ""

---@param path string
---@return string
function M.resolve(path)
  if path:sub(1, 1) == "/" or M.root == "" then
    return path
  end
  return M.root .. "/" .. path
end

-- --- arguments ---

local function boolean(name, value)
  return check.type(name, value, "boolean")
end

local function mode(name, value)
  if type(value) ~= "string" or not value:find("^[0-7][0-7][0-7][0-7]?$") then
    check.fail(name .. ': octal digits in a string are wanted, such as "0644", not '
      .. check.describe(value))
  end
  return value
end

local function at_most(most, unit)
  return function(name, value)
    value = check.size(name, value)
    if value < 1 or value > most then
      check.fail(name .. ": 1 to " .. most .. " " .. unit .. " are wanted")
    end
    return value
  end
end

local READ = { max = check.bound }
local WRITE = {
  mode = mode, append = boolean, make_folders = boolean, sync = boolean, max = check.bound,
}
local STAT = { follow = boolean }
local most_entries = at_most(LIST_MOST, "entries")
local LIST = {
  max = function(name, value)
    return value == false and LIST_MOST or most_entries(name, value)
  end,
}
local CHUNKS = { piece = at_most(PIECE_MOST, "bytes") }
local NONE = {}

--- Which argument of each call its options are, and what they may be: stubs check them too.
M.options = {
  read_file = { 2, READ }, write_file = { 3, WRITE }, stat_file = { 2, STAT },
  list_folder = { 2, LIST }, file_chunks = { 2, CHUNKS },
}

local function check_options(name, options, allowed)
  return options == nil and NONE or check.options(name, options, allowed)
end

local function check_path(name, path, level)
  if type(path) ~= "string" or path == "" then
    error(name .. ": a path is wanted, not " .. check.describe(path), level + 1)
  elseif path:find("%z") then
    error(name .. ": the path holds a NUL", level + 1)
  end
  Future._refuse_loading(name, level + 1)
end

-- --- operations ---

local function failure(future, code, message, errno, reason)
  local path = future._path
  if code == "limit" and future._limit then
    message = future._limit
  end
  return errors.new(code, path .. ": " .. message, {
    where = future:_where(), errno = errno, reason = reason, path = path,
  })
end

local function settle(future, ok, a, b, c, d)
  future._operation = false
  if ok then
    future:resolve(a)
  else
    Future._settle(future, "rejected", 1, failure(future, a, b, c, d))
  end
end

local function operation(handle, scope, level, path, limit)
  local future = time.operation(handle, scope, level + 1)
  future._path, future._limit, future._settle_operation = path, limit, settle
  return future
end

--- What ctx has: functions of (scope, level, ...). Paths are against the project's folder.
M.calls = {}

--- A whole file's content.
---@param path string
---@param options table? max: largest size (default "16M"; false: any)
---@return moongate.Future of a string
function M.calls.read_file(scope, level, path, options)
  check_path("read_file", path, level + 1)
  local max = check_options("read_file", options, READ).max or READ_MAX
  local handle = native.read_file(M.resolve(path), max)
  return (operation(handle, scope, level + 1, path, "larger than " .. max .. " bytes"))
end

local function too_large(scope, level, path, max)
  local future = Future._new(scope, level + 1)
  future._path, future._limit = path, "larger than " .. max .. " bytes"
  Future._settle(future, "rejected", 1, failure(future, "limit"))
  return future
end

--- Replaces a file's content: readers see the old content or the new, whatever happens, and after
--- success it is on the disk. A cancelled call has written all or nothing. `append` adds to the end
--- instead, and may leave a part behind if it fails.
---@param path string
---@param data string
---@param options table? mode: "0644", of a new file; an existing one keeps its own unless told ·
--- append: false · make_folders: false, makes those that are missing above it · sync: true, wait
--- for the disk · max: largest data (default "64M"; false: any)
---@return moongate.Future of true
function M.calls.write_file(scope, level, path, data, options)
  check_path("write_file", path, level + 1)
  local bytes = text.of(data)
  if not bytes then
    error("write_file: the content is a string, not " .. check.describe(data), level + 1)
  end
  options = check_options("write_file", options, WRITE)
  local max = options.max or WRITE_MAX
  if #bytes > max then
    return (too_large(scope, level + 1, path, max))
  end
  local handle = native.write_file(M.resolve(path), bytes,
    options.mode and tonumber(options.mode, 8) or -1, options.append or false,
    options.make_folders or false, options.sync ~= false)
  return (operation(handle, scope, level + 1, path))
end

--- What is at the path: { kind = "file"|"folder"|"link"|"other", size in bytes, modified in seconds
--- since 1970, mode such as "0644" }.
---@param path string
---@param options table? follow: true; false: a link is told as such
---@return moongate.Future of a table
function M.calls.stat_file(scope, level, path, options)
  check_path("stat_file", path, level + 1)
  local follow = check_options("stat_file", options, STAT).follow ~= false
  return (operation(native.stat_file(M.resolve(path), follow), scope, level + 1, path))
end

--- What is in a folder, sorted by name: a list of { name, kind, size (of files) }.
---@param path string
---@param options table? max: most entries (default 10,000)
---@return moongate.Future of a list
function M.calls.list_folder(scope, level, path, options)
  check_path("list_folder", path, level + 1)
  local max = check_options("list_folder", options, LIST).max or LIST_MAX
  local handle = native.list_folder(M.resolve(path), max)
  return (operation(handle, scope, level + 1, path, "more than " .. max .. " entries"))
end

local function change(what, scope, level, path, to)
  return (operation(native.change_file(what, M.resolve(path), to), scope, level + 1, path))
end

--- Deletes a file or a link, no folder.
---@return moongate.Future of true
function M.calls.delete_file(scope, level, path)
  check_path("delete_file", path, level + 1)
  return (change("delete", scope, level + 1, path))
end

--- Deletes an empty folder.
---@return moongate.Future of true
function M.calls.delete_folder(scope, level, path)
  check_path("delete_folder", path, level + 1)
  return (change("delete_folder", scope, level + 1, path))
end

--- Renames a file or folder within its file system; a file of the new name is replaced.
---@return moongate.Future of true
function M.calls.rename_file(scope, level, from, to)
  check_path("rename_file", from, level + 1)
  check_path("rename_file", to, level + 1)
  return (change("rename", scope, level + 1, from, M.resolve(to)))
end

--- Makes a folder and those that are missing above it. One that is there already is fine.
---@return moongate.Future of true
function M.calls.make_folder(scope, level, path)
  check_path("make_folder", path, level + 1)
  return (change("make_folder", scope, level + 1, path))
end

-- --- files in pieces ---

---@class moongate.FileChunks
local Chunks = {}
Chunks.__index = Chunks

-- The file is opened by the coroutine that takes the first piece, and closed when that ends, if not
-- before.
local function open(chunks)
  local task = sched.current
  if not task then
    error("file_chunks outside a coroutine: use it in a handler, a callback or moongate.spawn(fn)",
      3)
  end
  local handle, message = native.open_stream(M.resolve(chunks.path))
  if not handle then
    Future._raise(errors.new("file", chunks.path .. ": " .. message, { path = chunks.path }))
  end
  chunks.task, chunks.handle = task, handle
  sched.hold(task, chunks)
end

--- Closes the file: there are no more pieces.
function Chunks:close()
  self.over = true
  if self.handle then
    sched.release(self.task, self)
    native.cancel(self.handle)
    self.handle = false
  end
end

-- The coroutine that opened it ends. Whoever else reads must not take that for the file's end.
function Chunks:cancel()
  self:close()
  self.lost = true
end

function Chunks:__call()
  if self.lost then
    local message = self.path .. ": closed with the coroutine that opened it"
    Future._raise(errors.new("closed", message))
  elseif self.over then
    return nil
  elseif not self.handle then
    open(self)
  end
  local handle = native.read_stream(self.handle, self.piece)
  local piece, err = operation(handle, self.scope, 2, self.path):try_await()
  if piece == nil then
    self:close()
    if err then
      error(err, 0)
    end
  end
  return piece
end

--- A file in pieces: for piece in ctx:file_chunks(path) do ... end. It is closed at its end, else
--- when the coroutine that reads it ends; chunks:close() does so at once.
---@param path string
---@param options table? piece: bytes of each (default "64K", "256K" at most)
---@return moongate.FileChunks
function M.calls.file_chunks(scope, level, path, options)
  check_path("file_chunks", path, level + 1)
  local piece = check_options("file_chunks", options, CHUNKS).piece or PIECE
  return setmetatable({
    scope = scope, path = path, piece = piece,
    handle = false, task = false, over = false, lost = false,
  }, Chunks)
end

for name in pairs(M.calls) do
  M[name] = function(...)
    return (Future._named_if(name, M.calls[name](Future._app_scope(), 2, ...)))
  end
end

M.read, M.write, M.stat, M.list = M.read_file, M.write_file, M.stat_file, M.list_folder
M.delete, M.rename, M.chunks = M.delete_file, M.rename_file, M.file_chunks

return M
