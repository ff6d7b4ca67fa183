--- nginx from Debian's packages (tests/setup/peers.sh) as a server for the gateway to call.
local process = require("support.process")
local servers = require("support.server")
local wire = require("support.wire")
local M = {}

local ROOT = "build/peers"
local PROGRAM = ROOT .. "/root/usr/sbin/nginx"

local CONF = [[
daemon off;
user root root; # its worker reads below a private folder
worker_processes 1;
pid nginx.pid;
error_log stderr error;
events { worker_connections 512; }
http {
  access_log off;
  client_max_body_size 16m;
  default_type text/plain;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  gzip_types text/plain;
  gzip_min_length 1;
  server {
    listen 127.0.0.1:%d;
    listen 127.0.0.1:%d ssl;
    listen unix:%s;
    ssl_certificate good.pem;
    ssl_certificate_key good.key;
    root .;
    location /files/ { }
    location /zipped/ { alias files/; gzip on; }
    location /slow/ { alias files/; limit_rate 4k; }
    location /few/ { alias files/; keepalive_requests 2; }
    location /moved { return 301 /files/small.txt; }
    location /dav/ { dav_methods PUT DELETE; create_full_put_path on; }
    location /refused { return 503 "busy"; }
    location /back { proxy_pass http://127.0.0.1:%d/files/; proxy_http_version 1.0; }
    location /who { return 200 "$request_method $scheme $ssl_protocol $connection_requests"; }
  }
}
]]

local Nginx = {}
Nginx.__index = Nginx

function Nginx:url(target)
  return "http://127.0.0.1:" .. self.port .. target
end

function Nginx:tls_url(target)
  return "https://localhost:" .. self.tls_port .. target
end

function Nginx:stop()
  self.process:signal("TERM")
  self.process:wait()
  process.remove_folder(self.folder)
end

local function accepts(port)
  local ok, conn = pcall(wire.connect, "127.0.0.1", port)
  if ok then
    conn:close()
  end
  return ok
end

--- Starts it in a folder of its own, with files/small.txt and files/large.txt (3,000,000 bytes).
---@param pki string a folder with good.pem and good.key
function M.start(pki)
  local folder = process.temp_folder()
  local nginx = setmetatable({
    folder = folder, port = servers.free_port(), tls_port = servers.free_port(),
    socket = folder .. "/nginx.sock",
  }, Nginx)
  os.execute(("mkdir %s/files %s/dav && cp %s/good.pem %s/good.key %s"):format(folder, folder, pki,
    pki, folder))
  process.write_file(folder .. "/files/small.txt", "small\n")
  process.write_file(folder .. "/files/large.txt", ("0123456789"):rep(300000))
  process.write_file(folder .. "/nginx.conf",
    CONF:format(nginx.port, nginx.tls_port, nginx.socket, nginx.port))
  nginx.process = process.start({
    "env", "LD_LIBRARY_PATH=" .. ROOT .. "/lib", PROGRAM, "-e", "stderr", "-p", folder .. "/",
    "-c", folder .. "/nginx.conf",
  }, folder .. "/out", folder .. "/err")
  process.wait_until("nginx accepts", function()
    local status = nginx.process:poll()
    assert(not status, "nginx ended: " .. process.read_file(folder .. "/err"))
    return accepts(nginx.port) and accepts(nginx.tls_port)
  end)
  return nginx
end

return M
