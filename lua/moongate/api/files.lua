---@meta _

--- Files, through the thread pool: `ctx:read_file` and its like in a request, `moongate.files` in
--- jobs and background work. All functions of `ctx` are there by the same names and with the same
--- options, and belong to the app. Paths are against the project's folder.
---
--- What the disk does rejects the Future with code `file`, and `errno`, `reason` such as "ENOENT",
--- `path`; what is too large with code `limit`.
---@class moongate.files
local files = {}

--- As `ctx:read_file`; also as `files.read`.
---
--- ```lua
--- app:get("/", function() return moongate.files.read_file("public/hello.txt"):await() end)
--- --> GET / => 200 hello from a file
--- ```
---@param path string against the project's folder
---@param options? moongate.ReadOptions
---@return moongate.Future<string>
---@nodiscard
function files.read_file(path, options) end

--- As `ctx:write_file`; also as `files.write`.
---
--- ```lua
--- app:get("/", function()
---   moongate.files.write_file("var/note", "x", { make_folders = true }):await()
---   return 204
--- end)
--- --> GET / => 204
--- ```
---@param path string against the project's folder
---@param data string
---@param options? moongate.WriteOptions
---@return moongate.Future<true>
function files.write_file(path, data, options) end

--- As `ctx:file_chunks`; also as `files.chunks`.
---
--- ```lua
--- app:get("/", function()
---   local n = 0
---   for piece in moongate.files.file_chunks("public/hello.txt") do n = n + #piece end
---   return tostring(n)
--- end)
--- --> GET / => 200 17
--- ```
---@param path string against the project's folder
---@param options? moongate.ChunksOptions
---@return moongate.FileChunks
function files.file_chunks(path, options) end

---@overload async fun(): string?
---@class moongate.FileChunks what `file_chunks` gives: an iterator
local chunks = {}

--- Closes the file: there are no more pieces.
---
--- ```lua
--- app:get("/", function(ctx)
---   local chunks = ctx:file_chunks("public/hello.txt", { piece = 5 })
---   local first = chunks()
---   chunks:close()
---   return first
--- end)
--- --> GET / => 200 hello
--- ```
function chunks:close() end

--- As `ctx:stat_file`; also as `files.stat`.
---
--- ```lua
--- app:get("/", function() return moongate.files.stat_file("public"):await().kind end)
--- --> GET / => 200 folder
--- ```
---@param path string against the project's folder
---@param options? moongate.StatOptions
---@return moongate.Future<table>
---@nodiscard
function files.stat_file(path, options) end

--- As `ctx:list_folder`; also as `files.list`.
---
--- ```lua
--- app:get("/", function() return moongate.files.list_folder("public"):await()[1].name end)
--- --> GET / => 200 hello.txt
--- ```
---@param path string against the project's folder
---@param options? moongate.ListOptions
---@return moongate.Future<table[]>
---@nodiscard
function files.list_folder(path, options) end

--- As `ctx:make_folder`.
---
--- ```lua
--- app:get("/", function() moongate.files.make_folder("var/x"):await() return 204 end)
--- --> GET / => 204
--- ```
---@param path string against the project's folder
---@return moongate.Future<true>
function files.make_folder(path) end

--- As `ctx:rename_file`; also as `files.rename`.
---
--- ```lua
--- app:get("/", function()
---   moongate.files.write_file("var/c", "x", { make_folders = true }):await()
---   return { moongate.files.rename_file("var/c", "var/d"):await() }
--- end)
--- --> GET / => 200 [true]
--- ```
---@param from string against the project's folder
---@param to string likewise
---@return moongate.Future<true>
function files.rename_file(from, to) end

--- As `ctx:delete_file`; also as `files.delete`.
---
--- ```lua
--- app:get("/", function()
---   local ok, err = moongate.files.delete_file("var/none"):try_await()
---   return err.reason
--- end)
--- --> GET / => 200 ENOENT
--- ```
---@param path string against the project's folder
---@return moongate.Future<true>
function files.delete_file(path) end

--- As `ctx:delete_folder`.
---
--- ```lua
--- app:get("/", function()
---   moongate.files.make_folder("var/e"):await()
---   return { moongate.files.delete_folder("var/e"):await() }
--- end)
--- --> GET / => 200 [true]
--- ```
---@param path string against the project's folder
---@return moongate.Future<true>
function files.delete_folder(path) end
