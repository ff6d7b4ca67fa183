--- Photos and their files.
local moongate = require("moongate")
local events = require("events")

local FOLDER = "var/photos"
local TYPES = { ["image/png"] = ".png", ["image/jpeg"] = ".jpg" }
local COLUMNS = "id, title, media_type, bytes"

-- The photo that the path names, and its file if it has one. (NULL is null, which counts as true.)
local function find(ctx)
  local photo = ctx:database():one("SELECT " .. COLUMNS .. ", file FROM photos WHERE id = $1",
    ctx.params.id):await() or ctx:fail(404, "there is no photo " .. ctx.params.id)
  local file = photo.file ~= moongate.json.null and photo.file or nil
  photo.file = nil
  return photo, file
end

local function title_of(ctx)
  local body = ctx:body_json():await()
  return type(body) == "table" and type(body.title) == "string" and body.title
    or ctx:fail(422, "a title is wanted")
end

local function list(ctx)
  local rows = ctx:query_database("SELECT " .. COLUMNS .. " FROM photos ORDER BY id"):await()
  return { photos = moongate.json.array(rows) }
end

local function make(ctx)
  local title = title_of(ctx)
  local id = ctx:transaction(function(tx)
    local made = tx:query("INSERT INTO photos (title) VALUES ($1)", title):await().last_id
    events.tell(tx, "made", made)
    return made
  end):await()
  ctx:header("Location", "/photos/" .. id)
  return 201, { id = id, title = title }
end

local function rename(ctx)
  local photo, title = find(ctx), title_of(ctx)
  ctx:transaction(function(tx)
    tx:query("UPDATE photos SET title = $2 WHERE id = $1", photo.id, title):await()
    events.tell(tx, "renamed", photo.id)
  end):await()
  photo.title = title
  return photo
end

local function delete(ctx)
  local photo, file = find(ctx)
  ctx:transaction(function(tx)
    tx:query("DELETE FROM photos WHERE id = $1", photo.id):await()
    events.tell(tx, "deleted", photo.id)
  end):await()
  if file then
    ctx:delete_file(FOLDER .. "/" .. file):await()
  end
  return 204
end

-- The file lies there before the row names it, so that nobody sees a photo without one.
local function upload(ctx)
  local photo, old = find(ctx)
  local file = ctx:body_form():await().photo
  local ending = type(file) == "table" and TYPES[file.content_type]
  if not ending then
    ctx:fail(415, "a field photo with a PNG or JPEG is wanted")
  end
  local name = moongate.uuid() .. ending
  ctx:write_file(FOLDER .. "/" .. name, file.body, { make_folders = true }):await()
  ctx:transaction(function(tx)
    tx:query("UPDATE photos SET file = $2, media_type = $3, bytes = $4 WHERE id = $1",
      photo.id, name, file.content_type, #file.body):await()
    events.tell(tx, "uploaded", photo.id)
  end):await()
  if old then
    ctx:delete_file(FOLDER .. "/" .. old):await()
  end
  return 201, { bytes = #file.body }
end

local function download(ctx)
  local photo, file = find(ctx)
  if not file then
    ctx:fail(404, "nothing was uploaded yet")
  end
  ctx:send_file(file, { root = FOLDER, type = photo.media_type, cache = 3600 })
end

return function(photos)
  photos:get("/", list)
  photos:post("/", make)
  photos:get("/:id<int>", function(ctx) return (find(ctx)) end)
  photos:put("/:id<int>", rename)
  photos:delete("/:id<int>", delete)
  photos:post("/:id<int>/file", { body = "10M", timeout = 60 }, upload)
  photos:get("/:id<int>/file", download)
end
