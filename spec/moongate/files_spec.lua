local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
local error_of, message_of = helpers.error_of, helpers.message_of

local files = moongate.files
local app, folder

local function sh(command)
  assert.equal(0, os.execute("cd '" .. folder .. "' && " .. command))
end

local function put(name, text)
  local f = assert(io.open(folder .. "/" .. name, "wb"))
  f:write(text)
  f:close()
end

local function get(name)
  local f = io.open(folder .. "/" .. name, "rb")
  local text = f and f:read("*a")
  return text, f and f:close()
end

-- The names in the folder, those with a dot in front too.
local function names()
  local pipe = io.popen("ls -A '" .. folder .. "'")
  local text = pipe:read("*a")
  pipe:close()
  return (text:gsub("\n$", ""):gsub("\n", " "))
end

local function open_files()
  local pipe = io.popen("ls -l /proc/" .. require("moongate.native").pid() .. "/fd 2>&-")
  local text = pipe:read("*a")
  pipe:close()
  local _, n = text:gsub(folder:gsub("%p", "%%%0"), "")
  return n
end

local function path(name)
  return folder .. "/" .. name
end

-- What a call gives: its value, or nil and the error.
local function try(call, ...)
  local args = { ... }
  return app:run(function()
    return files[call](unpack(args)):try_await()
  end)
end

local function set_up()
  folder = os.tmpname()
  os.remove(folder)
  assert.equal(0, os.execute("mkdir '" .. folder .. "'"))
  app = test.app(function(a)
    a:get("/", function()
      return ""
    end)
  end, { files = folder })
end

local function tear_down()
  app:assert_no_leaks()
  os.execute("rm -rf '" .. folder .. "'")
end

describe("read_file", function()
  before_each(set_up)
  after_each(tear_down)

  it("gives the bytes as they are", function()
    put("a", "x\0\r\n")
    assert.equal("x\0\r\n", try("read_file", path("a")))
    put("a", "")
    assert.equal("", try("read", path("a")))
  end)

  it("tells path, reason and errno of a failure", function()
    local _, err = try("read_file", path("none"))
    assert.same({ "file", "ENOENT", -2, path("none") },
      { err.code, err.reason, err.errno, err.path })
    assert.equal(path("none") .. ": No such file or directory", err.message)
    assert.matches("files_spec%.lua:%d+$", err.where)
    _, err = try("read_file", folder)
    assert.equal("EISDIR", err.reason)
  end)

  it("reads no more than the limit", function()
    put("a", "12345")
    assert.equal("12345", try("read_file", path("a"), { max = 5 }))
    assert.equal("12345", try("read_file", path("a"), { max = "1T" }))
    assert.equal("12345", try("read_file", path("a"), { max = false }))
    local _, err = try("read_file", path("a"), { max = 4 })
    assert.equal("limit", err.code)
    assert.equal(path("a") .. ": larger than 4 bytes", err.message)
  end)

  it("refuses what is no path at the caller's line", function()
    for _, bad in ipairs({ 1, "", "a\0b" }) do
      assert.matches("files_spec%.lua:%d+: read_file: .*path", message_of(function()
        local f = files.read_file(bad)
        return f
      end))
    end
    assert.matches("files_spec%.lua:%d+: read_file: \"mx\" is unknown, .*mean 'max'",
      message_of(function()
        local f = files.read_file("a", { mx = 1 })
        return f
      end))
  end)

  it("may be cancelled while a thread reads", function()
    put("a", ("x"):rep(1e6))
    app:run(function()
      local reads = {}
      for i = 1, 20 do
        reads[i] = files.read_file(path("a"))
      end
      for _, read in ipairs(reads) do
        read:cancel()
      end
      assert.equal(1e6, #files.read_file(path("a")):await())
    end)
  end)
end)

describe("write_file", function()
  before_each(set_up)
  after_each(tear_down)

  it("makes a file, and replaces what it held", function()
    assert.is_true(try("write_file", path("a"), "one\0"))
    assert.equal("one\0", get("a"))
    assert.is_true(try("write", path("a"), ""))
    assert.equal("", get("a"))
    assert.equal("a", names())
  end)

  it("leaves readers of the old content undisturbed", function()
    put("a", "old content")
    local reader = io.open(path("a"), "rb")
    try("write_file", path("a"), "new")
    assert.equal("old content", reader:read("*a"))
    reader:close()
    assert.equal("new", get("a"))
  end)

  it("keeps an existing file's mode unless told", function()
    put("a", "")
    sh("chmod 640 a")
    try("write_file", path("a"), "x")
    assert.equal("0640", try("stat", path("a")).mode)
    try("write_file", path("a"), "x", { mode = "0600" })
    assert.equal("0600", try("stat", path("a")).mode)
    try("write_file", path("b"), "x", { mode = "755" })
    assert.equal("0755", try("stat", path("b")).mode)
    assert.matches("octal digits in a string", message_of(function()
      local f = files.write_file(path("a"), "x", { mode = 644 })
      return f
    end))
  end)

  it("writes through a link", function()
    put("a", "old")
    sh("ln -s a link")
    try("write_file", path("link"), "new")
    assert.equal("new", get("a"))
    assert.equal("link", try("stat", path("link"), { follow = false }).kind)
  end)

  it("appends", function()
    try("write_file", path("a"), "1", { append = true })
    try("write_file", path("a"), "2", { append = true, sync = false })
    assert.equal("12", get("a"))
  end)

  it("makes missing folders only if asked to", function()
    local _, err = try("write_file", path("x/y/a"), "1")
    assert.equal("ENOENT", err.reason)
    assert.is_true(try("write_file", path("x/y/a"), "1", { make_folders = true }))
    assert.is_true(try("write_file", path("x/z/a"), "2", { make_folders = true, append = true }))
    assert.equal("1", get("x/y/a"))
    assert.equal("2", get("x/z/a"))
  end)

  it("refuses a folder and data beyond the limit, and leaves nothing behind", function()
    sh("mkdir sub")
    local _, err = try("write_file", path("sub"), "1")
    assert.equal("EISDIR", err.reason)
    _, err = try("write_file", path("a"), "123", { max = 2 })
    assert.same({ "limit", path("a") .. ": larger than 2 bytes" }, { err.code, err.message })
    assert.equal("sub", names())
  end)

  it("refuses what is no text at the caller's line", function()
    assert.matches("files_spec%.lua:%d+: write_file: the content is a string, not table",
      message_of(function()
        local f = files.write_file("a", {})
        return f
      end))
  end)

  it("that is cancelled has happened wholly or not at all", function()
    local new = ("n"):rep(4e6)
    put("a", "old")
    app:run(function()
      for i = 1, 30 do
        local write = files.write_file(path("a"), new, { sync = i % 2 == 0 })
        if i % 3 > 0 then
          files.stat_file(path("a")):await() -- a thread has begun meanwhile
        end
        write:cancel()
        local content = files.read_file(path("a")):await()
        assert(content == "old" or content == new)
      end
    end)
    app.clock:settle()
    assert.equal("a", names())
  end)
end)

describe("the other calls", function()
  before_each(set_up)
  after_each(tear_down)

  it("stat_file tells what is there", function()
    put("a", "12345")
    sh("mkdir sub && mkfifo fifo && ln -s a link && ln -s none lost && touch -d @1234567.5 a")
    assert.same({ kind = "file", size = 5, modified = 1234567.5, mode = "0600" },
      (function()
        sh("chmod 600 a")
        return try("stat_file", path("a"))
      end)())
    assert.equal("folder", try("stat", path("sub")).kind)
    assert.equal("other", try("stat", path("fifo")).kind)
    assert.equal("file", try("stat", path("link")).kind)
    assert.equal("link", try("stat", path("lost"), { follow = false }).kind)
    local _, err = try("stat", path("lost"))
    assert.equal("ENOENT", err.reason)
  end)

  it("list_folder gives names in order", function()
    put("b", "12")
    put(".a", "")
    sh("mkdir c && ln -s b d")
    assert.same({
      { name = ".a", kind = "file", size = 0 },
      { name = "b", kind = "file", size = 2 },
      { name = "c", kind = "folder" },
      { name = "d", kind = "link" },
    }, try("list_folder", folder))
    assert.same({}, try("list", path("c")))
    local _, err = try("list", path("b"))
    assert.equal("ENOTDIR", err.reason)
  end)

  it("list_folder gives no more than the limit", function()
    put("a", "")
    put("b", "")
    assert.equal(2, #try("list", folder, { max = 2 }))
    assert.equal(2, #try("list", folder, { max = false }))
    local _, err = try("list", folder, { max = 1 })
    assert.same({ "limit", folder .. ": more than 1 entries" }, { err.code, err.message })
  end)

  it("delete, rename and make", function()
    assert.is_true(try("make_folder", path("x/y")))
    assert.is_true(try("make_folder", path("x/y/")))
    put("x/y/a", "1")
    assert.is_true(try("rename_file", path("x/y/a"), path("b")))
    assert.equal("1", get("b"))
    local _, err = try("make_folder", path("b"))
    assert.equal("EEXIST", err.reason)
    _, err = try("delete_file", path("x"))
    assert.equal("EISDIR", err.reason)
    _, err = try("delete_folder", path("x"))
    assert.equal("ENOTEMPTY", err.reason)
    assert.is_true(try("delete_folder", path("x/y")))
    assert.is_true(try("delete_file", path("b")))
    assert.equal("x", names())
  end)

  it("are relative to the project", function()
    assert.is_true(try("stat", "spec/moongate/files_spec.lua").size > 100)
  end)

  it("are ctx's too, and do not hold up the loop", function()
    app = test.app(function(a)
      a:get("/", function(ctx)
        local write = ctx:write_file(path("a"), "text")
        assert(write:state() == "pending")
        write:await()
        local stat, list = ctx:stat_file(path("a")), ctx:list_folder(folder)
        local result = { stat:await().size, list:await()[1].name, ctx:read_file(path("a")):await() }
        ctx:rename_file(path("a"), path("b")):await()
        ctx:delete_file(path("b")):await()
        return result
      end)
    end, { files = folder })
    assert.same({ 4, "a", "text" }, app:get("/"):json())
  end)
end)

describe("file_chunks", function()
  local content = ("0123456789"):rep(20000)

  before_each(function()
    set_up()
    put("a", content)
  end)
  after_each(tear_down)

  it("gives the whole file in pieces of the wanted size", function()
    app:run(function()
      local pieces = {}
      for piece in files.file_chunks(path("a"), { piece = "64K" }) do
        pieces[#pieces + 1] = piece
      end
      assert.equal(4, #pieces)
      assert.equal(65536, #pieces[1])
      assert.is_true(table.concat(pieces) == content)
    end)
    assert.equal(0, open_files())
  end)

  it("ends at once for an empty file, and stays at its end", function()
    put("b", "")
    app:run(function()
      local pieces = files.chunks(path("b"))
      assert.is_nil(pieces())
      assert.is_nil(pieces())
    end)
  end)

  it("raises what the disk says", function()
    app:run(function()
      local pieces = files.file_chunks(path("none"))
      local err = error_of(pieces)
      assert.same({ "file", "ENOENT", path("none") }, { err.code, err.reason, err.path })
      assert.is_nil(pieces())
    end)
  end)

  it("can be closed early", function()
    app:run(function()
      local pieces = files.file_chunks(path("a"))
      pieces()
      pieces:close()
      assert.equal(0, open_files())
      assert.is_nil(pieces())
    end)
  end)

  it("does not look complete to others once the coroutine that opened it has ended", function()
    app:run(function()
      local pieces = files.file_chunks(path("a"))
      moongate.spawn(function()
        pieces()
      end):await()
      assert.equal("closed", error_of(pieces).code)
    end)
  end)

  it("is closed when the coroutine that left it ends", function()
    app:run(function()
      local seen = 0
      for _ in files.file_chunks(path("a"), { piece = 10 }) do
        seen = seen + 1
        if seen == 2 then
          break
        end
      end
      assert.equal(1, open_files())
    end)
    app.clock:settle()
    assert.equal(0, open_files())
  end)

  it("is closed when the coroutine fails or is cancelled between pieces", function()
    app:run(function()
      local failing = moongate.spawn(function()
        files.file_chunks(path("a"))()
        error("on purpose")
      end)
      failing:try_await()
      local waiting = moongate.spawn(function()
        files.file_chunks(path("a"))()
        moongate.sleep(100):await()
      end)
      moongate.sleep(1):await()
      assert.equal(1, open_files())
      waiting:cancel()
    end)
    app.clock:settle()
    assert.equal(0, open_files())
  end)

  it("is closed when the client leaves", function()
    app = test.app(function(a)
      a:get("/", function(ctx)
        for _ in ctx:file_chunks(path("a"), { piece = 1 }) do
          ctx:sleep(10):await()
        end
      end)
    end)
    local flight = app:start("GET", "/")
    app.clock:advance(15)
    assert.equal(1, open_files())
    flight:disconnect()
    assert.equal(0, open_files())
  end)

  it("can be streamed as an answer", function()
    app = test.app(function(a)
      a:get("/", function(ctx)
        ctx:stream("text/plain", function(out)
          for piece in ctx:file_chunks(path("a")) do
            out:write(piece)
          end
        end)
      end)
    end)
    assert.is_true(app:get("/").body == content)
  end)

  it("needs a coroutine", function()
    assert.matches("files_spec%.lua:%d+: file_chunks outside a coroutine",
      message_of(function()
        local piece = files.file_chunks(path("a"))()
        return piece
      end))
  end)

  it("refuses pieces that are too large", function()
    assert.matches("files_spec%.lua:%d+: file_chunks.piece: 1 to 262144 bytes",
      message_of(function()
        local chunks = files.file_chunks(path("a"), { piece = "1M" })
        return chunks
      end))
  end)
end)
