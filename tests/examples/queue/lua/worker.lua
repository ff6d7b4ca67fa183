--- Delivers what is due. A job lies in the database, so that it outlives the process.
local moongate = require("moongate")
local signature = require("signature")
local M = {}

local TRIES = 6
local AT_ONCE = 10

-- 2, 4, 8 ... seconds, and up to a quarter more, so that those that failed together do not come
-- again together.
local function backoff(tries)
  return math.min(2 ^ tries, 3600) * (1 + math.random() / 4)
end

local function deliver(job, secret)
  local headers = signature.headers(secret, job.payload)
  headers["Content-Type"] = "application/json"
  headers["Idempotency-Key"] = "job-" .. job.id
  local res = moongate.http.post(job.url, {
    body = job.payload, headers = headers, timeout = 5, redirects = false,
  }):await()
  if not res:ok() then
    error("status " .. res.status, 0)
  end
end

local function run(job, secret)
  local db = moongate.database()
  local good, err = pcall(deliver, job, secret)
  if good then
    db:query("UPDATE jobs SET state = 'done', tries = tries + 1, fault = NULL WHERE id = $1",
      job.id):await()
    return
  end
  local tries = job.tries + 1
  local dead = tries >= TRIES
  moongate.log[dead and "error" or "warn"]("a delivery failed", {
    job = job.id, tries = tries, fault = tostring(err),
  })
  db:query("UPDATE jobs SET state = $2, tries = $3, due = $4, fault = $5 WHERE id = $1", job.id,
    dead and "dead" or "waiting", tries, moongate.now() + backoff(tries), tostring(err)):await()
end

--- Tries what is due, several at once. Every worker may tick; the job runs in one of them.
function M.run_due(secret)
  local jobs = moongate.database():query("SELECT id, url, payload, tries FROM jobs "
    .. "WHERE state = 'waiting' AND due <= $1 ORDER BY due LIMIT $2",
    moongate.now(), AT_ONCE):await()
  local runs = {}
  for i, job in ipairs(jobs) do
    runs[i] = moongate.spawn(run, job, secret)
  end
  moongate.Future.all(runs):await()
end

return M
