--- moongate migrate: numbered .sql files, each applied once; and the server that goes on meanwhile.
local servers = require("support.server")
local process = require("support.process")

local APP = [[
local moongate = require("moongate")
local app = moongate.app()
local holding = "no"
app:get("/names", function(ctx)
  return ctx:query_database("SELECT name FROM users ORDER BY id"):await()
end)
app:get("/hold", function(ctx)
  return ctx:transaction(function(tx)
    tx:query("INSERT INTO users (name) VALUES ('held')"):await()
    holding = "yes"
    ctx:sleep(1):await()
    return "held\n"
  end):await()
end)
app:get("/holding", function()
  return holding
end)
return app
]]

local USERS = [[
-- People; a semicolon in a comment is none.
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TRIGGER shout AFTER INSERT ON users BEGIN
  UPDATE users SET name = upper(name) WHERE id = new.id;
END;
]]

describe("moongate migrate", function()
  local folder

  local function put(name, text)
    process.write_file(folder .. "/lua/migrations/" .. name, text)
  end

  local function migrate(...)
    return process.run({ servers.BINARY, "migrate", folder .. "/conf/moongate.lua", ... })
  end

  local function config(database)
    process.write_file(folder .. "/conf/moongate.lua", servers.config_text({
      listen = { "127.0.0.1:1" }, app = "lua/app.lua", database = database,
    }))
  end

  before_each(function()
    folder = servers.project("")
    os.execute("mkdir '" .. folder .. "/lua/migrations'")
    config("sqlite:app.db")
    put("0001_users.sql", USERS)
  end)
  after_each(function()
    process.remove_folder(folder)
  end)

  local function assert_says(status, result, ...)
    assert.equal(status, result.status, result.out .. result.err)
    for _, piece in ipairs({ ... }) do
      local said = status == 0 and result.out or result.err
      assert(said:find(piece, 1, true), ("%q is not said:\n%s"):format(piece, said))
    end
  end

  it("applies each file once, in the order of their numbers", function()
    put("10_second.sql", "INSERT INTO users (name) VALUES ('b');")
    put("2_first.sql", "INSERT INTO users (name)\nVALUES ('a')")
    local result = migrate()
    assert_says(0, result, "3 applied")
    assert.matches("^0001_users.sql: applied\n2_first.sql: applied\n10_second.sql: applied\n",
      result.out)
    assert_says(0, migrate(), "is up to date")
    assert.is_nil(migrate().out:find("applied", 1, true))
    put("11_third.sql", "")
    assert_says(0, migrate(), "11_third.sql: applied\n", "1 applied")
  end)

  it("shows what is applied, pending, changed and gone, and changes nothing", function()
    assert_says(0, migrate("--status"), "pending              0001_users.sql")
    assert.is_nil(process.read_file(folder .. "/app.db"))
    put("0002_gone.sql", "SELECT 1;")
    migrate()
    os.remove(folder .. "/lua/migrations/0002_gone.sql")
    put("0003_next.sql", "SELECT 1;")
    local out = migrate("--status").out
    assert.matches("^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d  0001_users.sql\n"
      .. "pending              0003_next.sql\napplied, file gone   0002_gone.sql\n$", out)
    put("0001_users.sql", USERS .. "\n")
    assert_says(0, migrate("--status"), "0001_users.sql (changed since)")
  end)

  it("refuses a file that was applied and has changed, before it applies any other", function()
    migrate()
    put("0001_users.sql", USERS .. "\n")
    put("0002_next.sql", "SELECT 1;")
    assert_says(1, migrate(), "lua/migrations/0001_users.sql: it was applied on", "has changed")
    put("0001_users.sql", USERS)
    assert_says(0, migrate(), "0002_next.sql: applied")
  end)

  local faults = {
    ["a statement that is none"] = { "SELECT 1;\n\n-- next\nSELEC 2;\n", ":4: near \"SELEC\"" },
    ["a column that is not there"] = { "SELECT 1;\nSELECT id,\n  nme FROM users;",
      ":3: no such column" },
    ["a constraint"] = { "\n\nINSERT INTO users VALUES (1, NULL);", ":3: NOT NULL constraint" },
    ["an end of its transaction"] = { "SELECT 1;\nCOMMIT;", ":2: BEGIN, COMMIT and ROLLBACK" },
    ["a reference to nothing"] = { "CREATE TABLE pets (owner REFERENCES users);"
      .. "INSERT INTO pets VALUES (7);", ": rows of pets refer to rows that users has not" },
    ["bytes that are no text"] = { "SELECT 1;\0", ": a NUL byte" },
  }
  for what, fault in pairs(faults) do
    it("names file and line of " .. what .. ", and takes the whole file back", function()
      put("0002_bad.sql", "CREATE TABLE half (id);" .. fault[1])
      put("0003_after.sql", "CREATE TABLE after (id);")
      local result = migrate()
      assert_says(1, result, "lua/migrations/0002_bad.sql" .. fault[2])
      assert.equal("0001_users.sql: applied\n", result.out)
      assert_says(0, migrate("--status"), "pending              0002_bad.sql")
      put("0002_bad.sql", "CREATE TABLE half (id);")
      assert_says(0, migrate(), "2 applied")
    end)
  end

  it("refuses two files of one number, and a file without any", function()
    put("1_again.sql", "SELECT 1;")
    assert_says(1, migrate(), "0001_users.sql and 1_again.sql have the same number")
    os.remove(folder .. "/lua/migrations/1_again.sql")
    put("again.sql", "SELECT 1;")
    assert_says(1, migrate(), "again.sql: its name must begin with a number")
    os.remove(folder .. "/lua/migrations/again.sql")
    put("notes.txt", "left alone")
    assert_says(0, migrate(), "1 applied")
  end)

  it("says what is missing", function()
    config(nil)
    assert_says(1, migrate(), "database: there is no default, configured: none; as in database = ")
    config("sqlite::memory:")
    assert_says(1, migrate(), "in memory")
    config({ default = "sqlite:a.db", logs = "sqlite:logs.db" })
    assert_says(1, migrate("--database", "lgos"), 'configured: ', 'did you mean "logs"')
    assert_says(0, migrate("--database", "logs"), "logs.db is up to date: 1 applied")
    assert_says(1, migrate("--folder", folder .. "/none"), "/none: No such file or directory")
    config("sqlite:lua/app.lua/app.db")
    assert_says(1, migrate(), "app.lua/app.db: unable to open database file: Not a directory")
    config("sqlite:new/folder/app.db")
    assert_says(0, migrate(), "new/folder/app.db is up to date: 1 applied")
  end)

  it("makes what belongs to the workers' user", function()
    local pipe = assert(io.popen("id -u"))
    local root = pipe:read("*l") == "0"
    pipe:close()
    if not root then
      return pending("only root can become another user")
    end
    os.execute("chmod -R a+rX '" .. folder .. "'; mkdir -m 777 '" .. folder .. "/var'")
    process.write_file(folder .. "/conf/moongate.lua", servers.config_text({
      app = "lua/app.lua", user = "nobody", database = "sqlite:var/deep/app.db",
    }))
    assert_says(0, migrate(), "1 applied")
    pipe = assert(io.popen("stat -c %U '" .. folder .. "/var/deep/app.db'"))
    assert.equal("nobody", pipe:read("*l"))
    pipe:close()
  end)

  it("lets two of them run at once", function()
    for i = 2, 20 do
      put(i .. "_row.sql", "INSERT INTO users (name) VALUES ('" .. i .. "');")
    end
    local both = {}
    for i = 1, 2 do
      both[i] = process.start({ servers.BINARY, "migrate", folder .. "/conf/moongate.lua" },
        folder .. "/out" .. i, folder .. "/err" .. i)
    end
    for i = 1, 2 do
      assert.equal(0, both[i]:wait(), process.read_file(folder .. "/err" .. i))
    end
    local said = process.read_file(folder .. "/out1") .. process.read_file(folder .. "/out2")
    local _, count = said:gsub("sql: applied", "")
    assert.equal(20, count)
  end)
end)

describe("a server with a database", function()
  it("is migrated while it runs and works in it", function()
    local server = servers.start({ database = "sqlite:app.db" }, { app = APP })
    local conf = server.folder .. "/conf/moongate.lua"
    os.execute("mkdir '" .. server.folder .. "/lua/migrations'")
    process.write_file(server.folder .. "/lua/migrations/0001_users.sql", USERS)
    process.write_file(server.folder .. "/lua/migrations/0002_ada.sql",
      "INSERT INTO users (name) VALUES ('ada');")
    assert.equal(500, server:get("/names").status) -- no such table
    assert.equal(0, process.run({ servers.BINARY, "migrate", conf }).status)
    assert.equal('[{"name":"ADA"}]', server:get("/names").body)

    local held = server:connect()
    held:send("GET /hold HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    server:wait_for_body("/holding", "yes")
    process.write_file(server.folder .. "/lua/migrations/0003_bob.sql",
      "INSERT INTO users (name) VALUES ('bob');")
    local result = process.run({ servers.BINARY, "migrate", conf }) -- waits for the transaction
    assert.equal(0, result.status, result.err)
    held:close()
    assert.equal('[{"name":"ADA"},{"name":"HELD"},{"name":"BOB"}]', server:get("/names").body)
    server:stop()
  end)
end)
