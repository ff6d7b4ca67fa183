--- Certificates of an ACME directory (RFC 8555): asks for what is missing, and renews it in time.
---
--- Runs in a process of its own, beside no script of a project. One order is under way at a time.
--- What each certificate waits for:
---
---   none --issued--> good --two thirds of its life, or as the directory suggests--> due
---    ^                |                                                              |
---    |                +<------------------------- issued ----------------------------+
---    +-- failed: later, and later each time; what is there is served meanwhile ------+
local client_class = require("moongate.core.acme.client")
local order = require("moongate.core.acme.order")
local plan = require("moongate.core.acme.plan")
local json = require("moongate.json")
local log = require("moongate.log")
local time = require("moongate.time")
local tools = require("moongate.tools")

local M = {}

local LEASE_SECONDS = 10 -- between two looks whether somebody else still has it
local RETRY_MOST = 86400
local SLEEP_MOST = 3600  -- a clock that is set is noticed

local function object(text)
  local ok, value = pcall(json.decode, text or "")
  return ok and type(value) == "table" and value or {}
end

local function number(value)
  return type(value) == "number" and value or nil
end

-- --- one certificate ---

local Certificate = {}
Certificate.__index = Certificate

-- Of all that is wanted.
local function fingerprint(wish)
  local list = {}
  for key, value in pairs(wish) do
    list[#list + 1] = key .. "=" .. tostring(value)
  end
  table.sort(list)
  return tools.hex_encode(tools.sha256(table.concat(list, "\0")))
end

local function certificate_new(wish, client)
  local self = setmetatable({
    wish = wish, client = client, keeper = client.keeper, draw = math.random(),
  }, Certificate)
  local note = object(self.keeper.note(wish.place, wish.domain))
  self.asked = fingerprint(wish)
  self.order = type(note.order) == "string" and note.order or nil
  -- What has failed with other settings says nothing of these.
  self.failures = note.asked == self.asked and number(note.failures) or 0
  -- Not for ever, if the clock was wrong then.
  self.retry_at = self.failures > 0
    and math.min(number(note.retry_at) or 0, time.now() + RETRY_MOST) or nil
  self.error = self.failures > 0 and type(note.error) == "string" and note.error or nil
  self:look()
  return self
end

-- What a restart is to know.
function Certificate:save()
  client_class.kept(self.keeper.set_note(self.wish.place, self.wish.domain, json.encode({
    asked = self.asked, order = self.order, failures = self.failures, retry_at = self.retry_at,
    error = self.error,
  })))
end

-- What is there of it, and when that is to be renewed.
function Certificate:look()
  local wish = self.wish
  self.not_before, self.not_after, self.replaces = self.keeper.kept(wish.place, wish.domain)
  self.renew_at = self.not_after
    and plan.renew_at(self.not_before, self.not_after, self.draw) or nil
  self.ask_at = self.replaces and 0 or nil
end

--- When something is to be done for it; 0: at once.
function Certificate:next()
  local at = self.retry_at or self.renew_at or 0
  if not self.retry_at and self.ask_at then
    at = math.min(at, self.ask_at)
  end
  return math.max(at, self.client.blocked_until)
end

local function whole(at)
  return at and math.floor(at)
end

function Certificate:tell()
  self.keeper.tell(self.wish.place .. "/" .. self.wish.domain, json.encode({
    domain = self.wish.domain, not_after = self.not_after, renew_at = whole(self.renew_at),
    retry_at = whole(self.retry_at), error = self.error,
  }))
end

local function renewal_info(client, id)
  local base = client:resources().renewalInfo
  if type(base) == "string" then
    return client:get(base .. "/" .. id)
  end
end

-- RFC 9773. A directory that knows nothing of it is not asked again; one that does not answer
-- leaves everything as it is.
function Certificate:ask_directory()
  local ok, info, response = pcall(renewal_info, self.client, self.replaces)
  if ok and not info then
    self.ask_at = nil
    return
  end
  local seconds = ok and plan.retry_after(response.headers["retry-after"], time.now())
  self.ask_at = time.now() + plan.ask_again(seconds or nil)
  self.renew_at = ok and plan.renew_within(info.suggestedWindow, self.draw) or self.renew_at
  if not ok then
    log.warn("certificate for " .. self.wish.domain .. ": the directory does not say when it is "
      .. "to be renewed: " .. tostring(info))
  end
end

local function date(at)
  return os.date("!%Y-%m-%d %H:%M:%S UTC", at)
end

function Certificate:succeeded()
  self.failures, self.retry_at, self.error = 0, nil, nil
  self.draw = math.random()
  self:look()
  -- Not at once: a directory that always says "now" would be asked for one after the other.
  self.ask_at = self.ask_at and time.now() + plan.ask_again()
  self:save()
  self.keeper.issued()
  log.info(("certificate for %s: issued, good until %s"):format(self.wish.domain,
    date(self.not_after)))
end

local function serves(self)
  if not self.not_after then
    return "a self-signed one is served"
  end
  return "the one that is served ends " .. date(self.not_after)
end

-- What is no fault of the directory is one of ours, and is told the same way.
function Certificate:failed(fault)
  local known = client_class.is_fault(fault)
  self.failures = self.failures + 1
  local wait = plan.backoff(self.failures, known and fault.kind or "refused",
    known and fault.retry_after or nil, math.random())
  self.retry_at, self.error = time.now() + wait, tostring(fault)
  log.error(("certificate for %s: %s; tried again in %.0f s, %s"):format(self.wish.domain,
    self.error, wait, serves(self)))
  pcall(self.save, self)
end

function Certificate:is_due()
  return self.retry_at or not self.renew_at or self.renew_at <= time.now()
end

local function work(self)
  if not self:is_due() then
    self:ask_directory()
  end
  if self:is_due() then
    order.run(self.client, self.wish, self)
    self:succeeded()
  end
end

--- Does what is due, and tells how it stands.
function Certificate:run()
  local ok, err = pcall(work, self)
  if not ok then
    self:failed(err)
  end
  self:tell()
end

-- --- all of them ---

local Keeping = {}
Keeping.__index = Keeping

-- One directory's certificates share its client.
function Keeping:add(wish)
  local client = self.clients[wish.place] or client_class.new(wish, self.keeper)
  self.clients[wish.place] = client
  local certificate = certificate_new(wish, client)
  certificate:tell()
  self.certificates[#self.certificates + 1] = certificate
end

-- Somebody else has the folder, or it cannot be used.
function Keeping:wait_for_lease(wish, why)
  local _, not_after = self.keeper.kept(wish.place, wish.domain)
  self.keeper.tell(wish.place .. "/" .. wish.domain, json.encode({
    domain = wish.domain, not_after = not_after, error = why,
    retry_at = whole(time.now() + LEASE_SECONDS),
  }))
  if not self.told[wish.folder] then
    self.told[wish.folder] = true
    log.warn("certificates in " .. wish.folder .. ": " .. why)
  end
end

-- Two servers may share a folder: one of them asks, the other serves what it finds there.
function Keeping:take_leases()
  local left = {}
  for _, wish in ipairs(self.waiting) do
    local held, err = self.keeper.lease(wish.folder)
    if held then
      self:add(wish)
    else
      left[#left + 1] = wish
      self:wait_for_lease(wish, err or "another server asks for them, they are taken from there")
    end
  end
  self.waiting = left
end

-- Whoever has the lease may have put others there.
function Keeping:look_at_others()
  local changed = false
  for _, wish in ipairs(self.waiting) do
    local _, not_after = self.keeper.kept(wish.place, wish.domain)
    local key = wish.place .. "/" .. wish.domain
    changed = changed or (not_after ~= nil and self.seen[key] ~= not_after)
    self.seen[key] = not_after
  end
  if changed then
    self.keeper.issued()
  end
end

function Keeping:first()
  local first, at
  for _, certificate in ipairs(self.certificates) do
    local its = certificate:next()
    if not at or its < at then
      first, at = certificate, its
    end
  end
  return first, at
end

function Keeping:step()
  if #self.waiting > 0 then
    self:take_leases()
    self:look_at_others()
  end
  local certificate, at = self:first()
  local now = time.now()
  if certificate and at <= now then
    certificate:run()
    return
  end
  local wait = math.min(at and at - now or SLEEP_MOST, SLEEP_MOST)
  time.sleep(#self.waiting > 0 and math.min(wait, LEASE_SECONDS) or wait):await()
end

---@param wishes table[] domain, place, folder, directory, challenge, email, ca, key_id, hmac_key
---@param keeper table src/lua/bind_acme.c
function M.new(wishes, keeper)
  return setmetatable({
    keeper = keeper, waiting = wishes, certificates = {}, clients = {}, told = {}, seen = {},
  }, Keeping)
end

--- Goes on for ever, in the coroutine of the caller.
---@param wishes table[]
---@param keeper table
function M.run(wishes, keeper)
  local keeping = M.new(wishes, keeper)
  while true do
    keeping:step()
  end
end

return M
