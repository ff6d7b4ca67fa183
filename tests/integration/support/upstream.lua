--- Servers for the gateway's HTTP client to call: HTTP, HTTPS, raw bytes, and a DNS server.
local json = require("dkjson")
local folders = require("support.folder")
local process = require("support.process")
local wire = require("support.wire")
local M = {}

local KEPT = os.getenv("KEPT_FOLDER") -- tests/run.sh makes and removes it
local PROGRAM = "tests/integration/support/upstream"

-- --- one listener ---

local Listener = {}
Listener.__index = Listener

--- An absolute URL on it.
function Listener:url(target)
  local host = self.host:find(":", 1, true) and "[" .. self.host .. "]" or self.host
  return ("%s://%s:%d%s"):format(self.kind:find("s$") and "https" or "http", host, self.port,
    target)
end

--- What it has seen: { connections, open, resets, requests = { ... } }. A request has connection,
--- method, url, state ("open", "answered", "aborted") and tls; of a raw listener connection, head
--- and body.
function Listener:seen()
  return self.upstream:command("seen", { id = self.id })
end

--- Begins counting anew; open connections stay.
function Listener:forget()
  self.upstream:command("forget", { id = self.id })
end

--- Closes all connections that it has.
function Listener:drop_connections()
  self.upstream:command("drop_idle", { id = self.id })
end

--- Stops listening.
function Listener:close()
  self.upstream:command("close", { id = self.id })
end

function Listener:wait_until(what, condition)
  return process.wait_until(what, function()
    return condition(self:seen())
  end)
end

--- For the next case: no connection is open, nothing was seen.
function Listener:begin_anew()
  self:drop_connections()
  self:wait_until_left()
  self:forget()
end

--- Waits until its last request is in that state.
function Listener:wait_for_state(state)
  self:wait_until("a request is " .. state, function(seen)
    local last = seen.requests[#seen.requests]
    return last and last.state == state
  end)
end

--- Waits until no connection to it is open.
function Listener:wait_until_left()
  self:wait_until("the gateway has closed its connections", function(seen)
    return seen.open == 0
  end)
end

local function hex(bytes)
  return (bytes:gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end))
end

local function steps(part)
  local list = {}
  for i, step in ipairs(type(part) == "table" and part or { part }) do
    if type(step) == "string" then
      step = { send = step }
    end
    list[i] = { hex = step.send and hex(step.send), times = step.times, slowly = step.slowly,
      wait_ms = step.wait_ms, ["end"] = step["end"], reset = step.reset }
  end
  return list
end

--- Of a raw listener: how requests for `path` are answered, the first of a connection by the first
--- part, and so on; the last part serves all further ones. A part is a string, or a list of strings
--- and steps: { send, times, slowly }, { wait_ms }, { ["end"] }, { reset }.
---@param options table|nil answer_at = "head": before the request's body has come
function Listener:script(path, parts, options)
  local list = {}
  for i, part in ipairs(type(parts) == "table" and parts or { parts }) do
    list[i] = steps(part)
  end
  self:call("script", path, { parts = list, answer_at = options and options.answer_at })
end

-- Something that a listener of that kind can do.
function Listener:call(name, ...)
  return self.upstream:command("call", { id = self.id, name = name, args = { ... } })
end

--- Of a fickle listener: which faults happen from now on, each with its share of the requests (see
--- upstream/fickle.js).
function Listener:set_faults(faults)
  self:call("set_faults", faults)
end

--- Of a fickle listener: { total, different, repeated = { { key = "METHOD ID", times } } } by the
--- requests' X-Id. Of a counting one: { total, requests, malformed: what was no request }.
function Listener:counts()
  return self:call("counts")
end

-- --- the process ---

local Upstream = {}
Upstream.__index = Upstream

function Upstream:command(name, options)
  local conn = wire.connect("127.0.0.1", self.control)
  local res = conn:request(wire.post("/" .. name, json.encode(options or {})))
  conn:close()
  assert(res.status == 200, res.body)
  return (json.decode(res.body))
end

--- Opens a listener of its own counts.
---@param options table kind: "http", "https", "h2" (HTTP/2), "h2s" (either, over TLS), "raw",
---  "fickle" or "counting"; host (127.0.0.1), port; path: of a Unix socket instead; cert:
---  "good", "expired", "elsewhere" or "unknown";
---  clients_of: the authority ("ca") of which clients need a certificate; alpn: list;
---  max_version; keep_alive_ms: idle connections are closed after that; greeting: the first
---  bytes of a raw one; of a fickle one name, seed, faults, most_bytes (of an answer), within_ms
function Upstream:listen(options)
  local wanted = {}
  for k, v in pairs(options) do
    wanted[k] = v
  end
  wanted.greeting = options.greeting and hex(options.greeting)
  local opened = self:command("listen", wanted)
  return setmetatable({ upstream = self, id = opened.id, port = opened.port, kind = options.kind,
    host = options.host or "127.0.0.1", path = options.path }, Listener)
end

--- Sets all names that the DNS server knows: name -> { A = list, AAAA = list, CNAME, ttl, rcode,
--- wait_ms, silent = true or a type }. Forgets the questions asked so far.
function Upstream:names(zone)
  self:command("names", zone)
end

--- How often each "name TYPE" was asked for.
function Upstream:questions()
  return self:command("questions")
end

--- The path of a certificate or key in PEM.
function Upstream:pem(name)
  return self.folder .. "/" .. name .. ".pem"
end

function Upstream:stop()
  local died = self.process:poll() and process.read_file(self.process.err)
  self.process:signal("TERM")
  self.process:wait()
  process.remove_folder(self.folder)
  assert(not died, died)
end

local function ports_when_ready(started)
  return process.wait_until("the upstream is ready", function()
    local status = started:poll()
    assert(not status, "the upstream ended: " .. process.read_file(started.err))
    return (json.decode(process.read_file(started.out)))
  end)
end

--- Writes the certificates into a folder. A whole run makes them once: it takes twenty processes.
function M.write_certificates(folder)
  local kept = KEPT and KEPT .. "/certificates"
  local made = kept and folders.count(kept) and folders.read(kept)
  if made then
    return folders.write(folder, made)
  end
  local said = process.run({ "sh", PROGRAM .. "/certificates.sh", folder })
  assert(said.status == 0, process.read_file(folder .. "/openssl.log"))
  if kept then
    local fresh = process.temp_folder()
    folders.write(fresh, folders.read(folder))
    if not os.rename(fresh, kept) then -- another runner was quicker
      folders.remove(fresh)
    end
  end
end

---@return table folder; nameservers: for the configuration's `http`
function M.start()
  local folder = process.temp_folder()
  M.write_certificates(folder)
  local started = process.start({ "node", PROGRAM .. "/main.js", folder }, folder .. "/out",
    folder .. "/err")
  local ok, ports = pcall(ports_when_ready, started)
  if not ok then
    started:destroy()
    process.remove_folder(folder)
    error(ports, 0)
  end
  return setmetatable({ process = started, folder = folder, control = ports.control,
    nameservers = "127.0.0.1:" .. ports.dns }, Upstream)
end

return M
