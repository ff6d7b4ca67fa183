---@meta

--- Passwords, kept as hashes that take long to guess: scrypt (RFC 7914) in the form of PHC,
--- `$scrypt$ln=15,r=8,p=3$SALT$HASH`. One takes some 0.2 s and 32 MiB, in a thread; a worker makes two
--- at once, others wait their turn (1,000 at most, beyond that code `limit`).
---@class moongate.password
local password = {}

--- The hash of a new password, with a salt of its own.
---
--- ```lua
--- app:post("/register", function(ctx)
---   local hash = moongate.password.hash(ctx:body():await()):await()
---   return { known = hash:match("^%$%w+") }
--- end)
--- --> POST /register secret => 200 {"known":"$scrypt"}
--- ```
---@param text string at most 4,096 bytes
---@return moongate.Future<string>
---@nodiscard
function password.hash(text) end

--- Whether a text is the password of a hash. Where nobody of that name is known, verify against some
--- hash all the same, so that time tells nothing.
---
--- ```lua
--- app:post("/login", function(ctx)
---   local hash = moongate.password.hash("secret"):await()
---   local good = moongate.password.verify(ctx:body():await(), hash):await()
---   return good and 200 or 401, good and "welcome" or "no"
--- end)
--- --> POST /login secret => 200 welcome
--- --> POST /login Secret => 401 no
--- ```
---@param text string
---@param hash string of `password.hash`, or of others in that form; one that asks for more than 128 MiB, or for minutes, is code `protocol`
---@return moongate.Future<boolean>
---@nodiscard
function password.verify(text, hash) end

--- Whether a hash was made at another cost than `password.hash` has now: make a new one while the
--- password is at hand.
---
--- ```lua
--- app:get("/", function()
---   return { again = moongate.password.needs_rehash("$scrypt$ln=14,r=8,p=1$c2FsdA$aGFzaA") }
--- end)
--- --> GET / => 200 {"again":true}
--- ```
---@param hash string
---@return boolean
function password.needs_rehash(hash) end
