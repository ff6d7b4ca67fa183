--- { files = "tmp" }: where an app of a spec may write.
local test = require("moongate.test")

local app, root, tmp

local function sh(command)
  assert.equal(0, os.execute(command))
end

local function content(path)
  local file = io.open(path)
  local text = file and file:read("*a")
  return text, file and file:close()
end

local function start(options)
  options.root = root
  app = test.app(function(a)
    a:post("/write/*path", function(ctx)
      ctx:write_file(ctx.params.path, "new"):await()
      return ctx:read_file(ctx.params.path):await()
    end)
    a:get("/send/*path", function(ctx)
      ctx:send_file(ctx.params.path, { root = "data" })
    end)
  end, options)
end

-- What a call gives: its value, or nil and the error's message.
local function try(name, ...)
  local value, err = app:run(function(...)
    local ok, future = pcall(function(...)
      local pending = require("moongate").files[name](...)
      return pending
    end, ...)
    if not ok then
      return nil, { message = future }
    end
    return future:try_await()
  end, ...)
  return value, err and err.message
end

before_each(function()
  root = os.tmpname()
  os.remove(root)
  tmp = root .. "/tmp"
  sh("mkdir -p '" .. root .. "/data' && echo -n old > '" .. root .. "/data/a'")
end)

after_each(function()
  app:assert_no_leaks()
  sh("rm -rf '" .. root .. "'")
end)

describe("without a folder an app", function()
  it("is refused what changes files, which shows the stub to write", function()
    start({})
    local changing = { "write_file", "delete_file", "delete_folder", "make_folder", "rename_file" }
    for _, name in ipairs(changing) do
      local value, message = try(name, "data/a", "data/b")
      assert.is_nil(value)
      assert.matches("^[^\n]*folder_spec%.lua:%d+: " .. name
        .. '%("data/a".*is not stubbed, and specs change no files; write for example:\n'
        .. '  app:stub%("' .. name .. '", true%)\nor give the app a folder.*files = "tmp"', message)
    end
    assert.equal("old", content(root .. "/data/a"))
  end)

  it("reads what the project has, and what is stubbed is done", function()
    start({})
    assert.equal("old", try("read_file", "data/a"))
    app:stub("write_file", true)
    assert.is_true(try("write_file", "data/a", "new"))
    assert.equal("old", content(root .. "/data/a"))
  end)
end)

describe("in a folder an app", function()
  it("writes what is the project's elsewhere, and finds it again", function()
    start({ files = tmp })
    assert.equal("new", app:post("/write/data/a").body)
    assert.equal("new", app:post("/write/some/where/else").body)
    assert.equal("old", content(root .. "/data/a"))
    assert.equal("new", content(tmp .. "/data/a"))
    assert.equal("new", app:get("/send/a").body)
    assert.is_true(try("rename_file", "data/a", "data/b"))
    assert.equal("old", try("read_file", "data/a"))
    assert.equal("new", try("read_file", "data/b"))
    assert.is_true(try("delete_file", "data/b"))
    assert.is_nil(content(tmp .. "/data/b"))
  end)

  it("writes below it as it says", function()
    start({ files = tmp .. "/" })
    assert.is_true(try("make_folder", "tmp/x"))
    assert.equal("new", app:post("/write/tmp/x/y").body)
    assert.is_true(try("write_file", tmp .. "/x/z", "absolute"))
    assert.equal("new", content(tmp .. "/x/y"))
    assert.equal("absolute", content(tmp .. "/x/z"))
  end)

  it("does not leave it", function()
    start({ files = tmp })
    for _, path in ipairs({ "/etc/motd", "../up", "tmp/../../up" }) do
      local value, message = try("write_file", path, "x")
      assert.is_nil(value)
      assert.matches("folder_spec%.lua:%d+: write_file: " .. path:gsub("%p", "%%%0")
        .. " lies outside of the spec's folder", message)
    end
  end)
end)
