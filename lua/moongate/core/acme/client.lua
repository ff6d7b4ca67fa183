--- Speaks to an ACME directory (RFC 8555): its resources, signed requests, nonces, the account.
---
--- Every call is to be made in a coroutine. What fails is raised as a fault: { text, kind, type,
--- retry_after }. `kind` is "unreached" (no answer, or 5xx) or "refused"; `type` is that of the
--- problem, without its prefix; `retry_after` seconds.
local native = require("moongate.native")
local http = require("moongate.http")
local json = require("moongate.json")
local time = require("moongate.time")
local plan = require("moongate.core.acme.plan")

local M = {}

local CONTENT = "application/jose+json"
local AGENT = "moongate/" .. native.version -- RFC 8555 section 6.1 wants it
local PREFIX = "urn:ietf:params:acme:error:"
local NONCES = 60 -- tries with another nonce, until a directory is believed that refuses each
local POLL, POLL_MOST = 0.25, 5 -- seconds between two looks, if the directory does not say
local POLL_SECONDS = 180        -- and until it is given up
local TEXT_MOST = 300

-- --- faults ---

local Fault = {}
Fault.__index = Fault

function Fault.__tostring(fault)
  return fault.text
end

-- What others send is one line of a bounded length.
local function clean(text)
  return (tostring(text):gsub("%c", " "):sub(1, TEXT_MOST))
end

--- Raises one.
---@param kind "unreached"|"refused"
---@param text string
---@param more table? type, retry_after
function M.fail(kind, text, more)
  local fault = setmetatable({ kind = kind, text = clean(text) }, Fault)
  for key, value in pairs(more or {}) do
    fault[key] = value
  end
  error(fault, 0)
end

function M.is_fault(value)
  return getmetatable(value) == Fault
end

local function object(text)
  local ok, value = pcall(json.decode, text)
  return ok and type(value) == "table" and value or nil
end

-- What a problem document (RFC 7807) says, with the first of its parts (RFC 8555 section 6.7.1).
local function text_of(problem)
  local part = type(problem.subproblems) == "table" and problem.subproblems[1]
  local text = tostring(problem.detail or problem.type or "it does not say why")
  if type(part) == "table" and part.detail then
    text = text .. " (" .. tostring(part.detail) .. ")"
  end
  return text
end

--- The fault that a problem document tells.
---@param problem table
---@param more table? retry_after
function M.fail_with(problem, more)
  more = more or {}
  local given = tostring(problem.type or "")
  more.type = given:sub(1, #PREFIX) == PREFIX and given:sub(#PREFIX + 1) or nil
  M.fail("refused", text_of(problem) .. (more.type and " [" .. more.type .. "]" or ""), more)
end

-- --- requests ---

local Client = {}
Client.__index = Client

---@param wish table directory, place; of an account if wanted: email, key_id, hmac_key; ca: who
--- vouches for the directory
---@param keeper table what keeps keys: src/lua/bind_acme.c
function M.new(wish, keeper)
  return setmetatable({ wish = wish, keeper = keeper, blocked_until = 0 }, Client)
end

-- What the keeper says, or the fault that it tells.
function M.kept(value, err, ...)
  if not value then
    M.fail("refused", err)
  end
  return value, err, ...
end
local kept = M.kept

function Client:call(method, url, body, accept)
  local response, err = http.request({
    method = method, url = url, body = body, ca = self.wish.ca, max = "1M",
    headers = {
      ["Content-Type"] = body and CONTENT, Accept = accept, ["User-Agent"] = AGENT,
    },
  }):try_await()
  if not response then
    M.fail("unreached", "the directory cannot be reached: " .. tostring(err.message or err))
  end
  self.fresh = response.headers["replay-nonce"] or self.fresh -- older ones may be too old
  return response
end

function Client:refuse(response)
  local more = { retry_after = plan.retry_after(response.headers["retry-after"], time.now()) }
  local problem = object(response.body)
  if response.status >= 500 or response.status < 400 then
    M.fail("unreached", "the directory answered " .. response.status
      .. (problem and ": " .. text_of(problem) or ""), more)
  elseif not problem then -- some say nothing of what they have forgotten
    M.fail("refused", "the directory answered " .. response.status, more)
  end
  if more.retry_after and response.status == 429 then
    self.blocked_until = time.now() + more.retry_after
  end
  M.fail_with(problem, more)
end

--- A GET of what is there for everybody.
---@return table object, table response
function Client:get(url)
  local response = self:call("GET", url)
  local value = response.status == 200 and object(response.body)
  if not value then
    self:refuse(response)
  end
  return value, response
end

--- Where its resources are.
---@return table
function Client:resources()
  if not self.known then
    local found = self:get(self.wish.directory)
    for _, name in ipairs({ "newNonce", "newAccount", "newOrder" }) do
      if type(found[name]) ~= "string" then
        M.fail("refused", self.wish.directory .. " is no ACME directory: it has no " .. name)
      end
    end
    self.known = found
  end
  return self.known
end

function Client:nonce()
  if not self.fresh then
    local response = self:call("HEAD", self:resources().newNonce)
    if not self.fresh then
      self:refuse(response)
    end
  end
  local nonce = self.fresh
  self.fresh = nil -- each is good for one request
  return nonce
end

-- By the account's URL, or, while there is none, by its key itself.
function Client:signed(url, payload, account)
  local head = { alg = "ES256", nonce = self:nonce(), url = url, kid = account }
  if not account then
    head.jwk = json.decode((kept(self.keeper.account(self.wish.place))))
  end
  return (kept(self.keeper.sign(self.wish.place, json.encode(head), payload)))
end

local function is_about_nonce(response)
  local problem = response.status == 400 and object(response.body)
  return problem and problem.type == PREFIX .. "badNonce"
end

function Client:send(url, payload, account, accept)
  local response
  for _ = 1, NONCES do
    response = self:call("POST", url, self:signed(url, payload, account), accept)
    if not is_about_nonce(response) then
      break
    end
  end
  if response.status >= 300 then
    self:refuse(response)
  end
  return response
end

-- --- the account ---

-- RFC 8555 section 7.3.4: who has an account with the directory's owner already.
function Client:binding(url)
  local wish = self.wish
  if not wish.key_id then
    return nil
  end
  local head = json.encode({ alg = "HS256", kid = wish.key_id, url = url })
  local jwk = kept(self.keeper.account(wish.place))
  return json.decode((kept(self.keeper.sign_shared(wish.hmac_key, head, jwk))))
end

function Client:register()
  local url = self:resources().newAccount
  local email = self.wish.email
  local response = self:send(url, json.encode({
    termsOfServiceAgreed = true,
    contact = email and { "mailto:" .. email } or nil,
    externalAccountBinding = self:binding(url),
  }))
  local account = response.headers.location
  if not account then
    M.fail("refused", "the directory does not say where the account is")
  end
  kept(self.keeper.set_note(self.wish.place, "_account",
    json.encode({ url = account, email = email })))
  self.account_url = account
  return account
end

-- An account may be made before its address was known, or changed.
function Client:update(note)
  local email = self.wish.email
  local contact = email and { "mailto:" .. email } or json.array()
  self:send(note.url, json.encode({ contact = contact }), note.url)
  kept(self.keeper.set_note(self.wish.place, "_account",
    json.encode({ url = note.url, email = email })))
end

--- The account's URL; it is made if there is none.
---@return string
function Client:account()
  if self.account_url then
    return self.account_url
  end
  local note = object(self.keeper.note(self.wish.place, "_account") or "")
  if not note or type(note.url) ~= "string" then
    return self:register()
  end
  if note.email ~= self.wish.email then
    self:update(note)
  end
  self.account_url = note.url
  return note.url
end

--- What an answer to a challenge ends with (RFC 8555 section 8.1).
---@return string
function Client:thumbprint()
  return (select(2, kept(self.keeper.account(self.wish.place))))
end

local function is_unknown(fault)
  return M.is_fault(fault) and fault.type == "accountDoesNotExist"
end

--- A signed request of the account; a table is sent as JSON, nil asks for what is there (POST as
--- GET). Whoever has forgotten the account is told of it again.
---@param url string
---@param payload table?
---@param accept string?
---@return table response
function Client:post(url, payload, accept)
  local text = payload and json.encode(payload) or ""
  local ok, result = pcall(self.send, self, url, text, self:account(), accept)
  if not ok and is_unknown(result) then
    self.account_url = nil
    self:register()
    return self:send(url, text, self.account_url, accept)
  end
  return ok and result or error(result, 0)
end

--- The same of what is JSON.
---@return table object, table response
function Client:ask(url, payload)
  local response = self:post(url, payload)
  local value = object(response.body)
  if not value then
    M.fail("refused", "the directory's answer is no JSON: " .. url)
  end
  return value, response
end

--- Asks until its status is none of `pending`.
---@param url string
---@param pending table<string, true>
---@return table object
function Client:poll(url, pending)
  local until_ = time.monotonic() + POLL_SECONDS
  local wait = POLL
  while true do
    local value, response = self:ask(url)
    if not pending[value.status] then
      return value
    end
    local told = plan.retry_after(response.headers["retry-after"], time.now())
    if time.monotonic() + (told or wait) > until_ then
      M.fail("refused", "the directory has not decided within " .. POLL_SECONDS .. " s: " .. url)
    end
    time.sleep(told or wait):await()
    wait = math.min(wait * 2, POLL_MOST)
  end
end

return M
