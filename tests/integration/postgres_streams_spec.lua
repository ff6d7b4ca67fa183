--- What flows in and out of PostgreSQL piece by piece: rows, COPY both ways, channels. Memory stays
--- flat, what is left in the middle leaves nothing behind, what is lost is told.
local json = require("dkjson")
local postgres = require("support.postgres")
local process = require("support.process")
local servers = require("support.server")
local services = require("support.service")
local wire = require("support.wire")

-- In the suite a small run; `make endurance` runs it whole.
local ROWS = tonumber(os.getenv("POSTGRES_ROWS")) or 100000
local COPIED = ROWS / 10 -- the whole of it: 100,000
local GROWTH_KB = servers.BINARY:find("asan", 1, true) and 200000 or 8 * 1024

local LINES = [[
app:get("/rows/:n", { timeout = 600 }, function(ctx)
  local n, sum = 0, 0
  for row in ctx:database():rows("SELECT i, repeat('x', 100) AS x FROM generate_series(1, "
    .. "$1::int) AS i", ctx.params.n) do
    n, sum = n + 1, sum + row.i
  end
  return { n = n, sum = sum, memory = collectgarbage("count") }
end)

-- What the server still had to say is behind rows that nobody has read.
app:get("/torn", { timeout = 20 }, function(ctx)
  local db, n = ctx:database(), 0
  local _, err = pcall(function()
    for _ in db:rows("SELECT repeat('x', 1000) FROM generate_series(1, 100000)") do
      n = n + 1
      if n == 300 then
        db:query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
          .. "pid <> pg_backend_pid() AND application_name = 'moongate'"):await()
      end
    end
  end)
  return err.code .. ": " .. err.message
end)

app:get("/copy", { timeout = 600 }, function(ctx)
  ctx:stream("text/plain", function(out)
    for bytes in ctx:database():copy_out(ctx.query.sql) do
      out:write(bytes)
    end
  end)
end)

app:post("/copy", { timeout = 600, body = "256M" }, function(ctx)
  local copy = ctx:database():copy_in(ctx.query.sql)
  for bytes in ctx:chunks() do
    copy:write(bytes)
  end
  return { n = copy:finish():await() }
end)

app:post("/fill/:n", { timeout = 600 }, function(ctx)
  local copy = ctx:database():copy_in("COPY t FROM STDIN")
  local text = ("y"):rep(90)
  for i = 1, ctx.params.n do
    copy:row(i, text)
  end
  return { n = copy:finish():await() }
end)

app:post("/values", { timeout = 20 }, function(ctx)
  local db = ctx:database()
  local copy = db:copy_in("COPY t FROM STDIN")
  copy:row(1, "a\tb\nc\\d\re", true, moongate.blob("\0\255"), 0.1)
  copy:row(moongate.json.decode("9223372036854775807"), nil, false, moongate.json.null, 1e300)
  assert(copy:finish():await() == 2)
  local _, err = pcall(copy.write, copy, "more")
  assert(err.message == "the copy was finished or closed", err.message)
  local rows = db:query("SELECT * FROM t ORDER BY a"):await()
  assert(rows[1].b == "a\tb\nc\\d\re" and rows[1].c == true and rows[1].d == "\0\255"
    and rows[1].e == 0.1)
  assert(rows[2].a == 9223372036854775807LL and rows[2].b == moongate.json.null
    and rows[2].d == moongate.json.null and rows[2].e == 1e300)
  return "as they were"
end)

app:post("/given-up", { timeout = 20 }, function(ctx)
  local copy = ctx:database():copy_in("COPY t (a) FROM STDIN")
  for i = 1, 20000 do
    copy:row(i)
  end
  if ctx.query.how == "raise" then
    error("on purpose")
  elseif ctx.query.how == "close" then
    copy:close()
  end
  return "given up"
end)

-- How many are written is larger than what is gathered before anything is sent.
app:post("/unawaited", { timeout = 20 }, function(ctx)
  local copy = ctx:database():copy_in("COPY t (a) FROM STDIN")
  for i = 1, 20000 do
    copy:row(i)
  end
  copy:finish()
  return "finishing"
end)

app:post("/unfinished/:n", { timeout = 20 }, function(ctx)
  local _, err = ctx:transaction(function(tx)
    local copy = tx:copy_in("COPY t (a) FROM STDIN")
    for i = 1, ctx.params.n do
      copy:row(i)
    end
  end):try_await()
  return err.where .. ": " .. err.message
end)

app:post("/replace", { timeout = 20 }, function(ctx)
  local told, err = ctx:transaction(function(tx)
    tx:query("DELETE FROM t"):await()
    local copy = tx:copy_in("COPY t FROM STDIN")
    for i = 1, 20000 do
      copy:row(i)
    end
    local n = copy:finish():await()
    local bytes = 0
    for piece in tx:copy_out("COPY t TO STDOUT") do
      bytes = bytes + #piece
      if ctx.query.how == "leave" then
        break
      end
    end
    if ctx.query.how == "raise" then
      error("on purpose")
    end
    return n .. " " .. bytes
  end):try_await()
  return told or tostring(err)
end)

app:post("/faulty", { timeout = 20 }, function(ctx)
  local copy = ctx:database():copy_in("COPY t (a) FROM STDIN")
  copy:write("1\nx\n")
  local _, err = copy:finish():try_await()
  return { sqlstate = err.sqlstate, where = err.where }
end)

app:post("/notify", { timeout = 20 }, function(ctx)
  ctx:database():notify("news", ctx:body():await()):await()
  return "told"
end)

app:get("/news", function(ctx)
  ctx:stream("text/plain", function(out)
    local notes = ctx:database():listen("news")
    notes:ready():await()
    out:write("listens\n")
    for note in notes do
      out:write((note.missed and "missed" or note.channel .. ": " .. note.payload) .. "\n")
    end
  end)
end)
]]

local function escape(sql)
  return (sql:gsub("[^%w]", function(c)
    return ("%%%02X"):format(c:byte())
  end))
end

describe("PostgreSQL's streams", function()
  local database, service

  setup(function()
    database = postgres.start()
    service = services.start({ database = database:url("pool=2"), workers = 1,
      timeouts = { handler = 600, send = 600 } }, "one", LINES)
  end)
  teardown(function()
    service:stop()
    database:stop()
  end)
  before_each(function()
    database:sql("DROP TABLE IF EXISTS t")
  end)

  local function memory()
    local text = process.read_file("/proc/" .. service:pids()[1] .. "/status")
    return tonumber(text:match("VmHWM:%s*(%d+)"))
  end

  -- Nobody holds a connection, and nothing of COPY runs on.
  local function assert_clean()
    process.wait_until("nothing runs", function()
      return database:sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = "
        .. "'moongate' AND state <> 'idle'") == "0\n"
    end)
    assert.equal(10, json.decode(service:request(wire.get("/rows/10")).body).n)
  end

  it("reads rows of any number in flat memory", function()
    service:request(wire.get("/rows/20000"))
    local before = memory()
    local told = json.decode(service:request(wire.get("/rows/" .. ROWS)).body)
    assert.equal(ROWS, told.n)
    assert.equal(ROWS * (ROWS + 1) / 2, told.sum)
    assert.is_true(memory() - before < GROWTH_KB, memory() - before .. " KiB more")
  end)

  it("says in one line where a connection was lost", function()
    local said = service:body("/torn")
    assert.matches("^closed: postgres://127.0.0.1:%d+/postgres: the connection was lost while the "
      .. "statement was under way, whose outcome is not known: server closed the connection "
      .. "unexpectedly This probably", said)
    assert.is_nil(said:find("\n", 1, true))
    assert_clean()
  end)

  it("copies out and in what it was given", function()
    database:sql("CREATE TABLE t (i int, s text)")
    database:sql(("INSERT INTO t SELECT i, repeat('y', 90) FROM generate_series(1, %d) AS i")
      :format(COPIED))
    local before = memory()
    local res = service:request(wire.get("/copy?sql=" .. escape("COPY t TO STDOUT")))
    assert.equal(200, res.status)
    assert.equal(COPIED, select(2, res.body:gsub("\n", "")))
    database:sql("TRUNCATE t")
    local back = service:request(wire.post("/copy?sql=" .. escape("COPY t FROM STDIN"), res.body))
    assert.same({ n = COPIED }, json.decode(back.body))
    local all = ("%.0f|%d\n"):format(COPIED * (COPIED + 1) / 2, COPIED * 90)
    assert.equal(all, database:sql("SELECT sum(i), sum(length(s)) FROM t"))
    assert.is_true(memory() - before < GROWTH_KB, memory() - before .. " KiB more")
    assert_clean()
    database:sql("TRUNCATE t")
    back = service:request(wire.post("/fill/" .. COPIED, ""))
    assert.same({ n = COPIED }, json.decode(back.body))
    assert.equal(all, database:sql("SELECT sum(i), sum(length(s)) FROM t"))
    assert.is_true(memory() - before < GROWTH_KB, memory() - before .. " KiB more")
  end)

  it("writes values as rows", function()
    database:sql("CREATE TABLE t (a bigint, b text, c boolean, d bytea, e float8)")
    assert.equal("as they were", service:request(wire.post("/values", "")).body)
  end)

  it("keeps nothing of a copy that was not finished", function()
    database:sql("CREATE TABLE t (a int)")
    for _, how in ipairs({ "raise", "close", "forget" }) do
      service:request(wire.post("/given-up?how=" .. how, ""))
      assert_clean()
      assert.equal("0\n", database:sql("SELECT count(*) FROM t"))
    end
    service:wait_for_log("lua/app.lua:%d+: nothing of 20000 rows was stored: the copy was never "
      .. "finished")
    assert.equal(1, select(2, service:stderr():gsub("was never finished", "")))
    for _, n in ipairs({ 1, 20000 }) do
      assert.matches("lua/app.lua:%d+: nothing of " .. n .. " rows? was stored", service:request(
        wire.post("/unfinished/" .. n, "")).body)
      assert_clean()
    end
    assert.equal("0\n", database:sql("SELECT count(*) FROM t"))
    local told = json.decode(service:request(wire.post("/faulty", "")).body)
    assert.equal("22P02", told.sqlstate)
    assert.matches("lua/app.lua:%d+$", told.where)
    assert_clean()
  end)

  it("finishes a copy though nobody awaits that", function()
    database:sql("CREATE TABLE t (a int)")
    assert.equal("finishing", service:request(wire.post("/unawaited", "")).body)
    process.wait_until("all is there", function()
      return database:sql("SELECT count(*) FROM t") == "20000\n"
    end)
    assert_clean()
  end)

  it("copies in a transaction, both ways, and keeps it with that", function()
    database:sql("CREATE TABLE t (a int)")
    database:sql("INSERT INTO t VALUES (7)")
    for how, said in pairs({ raise = "on purpose", leave = "rolled back" }) do
      assert.matches(said, service:request(wire.post("/replace?how=" .. how, "")).body)
      assert_clean()
      assert.equal("7\n", database:sql("SELECT * FROM t"))
    end
    assert.equal("20000 108894", service:request(wire.post("/replace", "")).body)
    assert_clean()
    assert.equal("200010000\n", database:sql("SELECT sum(a) FROM t"))
  end)

  it("stops a copy whose reader leaves or is slow", function()
    local sql = "COPY (SELECT repeat('z', 1000), generate_series(1, 100000000)) TO STDOUT"
    local before = memory()
    local conn = service:connect()
    conn:send(wire.get("/copy?sql=" .. escape(sql)))
    process.wait_until("it runs", function()
      return database:sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%' "
        .. "AND wait_event = 'ClientWrite'") == "1\n" -- it waits for whoever does not read
    end)
    assert.is_true(memory() - before < GROWTH_KB, memory() - before .. " KiB more")
    conn:close()
    assert_clean()
  end)

  it("takes what a client uploads at the server's pace, or not at all", function()
    database:sql("CREATE TABLE t (s text)")
    local conn = service:connect()
    conn:send("POST /copy?sql=" .. escape("COPY t FROM STDIN")
      .. " HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n" .. ("w"):rep(200000))
    process.wait_until("it is copied", function()
      return database:sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY t%' "
        .. "AND state = 'active'") == "1\n"
    end)
    conn:close()
    assert_clean()
    assert.equal("0\n", database:sql("SELECT count(*) FROM t"))
  end)

  it("hears of channels, and says when it may have missed something", function()
    local conn = service:connect()
    conn:send(wire.get("/news"))
    while conn:take_line() ~= "" do
    end
    local function expect(text)
      local chunk = conn:take(tonumber(conn:take_line(), 16))
      conn:take_line()
      assert.equal(text, chunk)
    end
    expect("listens\n")
    assert.equal("told", service:request(wire.post("/notify", "hello")).body)
    expect("news: hello\n")
    database:sql("NOTIFY news, 'from elsewhere'")
    expect("news: from elsewhere\n")
    database:halt("fast")
    database:start()
    expect("missed\n")
    database:sql("NOTIFY news, 'again'")
    expect("news: again\n")
    conn:finish_sending() -- the server that was started meanwhile has a copy of the socket
    conn:close()
    process.wait_until("nobody listens", function()
      return database:sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'UNLISTEN%'")
        == "1\n"
    end)
  end)
end)
