#!/bin/sh
# Installs the Debian packages that are missing: packages.sh build|test|bench. Asks nothing; says what it does.
set -eu

build="gcc libc6-dev libuv1-dev libluajit-5.1-dev node-llhttp libssl-dev libc-ares-dev libsqlite3-dev libpq-dev zlib1g-dev pkg-config"
test="luajit lua-busted lua-socket lua-check libcmocka-dev clang clang-format clang-tidy cppcheck libclang-rt-14-dev curl procps openssl nodejs valgrind postgresql pgbouncer redis-server redis-tools nghttp2-client nghttp2-server python3-h2 python3-cryptography pebble libwslay-dev libnghttp2-dev node-ws python3-websockets chromium"
bench="luajit wrk curl python3 nghttp2-client nghttp2-server nodejs node-ws redis-server"

# npm comes with node where that is not Debian's, and stands in the way of Debian's.
command -v npm >/dev/null || test="$test npm"

case "${1-}" in
build) want=$build ;;
test) want="$build $test" ;;
bench) want="$build $bench" ;;
*)
    echo "usage: packages.sh build|test|bench" >&2
    exit 2
    ;;
esac

# Of several that make starts side by side one installs, the others find it done.
mkdir -p build
exec 9>build/packages.lock
flock 9

missing=
for p in $want; do
    dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing="$missing $p"
done
[ -z "$missing" ] && exit 0

command="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=sudo
else
    echo "Moongate needs these Debian packages first. As root, run:" >&2
    echo "  apt-get update && $command" >&2
    exit 1
fi
echo "Installing from Debian:$missing"
# OpenResty's LuaJIT cannot stand beside the plain one, which keeps a hash table quick whatever keys a peer chooses.
case $missing in
*luajit*)
    leaves=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' luajit2 libluajit2-5.1-dev 2>/dev/null | sed -n 's/^installed //p')
    # shellcheck disable=SC2086 # a list of names
    [ -z "$leaves" ] || echo "This removes:" $leaves
    ;;
esac
log=$(mktemp)
if ! { $as_root apt-get update -q && $as_root env DEBIAN_FRONTEND=noninteractive $command; } >"$log" 2>&1; then
    tail -20 "$log" >&2
    echo "The installation failed; its log is $log. The command was: $command" >&2
    exit 1
fi
rm -f "$log"
