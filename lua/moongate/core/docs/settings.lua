--- What settings.md says of each key of the configuration: "## key", its meaning, and as its last
--- line "example: " and what a configuration's table holds.
local M = {}

---@class moongate.docs.SettingText
---@field text string Markdown
---@field example string a configuration that has the key

local function entry_of(path, lines)
  local last = table.remove(lines)
  local example = last and last:match("^example: (.+)$")
  if not example or #lines == 0 then
    error("settings.md: " .. path .. ": a meaning is wanted, and a last line that begins with "
      .. "'example: '", 0)
  end
  return { text = table.concat(lines, "\n"), example = "return { " .. example .. " }" }
end

--- By the keys' paths, as "limits.body" and "upstreams.*.hash".
---@param text string of settings.md
---@return table<string, moongate.docs.SettingText>
function M.parse(text)
  local entries, path, lines = {}, nil, {}
  for line in (text .. "\n## "):gmatch("[^\n]+") do
    local heading = line:match("^## ?(.*)$")
    if not heading then
      lines[#lines + 1] = line
    else
      if path then
        entries[path] = entry_of(path, lines)
      end
      path, lines = heading, {}
    end
  end
  return entries
end

--- Adds to each setting what its entry says.
---@param settings moongate.docs.Setting[]
---@param entries table<string, moongate.docs.SettingText>
---@return moongate.docs.Setting[] settings
function M.complete(settings, entries)
  for _, setting in ipairs(settings) do
    local entry = entries[setting.path]
    if entry then
      setting.text, setting.example = entry.text, entry.example
    end
  end
  return settings
end

return M
