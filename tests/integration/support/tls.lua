--- Certificates made by openssl, and the foreign clients: openssl s_client and curl.
local process = require("support.process")
local M = {}

local function must(argv)
  local run = process.run(argv, 30)
  assert(run.status == 0, table.concat(argv, " ") .. "\n" .. run.err)
  return run.out
end

--- NAME.pem and NAME.key in `folder`, self-signed.
---@param options table|nil days (30), rsa, alt (subjectAltName, DNS:NAME unless told), subject
function M.make(folder, name, options)
  options = options or {}
  local kind = options.rsa and { "rsa:2048" } or { "ec", "-pkeyopt", "ec_paramgen_curve:P-256" }
  local argv = { "openssl", "req", "-x509", "-nodes", "-newkey", unpack(kind) }
  for _, word in ipairs({
    "-days", tostring(options.days or 30), "-subj", options.subject or "/CN=" .. name,
    "-addext", "subjectAltName=" .. (options.alt or "DNS:" .. name),
    "-keyout", ("%s/%s.key"):format(folder, name), "-out", ("%s/%s.pem"):format(folder, name),
  }) do
    argv[#argv + 1] = word
  end
  must(argv)
end

--- One whose days are over.
function M.make_expired(folder, name)
  local base = folder .. "/" .. name
  M.make(folder, name)
  must({
    "openssl", "req", "-new", "-key", base .. ".key", "-subj", "/CN=" .. name, "-out",
    base .. ".csr",
  })
  must({
    "openssl", "x509", "-req", "-in", base .. ".csr", "-signkey", base .. ".key", "-days", "-1",
    "-out", base .. ".pem",
  })
end

---@return table status, out, err of s_client, to whom `input` is typed
function M.s_client(port, input, ...)
  local words = { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, ... }
  for i, word in ipairs(words) do
    words[i] = "'" .. word .. "'"
  end
  return process.run({
    "sh", "-c", ("printf '%s' | timeout 10 %s"):format(input or "", table.concat(words, " ")),
  }, 20)
end

---@return table status, out, err of curl, which trusts nobody in particular
function M.curl(...)
  return process.run({ "curl", "-sk", "--max-time", "10", ... }, 20)
end

--- A request to `name` at a port of this machine.
function M.get(port, name, ...)
  return M.curl("--resolve", ("%s:%d:127.0.0.1"):format(name, port),
    ("https://%s:%d%s"):format(name, port, "/tls"), ...)
end

return M
