#!/bin/sh
# Brings nginx with its Lua module into build/peers and installs nothing: no service starts, nothing outside changes.
set -eu
cd "$(dirname "$0")/../.."
peers=build/peers
packages="nginx libnginx-mod-http-lua libnginx-mod-http-ndk lua-resty-core lua-resty-lrucache lua-cjson libpcre3 libluajit2-5.1-2"

[ -e "$peers/complete" ] && exit 0
# shellcheck disable=SC2086
tests/setup/unpack.sh "$peers" $packages
mkdir -p "$peers/lib" "$peers/temp"
# lib/ holds what Debian would find by its own paths: the JSON module under the name that `require` uses, libpcre, and
# the LuaJIT that nginx's module needs and that cannot be installed beside ours.
cp "$peers"/root/usr/lib/*/liblua5.1-cjson.so.0.0.0 "$peers/lib/cjson.so"
find "$peers/root" \( -name 'libpcre.so.3*' -o -name 'libluajit-5.1.so.2*' \) -exec cp -P {} "$peers/lib/" \;

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
nginx="$peers/root/usr/sbin/nginx $peers/root/usr/lib/nginx/modules/ngx_http_lua_module.so"
missing=$(LD_LIBRARY_PATH="$peers/lib" ldd $nginx | grep 'not found' || true)
if [ -n "$missing" ]; then
    echo "nginx lacks libraries on this machine: $missing" >&2
    exit 1
fi
touch "$peers/complete"
