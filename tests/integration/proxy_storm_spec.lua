--- The proxy through a mix of upstreams' faults, reloads and killed workers: every answer that a
--- client gets whole is one that an upstream sent for that very request. PROXY_STORM_SECONDS is how
--- long (default 6).
local socket = require("socket")
local process = require("support.process")
local proxy = require("support.proxy")
local servers = require("support.server")
local upstreams = require("support.upstream")
local wire = require("support.wire")

local SECONDS = tonumber(os.getenv("PROXY_STORM_SECONDS")) or 6
local CONNECTIONS = 12
local NAMES = { "one", "two", "three" }
local PATIENCE = 4 -- seconds for an answer; the gateway's own are shorter

local LETTERS = ("abcdefghijklmnopqrstuvwxyz"):rep(200)

-- Every kind of fault, alone and together.
local FAULTS = {
  {}, { idle_close = 0.3, stale = 0.2 }, { idle_reset = 0.3, stale = 0.2 }, { fresh = 0.3 },
  { cut = 0.3 }, { both_framings = 0.3 }, { garbage = 0.3 }, { freeze = 0.1 }, { drip = 0.5 },
  { unavailable = 0.3 },
  { idle_close = 0.1, stale = 0.1, fresh = 0.05, cut = 0.1, both_framings = 0.05, garbage = 0.05,
    freeze = 0.02, drip = 0.1, unavailable = 0.1 },
}

-- The answer to request `id` is right in itself, and that server did see it.
local function check_answer(storm, res, id, method, body_bytes)
  local counts = storm.counts
  local name = res.headers["x-server"]
  if not name then -- the gateway's own
    assert(res.status == 502 or res.status == 503 or res.status == 504, res.status)
    counts.refused = counts.refused + 1
    return
  end
  local listener = assert(storm.by_name[name], "no upstream is called " .. name)
  local first, content = res.body:match("^([^\n]*)\n(.*)$")
  local size = tonumber((first or ""):match("(%d+)$"))
  local wanted = ("%s %s %s %d %d"):format(name, id, method, body_bytes, size or -1)
  assert(first == wanted, ("%s was answered %q, not %q"):format(id, tostring(first), wanted))
  assert(content == LETTERS:sub(1, size), id .. ": the content is not what was sent")
  storm.seen_by[#storm.seen_by + 1] = { listener, method .. " " .. id }
  counts.answers = counts.answers + 1
end

local function exchange(storm, conn, n)
  local id = "r" .. n
  local prefix = n % 2 == 0 and "/lua" or ""
  local method = n % 3 == 0 and "POST" or "GET"
  local body = method == "POST" and ("b"):rep(n % 50) or ""
  local target = prefix .. "/item/" .. n
  conn:send(method == "GET" and wire.get(target, "X-Id: " .. id)
    or wire.post(target, body, "X-Id: " .. id))
  conn.sock:settimeout(PATIENCE)
  local ok, res = pcall(conn.read, conn, method)
  if not ok then -- cut off, or its worker was killed
    storm.counts.lost = storm.counts.lost + 1
    return false
  end
  check_answer(storm, res, id, method, #body)
  return res.headers.connection ~= "close"
end

local function reload(storm)
  local out = os.tmpname()
  storm.counts.reloads = storm.counts.reloads + 1
  -- The third server comes and goes.
  local list = { storm.listeners[1], storm.listeners[2] }
  list[3] = storm.counts.reloads % 2 == 0 and storm.listeners[3] or nil
  list.timeouts, list.retries = storm.options.timeouts, storm.options.retries
  storm.gateway:configure({ upstreams = { up = proxy.upstream(list) } })
  storm.children[#storm.children + 1] = {
    process = process.start({ servers.BINARY, "reload", storm.gateway.conf }, out, out), out = out,
  }
end

local function kill(storm)
  local pid = storm.gateway:pids()[math.random(2)]
  if pid then
    storm.counts.kills = storm.counts.kills + 1
    os.execute("kill -9 " .. pid .. " 2>/dev/null")
  end
end

local function new_faults(storm)
  storm.listeners[math.random(#storm.listeners)]:set_faults(FAULTS[math.random(#FAULTS)])
end

local EVENTS = { reload, kill, new_faults, new_faults, new_faults, new_faults }

local function ask_all(storm, conns, n)
  for i = 1, CONNECTIONS do
    n = n + 1
    local conn = conns[i] or storm.gateway:connect()
    if not exchange(storm, conn, n) then
      conn:close()
      conn = nil
    end
    conns[i] = conn or false
  end
  return n
end

local function rage(storm)
  local conns, n = {}, 0
  local ends, next_event = socket.gettime() + SECONDS, 0
  while socket.gettime() < ends do
    if socket.gettime() > next_event then
      EVENTS[math.random(#EVENTS)](storm)
      next_event = socket.gettime() + 0.15
    end
    n = ask_all(storm, conns, n)
  end
  for _, conn in ipairs(conns) do
    if conn then
      conn:close()
    end
  end
end

local function settle(storm)
  for _, child in ipairs(storm.children) do
    child.process:wait(60)
    os.remove(child.out)
  end
  for _, listener in ipairs(storm.listeners) do
    listener:set_faults({})
  end
  process.wait_until("it serves again", function()
    local conn = storm.gateway:connect()
    conn.sock:settimeout(PATIENCE)
    local ok, res = pcall(conn.request, conn, wire.get("/item/last", "X-Id: last"))
    conn:close()
    return ok and res.status == 200
  end)
end

describe("a storm of faults, reloads and killed workers", function()
  it("mixes no answers up", function()
    local upstream = upstreams.start()
    local storm = { counts = { answers = 0, refused = 0, lost = 0, kills = 0, reloads = 0 },
      listeners = {}, by_name = {}, seen_by = {}, children = {},
      options = { timeouts = { first_byte = 0.5, idle = 0.5, connect = 0.5 },
        retries = { count = 1 } } }
    for i, name in ipairs(NAMES) do
      local listener = upstream:listen({ kind = "fickle", name = name, seed = i, within_ms = 3 })
      storm.listeners[i], storm.by_name[name] = listener, listener
    end
    local up = { unpack(storm.listeners) }
    up.timeouts, up.retries = storm.options.timeouts, storm.options.retries
    proxy.with(up, { workers = 2, log = { level = "error", file = "stderr", access = false } },
      function(gateway)
        storm.gateway = gateway
        rage(storm)
        settle(storm)
      end)
    for i, seen in ipairs(storm.seen_by) do
      if i % 20 == 0 then -- each is a question to the upstream
        assert.is_true(seen[1]:call("times", seen[2]).times >= 1, seen[2])
      end
    end
    -- A POST may be repeated on a fresh connection only if the upstream saw nothing of it.
    for _, listener in ipairs(storm.listeners) do
      for _, repeated in ipairs(listener:counts().repeated) do
        assert.is_nil(repeated.key:match("^POST"), repeated.key)
      end
    end
    upstream:stop()
    local c = storm.counts
    assert.is_true(c.answers > 50 * SECONDS / 6, "only " .. c.answers .. " answers")
    assert.is_true(c.kills + c.reloads > 0)
  end)
end)
