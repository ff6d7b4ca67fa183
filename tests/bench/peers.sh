#!/bin/sh
# Brings nginx with its Lua module, HAProxy and h2o into build/peers and installs nothing: no service starts, nothing
# outside changes.
set -eu
cd "$(dirname "$0")/../.."
peers=build/peers
packages="nginx libnginx-mod-http-lua libnginx-mod-http-ndk lua-resty-core lua-resty-lrucache lua-nginx-redis lua-cjson libpcre3 libluajit2-5.1-2
haproxy liblua5.3-0 libopentracing-c-wrapper0 libopentracing1 h2o"

[ -e "$peers/complete" ] && [ -e "$peers/root/usr/share/lua/5.1/nginx/redis.lua" ] && exit 0
# shellcheck disable=SC2086
tests/setup/unpack.sh "$peers" $packages
mkdir -p "$peers/lib" "$peers/temp"
# lib/ holds what Debian would find by its own paths: the JSON module under the name that `require` uses, libpcre, and
# the LuaJIT that nginx's module needs and that cannot be installed beside ours, the Lua of HAProxy.
cp "$peers"/root/usr/lib/*/liblua5.1-cjson.so.0.0.0 "$peers/lib/cjson.so"
find "$peers/root" \( -name 'libpcre.so.3*' -o -name 'libluajit-5.1.so.2*' \
    -o -name 'liblua5.3.so.*' -o -name "libopentracing*.so.*" \) -exec cp -P {} "$peers/lib/" \;

# W2x128: 128 handlers, each a chunk of its own, so that no trace of the JIT serves them all.
for n in $(seq 0 127); do
    cat <<END
location /r$(printf %03d "$n")/ {
  default_type application/json;
  content_by_lua_block {
    local id = string.sub(ngx.var.uri, 7)
    local body = encode({ id = id, name = "user " .. id, route = $n })
    ngx.header.content_length = #body
    ngx.print(body)
  }
}
END
done >"$peers/many.conf"
programs="$peers/root/usr/sbin/nginx $peers/root/usr/lib/nginx/modules/ngx_http_lua_module.so
$peers/root/usr/sbin/haproxy $peers/root/usr/bin/h2o"
missing=$(LD_LIBRARY_PATH="$peers/lib" ldd $programs | grep 'not found' || true)
if [ -n "$missing" ]; then
    echo "The peers lack libraries on this machine: $missing" >&2
    exit 1
fi
touch "$peers/complete"
