-- A peer's texts become Lua strings, which lie in one hash table: keys that were made to collide
-- there cost no more than others.
--
-- No time is asserted, only how two measurements in a row relate. A chain of n strings costs n^2/2
-- comparisons: with the numbers below a hundred times of what scattered strings cost.
local native = require("moongate.native")
local bit = require("bit")

local COUNT, ROUNDS, TIMES_MOST = 20000, 3, 12

-- --- keys ---

local function step(crc, byte)
  crc = bit.bxor(crc, byte)
  for _ = 1, 8 do
    crc = bit.bxor(bit.rshift(crc, 1), bit.band(crc, 1) == 1 and 0x82F63B78 or 0)
  end
  return crc
end

local function crc32c(bytes)
  local crc = 0
  for i = 1, #bytes do
    crc = step(crc, bytes[i])
  end
  return crc
end

local function zeros()
  return { 0, 0, 0, 0, 0, 0, 0, 0 }
end

local function add(sum, diff)
  for i = 1, #sum do
    sum[i] = bit.bxor(sum[i], diff[i])
  end
end

-- Differences of eight bytes, in their six lower bits, that CRC32C does not see: its kernel there,
-- by elimination.
local function kernel()
  local rows, basis = {}, {}
  for i = 0, 47 do
    local diff = zeros()
    diff[math.floor(i / 6) + 1] = 2 ^ (i % 6)
    local crc = crc32c(diff)
    for _, row in ipairs(rows) do
      if bit.band(crc, row.top) ~= 0 then
        crc = bit.bxor(crc, row.crc)
        add(diff, row.diff)
      end
    end
    if crc == 0 then
      basis[#basis + 1] = diff
    else
      rows[#rows + 1] = { crc = crc, top = bit.band(crc, -crc), diff = diff }
    end
  end
  return basis
end

-- luajit2 hashes eight bytes at a time with CRC32C, of which no seed makes a secret.
local function crc_keys()
  local basis, keys, bytes, n = kernel(), {}, { ("mmmmmmmm"):byte(1, 8) }, 0
  while #keys < COUNT do
    n = n + 1
    local i, rest = 1, n -- a Gray code: each sum differs from the one before in one member
    while rest % 2 == 0 do
      i, rest = i + 1, rest / 2
    end
    add(bytes, basis[i])
    local text = string.char(unpack(bytes))
    if text:find("^[%a^_`|~]+$") then
      keys[#keys + 1] = "aaaaaaaa" .. text
    end
  end
  return keys
end

-- LuaJIT looks at 16 bytes of a long string first: both ends, the middle and the quarter.
local function sparse_keys()
  local keys = {}
  for i = 1, COUNT do
    keys[i] = ("b"):rep(18) .. ("%010d"):format(i) .. "bbbb"
  end
  return keys
end

local function scattered_keys(length)
  local keys, x = {}, 1
  for i = 1, COUNT do
    x = (x * 16807) % 2147483647
    keys[i] = ("%08x%06d"):format(x, i) .. ("%08x"):format((x * 3) % 4294967296):rep(3)
    keys[i] = keys[i]:sub(1, length)
  end
  return keys
end

-- --- where they come in ---

local function pieces(keys, place)
  local list = {}
  for first = 1, #keys, place.size do
    local last = math.min(first + place.size - 1, #keys)
    list[#list + 1] = place[1] .. table.concat(keys, place[2], first, last) .. place[3]
  end
  return list
end

local TYPE = "multipart/form-data; boundary=B"

-- How many keys come at once; what stands before them, between them and behind them.
local PLACES = {
  ["keys of a JSON object"] = { '{"', '":1,"', '":1}', size = 1e9, read = native.json.decode },
  ["strings of a JSON array"] = { '["', '","', '"]', size = 1e9, read = native.json.decode },
  ["fields of a form"] = { "", "=1&", "=1", size = 4000, read = native.http.parse_form },
  ["keys of a query"] = { "", "=1&", "=1", size = 1000, read = native.http.parse_query },
  ["cookies"] = { "", "=1; ", "=1", size = 2000, read = native.http.parse_cookies },
  ["parts of a form"] = {
    '--B\r\nContent-Disposition: form-data; name="',
    '"\r\n\r\n1\r\n--B\r\nContent-Disposition: form-data; name="', '"\r\n\r\n1\r\n--B--\r\n',
    size = 100,
    read = function(text)
      return native.http.parse_multipart(text, TYPE)
    end,
  },
}

-- Seconds of the processor for all of them, all strings alive at once; the least of some rounds.
local function cost(place, keys)
  local texts, least = pieces(keys, place), math.huge
  for i = 1, #keys do
    keys[i] = nil
  end
  for _ = 1, ROUNDS do
    collectgarbage()
    local before, results = os.clock(), {}
    for i, text in ipairs(texts) do
      results[i] = assert(place.read(text))
    end
    least = math.min(least, os.clock() - before)
    assert.is_true(#results > 0)
  end
  return least
end

for name, place in pairs(PLACES) do
  for kind, keys in pairs({ ["CRC32C"] = crc_keys, ["a few bytes"] = sparse_keys }) do
    it(name .. " that collide by " .. kind .. " cost what others cost", function()
      local hostile = keys()
      local length = #hostile[1]
      local plain = cost(place, scattered_keys(length))
      assert.is_true(cost(place, hostile) < plain * TIMES_MOST)
    end)
  end
end

it("the keys collide", function()
  local keys, seen = crc_keys(), {}
  for i = 1, 100 do
    seen[crc32c({ keys[i]:byte(9, 16) })] = true
  end
  local sum = next(seen)
  assert.is_nil(next(seen, sum))
  assert.not_equal(keys[1], keys[2])
end)
