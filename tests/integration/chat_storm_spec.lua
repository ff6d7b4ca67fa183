--- A chat through good and broken reloads and killed workers, with members that come and go: each
--- member that is left has had each message of its rooms once, in its sender's order.
--- CHAT_STORM_SECONDS is how long (default 4), CHAT_STORM_SEED what is drawn.
local socket = require("socket")
local process = require("support.process")
local servers = require("support.server")
local services = require("support.service")
local websocket = require("support.websocket")

local SECONDS = tonumber(os.getenv("CHAT_STORM_SECONDS")) or 4
local SEED = tonumber(os.getenv("CHAT_STORM_SEED")) or os.time()
local WORKERS, MEMBERS, ROOMS = 3, 18, 4
local EVENT_APART = 0.2 -- seconds between two events, at least
local PATIENCE = 20 -- seconds, for what is to come in the end

-- Each member is in two rooms. What it says is published to one of them, then acknowledged with a
-- count that lives in its state.
local LINES = [[
app:websocket("/chat/:name", { name = "chat", idle = 120 }, {
  open = function(ws, ctx)
    ws.state.count = 0
    ws:send("welcome") -- first: what comes with the second room may be for the first one
    ws:subscribe("room:" .. ctx.query.a)
    ws:subscribe("room:" .. ctx.query.b)
  end,
  message = function(ws, data)
    local room, text = data:match("^(%%d+) (.*)$")
    ws.state.count = ws.state.count + 1
    ws:publish("room:" .. room, ws.params.name .. " " .. text, { self = true })
    ws:send("said " .. ws.state.count .. " " .. %q)
  end,
})
]]

local function lines_of(word)
  return LINES:format(word)
end

-- --- members ---

-- A message is a table { text =, room =, said = }. Who is to have it has { message =, must = } in
-- the list `due` of its sender; it may come, or not, to who came while it was on its way.
local function expect(member, sender, message, must)
  local list = member.due[sender] or {}
  member.due[sender] = list
  list[#list + 1] = { message = message, must = must }
end

local function expect_what_is_under_way(storm, member)
  for _, message in ipairs(storm.orphans) do
    if member.rooms[message.room] then
      expect(member, message.text:match("^(%S+)"), message, false)
    end
  end
  for _, other in ipairs(storm.members) do
    for _, message in ipairs(other.unanswered) do
      if member.rooms[message.room] then
        expect(member, other.name, message, false)
      end
    end
  end
end

local function new_member(storm)
  storm.names = storm.names + 1
  local name = "m" .. storm.names
  local rooms = { math.random(ROOMS), math.random(ROOMS) }
  local ok, ws = pcall(function()
    return websocket.open(storm.service:connect(),
      ("/chat/%s?a=%d&b=%d"):format(name, rooms[1], rooms[2]))
  end)
  local welcome = ok and ws and ws:receive()
  if not welcome then
    return -- its worker was killed meanwhile
  end
  assert(welcome == "welcome", welcome)
  ws.conn.sock:settimeout(0)
  local member = { name = name, ws = ws, sock = ws.conn.sock, buffer = ws.conn:unread(),
    rooms = { [rooms[1]] = true, [rooms[2]] = true }, due = {}, unanswered = {}, said = 0,
    answered = 0 }
  expect_what_is_under_way(storm, member)
  storm.members[#storm.members + 1] = member
  storm.by_sock[member.sock], storm.is_there[name] = member, true
end

local function remove(storm, member)
  storm.by_sock[member.sock], storm.is_there[member.name] = nil, nil
  for i, each in ipairs(storm.members) do
    if each == member then
      table.remove(storm.members, i)
    end
  end
  member.sock:close()
end

local function say(storm, member)
  member.said = member.said + 1
  local rooms = {}
  for room in pairs(member.rooms) do
    rooms[#rooms + 1] = room
  end
  table.sort(rooms)
  local room = rooms[math.random(#rooms)]
  local message = { text = member.name .. " " .. member.said, room = room, said = false }
  if not member.sock:send(websocket.frame(room .. " " .. member.said)) then
    return -- it is seen to have ended when it is read
  end
  member.unanswered[#member.unanswered + 1] = message
  for _, each in ipairs(storm.members) do
    if each.rooms[room] then
      expect(each, member.name, message, true)
    end
  end
end

-- What was not acknowledged may have been lost with its sender's worker.
local function must_come(storm, due)
  return due.must and (due.message.said or storm.is_there[due.message.text:match("^(%S+)")])
end

local function hear(storm, member, text)
  local list = member.due[text:match("^(%S+)")] or {}
  while list[1] and list[1].message.text ~= text do
    local skipped = table.remove(list, 1)
    assert(not must_come(storm, skipped), ("%s heard %q before %q"):format(member.name, text,
      skipped.message.text))
  end
  assert(list[1], ("%s heard %q, which it was told already, or never was to be"):format(
    member.name, text))
  table.remove(list, 1)
  storm.counts.heard = storm.counts.heard + 1
end

local function acknowledge(storm, member, count, word)
  assert(tonumber(count) == member.answered + 1,
    ("%s: the state counts %s behind %d"):format(member.name, count, member.answered))
  assert(storm.words[word], "nobody wrote " .. word)
  member.answered = member.answered + 1
  table.remove(member.unanswered, 1).said = true
end

local function take_messages(storm, member)
  local at = 1
  while true do
    local first, n = member.buffer:byte(at, at + 1)
    if not n or #member.buffer < at + 1 + n then
      break
    end
    assert(first == 129 and n < 126, ("%s got a frame that begins with %d, %d: %q"):format(
      member.name, first, n, member.buffer:sub(at, at + 40)))
    local text = member.buffer:sub(at + 2, at + 1 + n)
    at = at + 2 + n
    local count, word = text:match("^said (%d+) (%S+)$")
    if count then
      acknowledge(storm, member, count, word)
    else
      hear(storm, member, text)
    end
  end
  member.buffer = member.buffer:sub(at)
end

local function read(storm, member)
  local data, err, partial = member.sock:receive(65536)
  member.buffer = member.buffer .. (data or partial or "")
  take_messages(storm, member)
  if err == "closed" then
    for _, message in ipairs(member.unanswered) do
      storm.orphans[#storm.orphans + 1] = message
    end
    remove(storm, member)
  end
end

local function listen(storm, seconds)
  local socks = {}
  for i, member in ipairs(storm.members) do
    socks[i] = member.sock
  end
  for _, sock in ipairs((socket.select(socks, nil, seconds))) do
    read(storm, storm.by_sock[sock])
  end
end

-- --- what happens to them ---

local function reload(storm, app)
  local out = os.tmpname()
  storm.service:write("lua/app.lua", app)
  storm.children[#storm.children + 1] = {
    process = process.start({ servers.BINARY, "reload", storm.service.conf }, out, out), out = out,
  }
end

local EVENTS = {
  function(storm)
    storm.counts.reloads = storm.counts.reloads + 1
    local word = "w" .. storm.counts.reloads
    storm.words[word] = true
    reload(storm, services.app(word, lines_of(word)))
  end,
  function(storm)
    reload(storm, "x = = 1")
  end,
  function(storm)
    local pid = storm.service:pids()[math.random(WORKERS)]
    if pid then
      storm.counts.kills = storm.counts.kills + 1
      os.execute("kill -9 " .. pid .. " 2>/dev/null")
    end
  end,
  function(storm) -- one leaves
    local member = storm.members[math.random(#storm.members)]
    if member and #member.unanswered == 0 then
      remove(storm, member)
    end
  end,
}

-- A busy machine takes longer for enough of everything.
local function has_raged(storm, since)
  local c, lasted = storm.counts, socket.gettime() - since
  return lasted > SECONDS + PATIENCE
    or lasted > SECONDS and c.heard > 50 * SECONDS and c.kills > 0 and c.reloads > 0
end

local function rage(storm)
  local since, next_event, turn = socket.gettime(), socket.gettime() + EVENT_APART, 0
  while not has_raged(storm, since) do
    if #storm.members < MEMBERS then
      new_member(storm)
    end
    for _ = 1, math.random(4) do
      local member = storm.members[math.random(#storm.members)]
      if member and #member.unanswered < 8 then
        say(storm, member)
      end
    end
    listen(storm, 0.002)
    if socket.gettime() > next_event then
      turn = turn + 1
      EVENTS[turn % #EVENTS + 1](storm)
      next_event = socket.gettime() + EVENT_APART
    end
  end
end

-- What is still to come.
local function missing(storm)
  local texts = {}
  for _, member in ipairs(storm.members) do
    for _, list in pairs(member.due) do
      for _, due in ipairs(list) do
        if must_come(storm, due) then
          texts[#texts + 1] = ("%s: %q"):format(member.name, due.message.text)
        end
      end
    end
  end
  return texts
end

local function settle(storm)
  local ends = socket.gettime() + PATIENCE
  while #missing(storm) > 0 and socket.gettime() < ends do
    listen(storm, 0.05)
  end
  assert.same({}, missing(storm))
  for _, child in ipairs(storm.children) do
    child.process:wait(60)
    os.remove(child.out)
  end
  for _, member in ipairs(storm.members) do
    member.sock:close()
  end
end

describe("a chat in a storm", function()
  it("loses and repeats nothing (seed " .. SEED .. ")", function()
    math.randomseed(SEED)
    local storm = { names = 0, members = {}, by_sock = {}, is_there = {}, orphans = {},
      children = {}, words = { w0 = true }, counts = { heard = 0, kills = 0, reloads = 0 } }
    storm.service = services.start({ workers = WORKERS,
      log = { level = "warn", file = "stderr", access = false } }, "w0", lines_of("w0"))
    rage(storm)
    settle(storm)
    storm.service:stop()
    local c = storm.counts
    assert.is_true(c.heard > 50 * SECONDS, "only " .. c.heard .. " messages were heard")
    assert.is_true(c.kills > 0 and c.reloads > 0)
  end)
end)
