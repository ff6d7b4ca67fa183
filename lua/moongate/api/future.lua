---@meta _

--- A value that comes later. It settles once; whoever awaits it is resumed, whoever registered a
--- callback is called back, in the order of registration, never inside the call that settled it.
---
--- All calls that take time return one, and the work has begun by then: make several, then await
--- them. What a Future belongs to is said in the guide [Awaiting](guide-awaiting.md).
---@class moongate.Future<T>
---@field keep boolean true: it goes on though nobody waits for it any more
local future = {}

--- The value or values; raises the error. Suspends the coroutine, never the thread. Legal in every
--- handler, middleware, callback and job, also inside `pcall`, iterators and metamethods; where C
--- forbids it (`table.sort`, `string.gsub`) the error names the function and the line.
---
--- ```lua
--- app:get("/", function(ctx)
---   local a, b = ctx:sleep(0.2), ctx:sleep(0.2)
---   a:await(); b:await()
---   return "after 0.2 s"
--- end)
--- --> GET / => 200 after 0.2 s
--- ```
---@return T value the first of its values
---@return any ... the others
---@typescript await(): T
---@async
function future:await() end

--- The value or values, or nil and the error (never nil then).
---
--- ```lua
--- app:get("/", function(ctx)
---   local text, err = ctx:read_file("none.txt"):try_await()
---   return text or err.code
--- end)
--- --> GET / => 200 file
--- ```
---@return T? value or its values
---@return moongate.Error? err
---@typescript try_await(): LuaMultiReturn<[T, undefined] | [undefined, Error]>
---@async
function future:try_await() end

--- A new Future of what `on_value(values...)` or `on_error(err)` returns. A Future that they return
--- is adopted. Callbacks may await.
---
--- ```lua
--- app:get("/", function(ctx)
---   return ctx:read_file("public/hello.txt"):and_then(string.upper):await()
--- end)
--- --> GET / => 200 HELLO FROM A FILE
--- ```
---@param on_value (async fun(...): any)?
---@param on_error? async fun(err: moongate.Error): any
---@return moongate.Future<any>
---@nodiscard
---@typescript and_then<V>(on_value: ((this: void, value: T) => V | Future<V>) | undefined, on_error?: (this: void, err: Error) => V | Future<V>): Future<V>
function future:and_then(on_value, on_error) end

--- `and_then(nil, on_error)`.
---
--- ```lua
--- app:get("/", function(ctx)
---   return ctx:read_file("none.txt"):catch(function(err) return "no file: " .. err.reason end):await()
--- end)
--- --> GET / => 200 no file: ENOENT
--- ```
---@param on_error async fun(err: moongate.Error): any
---@return moongate.Future<any>
---@nodiscard
---@typescript catch<V>(on_error: (this: void, err: Error) => V | Future<V>): Future<T | V>
function future:catch(on_error) end

--- Calls `fn()` in either case, then settles like this one; an error that `fn` raises wins.
---
--- ```lua
--- local open = 0
--- app:get("/", function(ctx)
---   open = open + 1
---   ctx:sleep(0.1):finally(function() open = open - 1 end):await()
---   return tostring(open)
--- end)
--- --> GET / => 200 0
--- ```
---@param fn async fun(...): any
---@return moongate.Future<T>
---@typescript finally(fn: (this: void) => any): Future<T>
function future:finally(fn) end

--- A derived Future, rejected with code `timeout` if `seconds` pass first; what is beneath is
--- cancelled then unless others wait for it.
---
--- ```lua
--- app:get("/", function(ctx)
---   local ok, err = ctx:sleep(60):timeout(0.5):try_await()
---   return err.code
--- end)
--- --> GET / => 200 timeout
--- ```
---@param seconds number at least 0
---@return moongate.Future<T>
---@nodiscard
---@typescript timeout(seconds: number): Future<T>
function future:timeout(seconds) end

--- Rejects it with code `cancelled`; the work beneath is stopped once its last consumer is gone.
---
--- ```lua
--- app:get("/", function(ctx)
---   local slow = ctx:sleep(60)
---   slow:cancel("not needed")
---   return slow:state()
--- end)
--- --> GET / => 200 rejected
--- ```
---@param why? string
---@return moongate.Future<T> self
---@typescript cancel(why?: string): Future<T>
function future:cancel(why) end

--- How it stands now.
---
--- ```lua
--- app:get("/", function(ctx)
---   local slow = ctx:sleep(60)
---   local before = slow:state()
---   slow:cancel()
---   return before
--- end)
--- --> GET / => 200 pending
--- ```
---@return "pending"|"resolved"|"rejected"
function future:state() end

--- Settles a Future that `moongate.future()` made. A second time does nothing and returns false.
---
--- ```lua
--- app:get("/", function()
---   local f = moongate.future()
---   f:resolve("done")
---   return f:await()
--- end)
--- --> GET / => 200 done
--- ```
---@param ... any its values; a single Future is adopted
---@return boolean whether this settled it
---@typescript resolve(value?: T | Future<T>): boolean
function future:resolve(...) end

--- Rejects a Future that `moongate.future()` made.
---
--- ```lua
--- app:get("/", function()
---   local f = moongate.future()
---   f:reject("no luck")
---   return select(2, f:try_await()).message
--- end)
--- --> GET / => 200 no luck
--- ```
---@param err any not nil
---@return boolean whether this settled it
function future:reject(err) end

---@class moongate.FutureClass what `moongate.Future` is
local Future = {}

--- All values, under the keys of `items`. The first failure rejects it and cancels the siblings.
--- Items that are no Futures count as resolved.
---
--- ```lua
--- app:get("/", function(ctx)
---   local both = moongate.Future.all({
---     file = ctx:read_file("public/hello.txt"), slow = ctx:sleep(0.2):and_then(function() return 2 end),
---   }):await()
---   return both
--- end)
--- --> GET / => 200 {"file":"hello from a file","slow":2}
--- ```
---@param items table<any, moongate.Future|any>
---@return moongate.Future<table>
---@nodiscard
---@typescript all<T extends readonly any[] | [] | Record<string, any>>(this: void, items: T): Future<{ -readonly [K in keyof T]: Value<T[K]> }>
function Future.all(items) end

--- The first value; the others are cancelled. Rejected only when all are, with `errors` under the
--- keys of `items`.
---
--- ```lua
--- app:get("/", function(ctx)
---   return moongate.Future.any({
---     ctx:read_file("none.txt"), ctx:read_file("public/hello.txt"),
---   }):await()
--- end)
--- --> GET / => 200 hello from a file
--- ```
---@param items table<any, moongate.Future|any>
---@return moongate.Future<any>
---@nodiscard
---@typescript any<T extends readonly any[] | [] | Record<string, any>>(this: void, items: T): Future<ItemOf<T>>
function Future.any(items) end

--- Settles like the first that settles; the others are cancelled. Of an empty table it stays
--- pending.
---
--- ```lua
--- app:get("/", function(ctx)
---   return moongate.Future.race({
---     ctx:sleep(9):and_then(function() return "slow" end),
---     ctx:sleep(1):and_then(function() return "quick" end),
---   }):await()
--- end)
--- --> GET / => 200 quick
--- ```
---@param items table<any, moongate.Future|any>
---@return moongate.Future<any>
---@nodiscard
---@typescript race<T extends readonly any[] | [] | Record<string, any>>(this: void, items: T): Future<ItemOf<T>>
function Future.race(items) end

--- Never rejected: `{ state =, value = }` or `{ state =, err = }` under the keys of `items`.
---
--- ```lua
--- app:get("/", function(ctx)
---   local all = moongate.Future.all_settled({ ctx:read_file("none.txt"), 7 }):await()
---   return { all[1].state, all[2].value }
--- end)
--- --> GET / => 200 ["rejected",7]
--- ```
---@param items table<any, moongate.Future|any>
---@return moongate.Future<table>
---@nodiscard
---@typescript all_settled<T extends readonly any[] | [] | Record<string, any>>(this: void, items: T): Future<{ -readonly [K in keyof T]: Outcome<Value<T[K]>> }>
function Future.all_settled(items) end
