--- An nginx for the gateway's HTTP client to call: servers in the field are not ours, nor node's.
local process = require("support.process")
local servers = require("support.server")
local wire = require("support.wire")
local M = {}

local CONFIG = [[
daemon off;
master_process off;
pid %(folder)s/pid;
error_log %(folder)s/error.log;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path %(folder)s/body;
  proxy_temp_path %(folder)s/proxy;
  fastcgi_temp_path %(folder)s/fastcgi;
  uwsgi_temp_path %(folder)s/uwsgi;
  scgi_temp_path %(folder)s/scgi;
  gzip_types text/plain;
  gzip_min_length 100;
  server {
    listen 127.0.0.1:%(port)d;
    listen 127.0.0.1:%(tls_port)d ssl;
    ssl_certificate %(folder)s/good.pem;
    ssl_certificate_key %(folder)s/good.key;
    root %(folder)s/www;
    default_type text/plain;
    location / { }
    location /coded/ { gzip on; alias %(folder)s/www/; }
    location /hasty/ { keepalive_requests 7; alias %(folder)s/www/; }
    location /brief/ { keepalive_timeout 100ms; alias %(folder)s/www/; }
    location /silence { return 444; }
    location /moved { return 308 /relayed/echo; }
    location = /small { client_max_body_size 1k; proxy_pass %(behind)s/echo; }
    location /relayed/ { client_max_body_size 100m; proxy_pass %(behind)s/; }
    location /streamed/ {
      client_max_body_size 100m;
      proxy_request_buffering off;
      proxy_http_version 1.1;
      proxy_pass %(behind)s/;
    }
  }
}
]]

local Nginx = {}
Nginx.__index = Nginx

function Nginx:url(target)
  return ("http://127.0.0.1:%d%s"):format(self.port, target)
end

function Nginx:tls_url(target)
  return ("https://127.0.0.1:%d%s"):format(self.tls_port, target)
end

function Nginx:stop()
  self.process:destroy()
  process.remove_folder(self.folder)
end

--- The program, fetched if need be; nil and what is wrong if it cannot be had.
function M.find()
  local found = process.run({ "sh", "tests/setup/nginx.sh" }, 120)
  if found.status ~= 0 then
    return nil, found.err
  end
  return (found.out:match("[^\n]+"))
end

local function can_connect(port)
  return pcall(function()
    wire.connect("127.0.0.1", port):close()
  end)
end

--- Starts it.
---@param program string from M.find
---@param upstream table whose certificate it shows
---@param behind string URL of what it relays to
---@param files table<string, string> below its root
function M.start(program, upstream, behind, files)
  local folder = process.temp_folder()
  local values = { folder = folder, behind = behind, port = servers.free_port(),
    tls_port = servers.free_port() }
  os.execute(("mkdir '%s/www' && cp '%s/good.pem' '%s/good.key' '%s/'"):format(folder,
    upstream.folder, upstream.folder, folder))
  for name, text in pairs(files) do
    process.write_file(folder .. "/www/" .. name, text)
  end
  process.write_file(folder .. "/nginx.conf", (CONFIG:gsub("%%%((%w+_?%w*)%)[sd]", values)))
  local started = process.start({ program, "-e", folder .. "/error.log", "-p", folder, "-c",
    folder .. "/nginx.conf" }, folder .. "/out", folder .. "/err")
  values.process = started
  local self = setmetatable(values, Nginx)
  process.wait_until("nginx accepts", function()
    assert(not started:poll(), process.read_file(started.err))
    return can_connect(self.port)
  end)
  return self
end

return M
