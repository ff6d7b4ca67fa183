--- Starts programs, waits for them by pid, and reads what /proc tells of them.
local ffi = require("ffi")
local socket = require("socket")
local folders = require("support.folder")
local M = {}

ffi.cdef([[
typedef struct { char opaque[256]; } mgt_spawn_actions;
int posix_spawnp(int *pid, const char *file, const mgt_spawn_actions *actions, const void *attr,
                 char *const argv[], char *const envp[]);
int posix_spawn_file_actions_init(mgt_spawn_actions *actions);
int posix_spawn_file_actions_destroy(mgt_spawn_actions *actions);
int posix_spawn_file_actions_addopen(mgt_spawn_actions *actions, int fd, const char *path,
                                     int flags, unsigned int mode);
int waitpid(int pid, int *status, int options);
int kill(int pid, int signal);
char *mkdtemp(char *template);
extern char **environ;
]])

M.SIGNALS = { HUP = 1, INT = 2, KILL = 9, USR1 = 10, TERM = 15, CONT = 18, STOP = 19 }
M.DEADLINE = 15 -- seconds that anything may take before a test gives up on it

local WNOHANG = 1
local O_RDONLY, O_WRITE_NEW = 0, 577 -- O_WRONLY | O_CREAT | O_TRUNC

--- Polls `condition` until it returns something true; raises after the deadline.
---@return any what the condition returned
function M.wait_until(what, condition, seconds)
  local give_up = socket.gettime() + (seconds or M.DEADLINE)
  while true do
    local result = condition()
    if result then
      return result
    end
    if socket.gettime() > give_up then
      error("gave up waiting until " .. what, 2)
    end
    socket.sleep(0.005)
  end
end

---@return string|nil
function M.read_file(path)
  local file = io.open(path, "rb")
  if not file then
    return nil
  end
  local text = file:read("*a")
  file:close()
  return text
end

function M.write_file(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
end

---@return string a new empty folder; the caller removes it
function M.temp_folder()
  local template = (os.getenv("TMPDIR") or "/tmp") .. "/moongate-XXXXXX"
  local path = ffi.new("char[?]", #template + 1, template)
  assert(ffi.C.mkdtemp(path) ~= nil, "no folder can be made: " .. template)
  return ffi.string(path)
end

M.make_folder = folders.make

function M.remove_folder(path)
  assert(path:match("moongate%-%w+$"), "not a folder of ours: " .. path)
  folders.remove(path)
end

local Process = {}
Process.__index = Process

-- setpriv makes the kernel end the child when the test runner itself is killed.
local function c_argv(argv)
  local full = { "setpriv", "--pdeathsig", "KILL", unpack(argv) }
  local list = ffi.new("const char *[?]", #full + 1)
  for i, word in ipairs(full) do
    list[i - 1] = word
  end
  return list, full
end

--- Starts argv[1] (found in PATH) with stdout and stderr in files.
---@param argv string[]
---@param out string path for stdout
---@param err string path for stderr
function M.start(argv, out, err)
  local actions = ffi.new("mgt_spawn_actions")
  local pid = ffi.new("int[1]")
  local list, anchor = c_argv(argv)
  ffi.C.posix_spawn_file_actions_init(actions)
  ffi.C.posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0)
  ffi.C.posix_spawn_file_actions_addopen(actions, 1, out, O_WRITE_NEW, 420)
  ffi.C.posix_spawn_file_actions_addopen(actions, 2, err, O_WRITE_NEW, 420)
  local argv_p = ffi.cast("char *const *", list)
  local rc = ffi.C.posix_spawnp(pid, "setpriv", actions, nil, argv_p, ffi.C.environ)
  ffi.C.posix_spawn_file_actions_destroy(actions)
  assert(rc == 0, "could not start " .. anchor[4])
  return setmetatable({ pid = pid[0], out = out, err = err }, Process)
end

--- The exit status once the process has ended (128 + n for signal n), else nil.
function Process:poll()
  if self.status then
    return self.status
  end
  local status = ffi.new("int[1]")
  if ffi.C.waitpid(self.pid, status, WNOHANG) ~= self.pid then
    return nil
  end
  local signal = status[0] % 128
  self.status = signal == 0 and math.floor(status[0] / 256) % 256 or 128 + signal
  return self.status
end

function Process:wait(seconds)
  return M.wait_until("process " .. self.pid .. " ends", function()
    return self:poll()
  end, seconds)
end

--- To a process that is no child of the test's own.
function M.signal(pid, name)
  ffi.C.kill(pid, M.SIGNALS[name])
end

function Process:signal(name)
  if not self:poll() then
    ffi.C.kill(self.pid, M.SIGNALS[name])
  end
end

--- Ends it for certain.
function Process:destroy()
  self:signal("KILL")
  return self:wait()
end

--- Runs a program to its end.
---@param argv string[]
---@return table { status, out, err }
function M.run(argv, seconds)
  local folder = M.temp_folder()
  local process = M.start(argv, folder .. "/out", folder .. "/err")
  local ok, status = pcall(process.wait, process, seconds)
  if not ok then
    process:destroy()
  end
  local result = { status = status, out = M.read_file(process.out), err = M.read_file(process.err) }
  M.remove_folder(folder)
  assert(ok, status)
  return result
end

local function proc_number(pid, file, pattern)
  local text = M.read_file("/proc/" .. pid .. "/" .. file)
  return text and tonumber(text:match(pattern))
end

---@return integer resident kilobytes
function M.rss_kb(pid)
  return proc_number(pid, "status", "VmRSS:%s*(%d+)")
end

---@return integer soft, integer hard limit of open files
function M.open_files_limit(pid)
  local text = M.read_file("/proc/" .. pid .. "/limits")
  local soft, hard = text:match("Max open files%s+(%d+)%s+(%d+)")
  return tonumber(soft), tonumber(hard)
end

---@return integer descriptors open in the process
function M.descriptors(pid)
  return folders.count("/proc/" .. pid .. "/fd") or 0
end

return M
