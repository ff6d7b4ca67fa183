--- One certificate, from the order to the file (RFC 8555 section 7.1.6).
---
---   (none) --newOrder--> pending --every name is proved--> ready --finalize--> processing
---      ^                   |  ^                               |                    |
---      |                   |  +-- shown, looked at, hidden    | <- a restart goes  | polled
---      |                   v                                  |    on from here    v
---      +--------------- invalid <-----------------------------+------------------ valid
---                                                                                  |
---                                                                       downloaded, kept: over
---
--- The order's URL is noted and its key kept before it is asked for, so a restart goes on where it
--- was, in whatever state the directory has it; what it knows no more is begun anew.
local client_class = require("moongate.core.acme.client")
local time = require("moongate.time")

local M = {}

local SHOWN_SECONDS, LOOK = 10, 0.02
local UNDER_WAY = { pending = true, ready = true, processing = true, valid = true }
local UNDECIDED = { pending = true, processing = true }
local fail, kept = client_class.fail, client_class.kept

-- --- proofs ---

local function challenge_of(authorization, wish)
  local offered = {}
  for _, challenge in ipairs(authorization.challenges or {}) do
    if challenge.type == wish.challenge then
      return challenge
    end
    offered[#offered + 1] = tostring(challenge.type)
  end
  fail("refused", "the directory does not look at " .. wish.challenge .. " for " .. wish.domain
    .. ", but at " .. table.concat(offered, ", "))
end

-- All workers have it; an answer of the master is nothing that a Future waits for.
local function wait_until_shown(keeper)
  local until_ = time.monotonic() + SHOWN_SECONDS
  while not keeper.is_shown() do
    if time.monotonic() > until_ then
      fail("unreached", "the master does not take the challenge")
    end
    time.sleep(LOOK):await()
  end
end

local function why_invalid(authorization, wish)
  for _, challenge in ipairs(authorization.challenges or {}) do
    if type(challenge.error) == "table" then
      client_class.fail_with(challenge.error)
    end
  end
  fail("refused", "the directory does not believe that " .. wish.domain .. " is ours")
end

local function show(client, url, challenge, wish)
  local keeper = client.keeper
  kept(keeper.show(wish.challenge, wish.domain,
    tostring(challenge.token) .. "." .. client:thumbprint()))
  wait_until_shown(keeper)
  if challenge.status == "pending" then
    client:post(challenge.url, {})
  end
  return client:poll(url, UNDECIDED)
end

local function prove(client, url, wish)
  local authorization = client:ask(url)
  if UNDECIDED[authorization.status] then
    local ok, result = pcall(show, client, url, challenge_of(authorization, wish), wish)
    client.keeper.hide()
    authorization = ok and result or error(result, 0)
  end
  if authorization.status ~= "valid" then
    why_invalid(authorization, wish)
  end
end

-- --- the order ---

local function begin(client, wish, state)
  local payload = { identifiers = { { type = "dns", value = wish.domain } } }
  if state.replaces and client:resources().renewalInfo then -- RFC 9773 section 5
    payload.replaces = state.replaces
  end
  local order, response = client:ask(client:resources().newOrder, payload)
  local url = response.headers.location
  if not url then
    fail("refused", "the directory does not say where the order is")
  end
  state.order = url
  state:save()
  return order
end

-- What has been begun before; nil: nothing that leads anywhere.
local function resume(client, state)
  if not state.order then
    return nil
  end
  local ok, order = pcall(client.ask, client, state.order)
  if ok and UNDER_WAY[order.status] then
    return order
  elseif not ok and not (client_class.is_fault(order) and order.kind == "refused") then
    error(order, 0)
  end
  state.order = nil
  state:save()
end

local function finalize(client, wish, order)
  local request = kept(client.keeper.request(wish.place, wish.domain))
  client:ask(order.finalize, { csr = request })
end

local function advance(client, wish, state, order)
  if order.status == "pending" then
    for _, url in ipairs(order.authorizations or {}) do
      prove(client, url, wish)
    end
    order = client:poll(state.order, { pending = true })
  end
  if order.status == "ready" then
    finalize(client, wish, order)
    order = client:poll(state.order, { ready = true, processing = true })
  end
  if order.status ~= "valid" then
    client_class.fail_with(type(order.error) == "table" and order.error
      or { detail = "the order has become " .. tostring(order.status) })
  end
  return order
end

local function download(client, wish, order)
  local response = client:post(order.certificate, nil, "application/pem-certificate-chain")
  kept(client.keeper.keep(wish.place, wish.domain, response.body))
end

--- Gets a certificate for `wish.domain` and keeps it. Raises a fault.
---@param client table core/acme/client.lua
---@param wish table domain, place, challenge
---@param state table order (its URL), replaces; save()
function M.run(client, wish, state)
  local ok, err = pcall(function()
    local order = resume(client, state) or begin(client, wish, state)
    download(client, wish, advance(client, wish, state, order))
  end)
  -- What only could not be reached is gone on with.
  if ok or (client_class.is_fault(err) and err.kind == "refused") then
    state.order = nil
    state:save()
  end
  return ok or error(err, 0)
end

return M
