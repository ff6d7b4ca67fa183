--- Folders and what is in them, without a process for each question: tests make hundreds.
local ffi = require("ffi")
local M = {}

-- struct dirent as every 64-bit Linux has it.
ffi.cdef([[
typedef struct mgt_folder mgt_folder;
typedef struct {
  uint64_t inode; int64_t next; uint16_t size; uint8_t kind; char name[256];
} mgt_entry;
mgt_folder *opendir(const char *path);
mgt_entry *readdir(mgt_folder *folder);
int closedir(mgt_folder *folder);
int mkdir(const char *path, unsigned int mode);
int rmdir(const char *path);
int unlink(const char *path);
]])

local DIRECTORY = 4

---@return boolean whether it was not there before
function M.make(path)
  return ffi.C.mkdir(path, 448) == 0
end

--- Calls `fn(name, is_folder)` for each entry.
---@return boolean|nil false if there is no such folder
local function each(path, fn)
  local folder = ffi.C.opendir(path)
  if folder == nil then
    return false
  end
  local entry = ffi.C.readdir(folder)
  while entry ~= nil do
    local name = ffi.string(entry.name)
    if name ~= "." and name ~= ".." then
      fn(name, entry.kind == DIRECTORY)
    end
    entry = ffi.C.readdir(folder)
  end
  ffi.C.closedir(folder)
  return true
end

---@return integer|nil how many entries it has
function M.count(path)
  local n = 0
  return each(path, function()
    n = n + 1
  end) and n or nil
end

local function empty(path)
  each(path, function(name, is_folder)
    local inner = path .. "/" .. name
    if is_folder then
      empty(inner)
      ffi.C.rmdir(inner)
    else
      ffi.C.unlink(inner)
    end
  end)
end

--- Removes it and all below it, what is still being written there too.
function M.remove(path)
  empty(path)
  if ffi.C.rmdir(path) ~= 0 then
    os.execute("rm -rf '" .. path .. "'")
  end
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

--- What is in a folder, to be written elsewhere: name -> text, or a table of the same kind.
---@return table
function M.read(path)
  local tree = {}
  assert(each(path, function(name, is_folder)
    tree[name] = (is_folder and M.read or read)(path .. "/" .. name)
  end), path)
  return tree
end

function M.write(path, tree)
  for name, what in pairs(tree) do
    local inner = path .. "/" .. name
    if type(what) == "table" then
      ffi.C.mkdir(inner, 493)
      M.write(inner, what)
    else
      local file = assert(io.open(inner, "wb"))
      assert(file:write(what))
      file:close()
    end
  end
end

return M
