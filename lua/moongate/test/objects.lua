--- Stubs of what is more than one call: databases as objects, transactions, rows and files in
--- pieces. All of them ask `invoke`, as the plain calls do.
local database = require("moongate.database")
local Future = require("moongate.future")
local time = require("moongate.time")

local M = {}

local Database -- the class of database objects, where there is one
local methods = {} -- its real ones

local function scope_of(self)
  return self._scope or Future._current_scope()
end

local function first_row(rows)
  return rows[1]
end

-- --- transactions ---

local Transaction = {}
Transaction.__index = Transaction

function Transaction:query(sql, ...)
  return (self._invoke("query_database", self._scope, 2, sql, ...))
end

function Transaction:one(sql, ...)
  return (self._invoke("query_database", self._scope, 2, sql, ...):and_then(first_row))
end

function Transaction.transaction()
  error("transactions do not nest: use the tx that there is, or SAVEPOINT with tx:query", 2)
end

--- Runs `fn(tx)`, whose statements are stubbed one by one.
function M.transaction(invoke, scope, level, fn)
  if type(fn) ~= "function" then
    error("transaction: a function is wanted, not " .. type(fn), level + 1)
  end
  local tx = setmetatable({ _invoke = invoke, _scope = scope }, Transaction)
  return (time.spawn_in(scope, level + 1, fn, tx))
end

-- --- iterators over a stub's answer ---

local Rows = {}
Rows.__index = Rows

function Rows:__call()
  if self.closed then
    return nil
  end
  self.list = self.list or self.future:await()
  self.at = self.at + 1
  return self.list[self.at]
end

function Rows:close()
  self.closed = true
end

-- Asked only when the first row is wanted, like the real ones.
local function rows_of(ask)
  return setmetatable({ at = 0, closed = false }, {
    __index = Rows,
    __call = function(rows)
      rows.future = rows.future or ask()
      return Rows.__call(rows)
    end,
  })
end

local Chunks = {}
Chunks.__index = Chunks

function Chunks:__call()
  if self.closed then
    return nil
  end
  self.text = self.text or self.future:await()
  local piece = self.text:sub(self.at, self.at + self.piece - 1)
  self.at = self.at + #piece
  return piece ~= "" and piece or nil
end

function Chunks:close()
  self.closed = true
end

--- What replaces file_chunks: a stubbed file in pieces.
function M.file_chunks(invoke, is_ours, original)
  return function(scope, level, path, options)
    if not is_ours("file_chunks", path, options) then
      return original(scope, level, path, options)
    end
    local future = invoke("file_chunks", scope, level + 1, path, options)
    local piece = options and tonumber(options.piece) or 65536
    return setmetatable({ future = future, piece = piece, at = 1, closed = false }, Chunks)
  end
end

-- --- database objects ---

-- Each replaced method keeps to the real one when nothing stands in its way: a tail call, so that
-- errors name the caller's line.
local function replace_methods(invoke, is_ours)
  local real = methods
  function Database:query(sql, ...)
    if not is_ours("query_database", sql, ...) then
      return real.query(self, sql, ...)
    end
    return (invoke("query_database", scope_of(self), 2, sql, ...))
  end

  function Database:one(sql, ...)
    if not is_ours("query_database", sql, ...) then
      return real.one(self, sql, ...)
    end
    return (invoke("query_database", scope_of(self), 2, sql, ...):and_then(first_row))
  end

  function Database:rows(sql, ...)
    if not is_ours("query_database", sql, ...) then
      return real.rows(self, sql, ...)
    end
    local args, scope = { n = select("#", ...), ... }, scope_of(self)
    return rows_of(function()
      return (invoke("query_database", scope, 3, sql, unpack(args, 1, args.n)))
    end)
  end

  function Database:transaction(fn, options)
    if not is_ours("transaction", fn, options) then
      return real.transaction(self, fn, options)
    end
    return (invoke("transaction", scope_of(self), 2, fn, options))
  end
end

function M.install(invoke, is_ours)
  if Database or not database.open then
    return
  end
  Database = getmetatable(database.open())
  for _, name in ipairs({ "query", "one", "rows", "transaction" }) do
    methods[name] = Database[name]
  end
  replace_methods(invoke, is_ours)
end

function M.remove()
  if Database then
    for name, fn in pairs(methods) do
      Database[name] = fn
    end
    Database, methods = nil, {}
  end
end

return M
