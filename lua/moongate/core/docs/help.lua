--- `moongate help NAME`: an entry of the reference in the terminal.
local markdown = require("moongate.core.docs.markdown")
local terminal = require("moongate.core.docs.terminal")
local suggest = require("moongate.core.suggest")

local M = {}

-- What stands behind a name's last dot or colon.
local function last_part(name)
  return name:match("[.:]([%w_]+)$")
end

-- Whether `name` is meant by a reader's `asked`: the whole of it, or its last part. Of the keys of
-- lists and named tables "listen.tls" and "upstreams.hash" will do.
local function fits(name, asked)
  return name == asked or name:gsub(":", ".") == asked or last_part(name) == asked
    or name:gsub("%[%]", ""):gsub("%.%*", "") == asked
end

local function entry_text(entry)
  return terminal.render("# " .. markdown.signature(entry) .. "\n\n" .. markdown.entry(entry))
end

local function setting_text(setting)
  return terminal.render("# " .. setting.path .. " (configuration)\n\n"
    .. markdown.setting(setting))
end

-- A page by its id or title: "future", "guide-routing", "routing".
local function page_text(reference, name)
  local page = reference.page_of[name] or reference.page_of["guide-" .. name]
  return page and terminal.render(markdown.page(page))
end

-- What else is called by that name, one line each: the settings of a table, a guide.
local function also(reference, facts, name)
  local names = {}
  for _, setting in ipairs(facts.settings) do
    if setting.path:sub(1, #name + 1) == name .. "." then
      names[#names + 1] = setting.path
    end
  end
  if reference.page_of["guide-" .. name] then
    names[#names + 1] = "guide-" .. name
  end
  local before = "\n  moongate help "
  return #names > 0 and before .. table.concat(names, before) .. "\n" or ""
end

-- What is called on a thing such as ctx, app or ws, a line each; nil if nothing is.
local function members(reference, name)
  local lines = {}
  for _, entry in ipairs(reference.entries) do
    if entry.name:match("^(.*)[.:][%w_]+$") == name then
      lines[#lines + 1] = "  moongate help " .. entry.name
    end
  end
  return lines[1] and name .. " has:\n\n" .. table.concat(lines, "\n") .. "\n"
end

local function exact(reference, facts, name)
  local entry = reference.by_name[name]
  if entry then
    return entry_text(entry)
  end
  for _, setting in ipairs(facts.settings) do
    if setting.path == name then
      return setting_text(setting) .. also(reference, facts, name)
    end
  end
  local listed = name:find("%*$") and also(reference, facts, name) or ""
  return listed ~= "" and listed:sub(2) or page_text(reference, name)
    or members(reference, name)
end

local function all_that_fit(reference, facts, name)
  local found = {}
  for _, entry in ipairs(reference.entries) do
    if fits(entry.name, name) then
      found[#found + 1] = { name = entry.name, text = entry_text(entry) }
    end
  end
  for _, setting in ipairs(facts.settings) do
    if fits(setting.path, name) then
      found[#found + 1] = { name = setting.path, text = setting_text(setting) }
    end
  end
  return found
end

local function names_of(reference, facts)
  local names = {}
  for _, entry in ipairs(reference.entries) do
    names[entry.name] = true
    names[entry.name:match("[.:]([%w_]+)$") or entry.name] = true
  end
  for _, setting in ipairs(facts.settings) do
    names[setting.path] = true
  end
  for _, command in ipairs(facts.commands) do
    names[command.name] = true
  end
  for _, page in ipairs(reference.pages) do
    names[(page.id:gsub("^guide%-", ""))] = true
  end
  return names
end

--- The text for a name; or nil, and what to say instead.
---@param reference moongate.docs.Reference
---@param facts table settings and commands
---@param name string
---@return string?, string?
function M.of(reference, facts, name)
  local text = exact(reference, facts, name)
  if text then
    return text
  end
  local found = all_that_fit(reference, facts, name)
  if #found == 0 and last_part(name) then -- another thing's, or the same by another name
    found = all_that_fit(reference, facts, last_part(name))
  end
  if #found == 1 then
    return found[1].text
  elseif #found > 1 then
    local out = { name .. " may be one of several things:\n" }
    for _, one in ipairs(found) do
      out[#out + 1] = "  moongate help " .. one.name
    end
    return table.concat(out, "\n") .. "\n"
  end
  local near = suggest.nearest(name, names_of(reference, facts))
  return nil, name .. ": the reference has no such name"
    .. (near and " (did you mean \"" .. near .. "\"?)" or "")
end

return M
