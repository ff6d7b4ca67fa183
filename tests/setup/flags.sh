#!/bin/sh
# Writes compile.flags, link.flags and llhttp.sources into the folder given: what the compiler needs of the libraries.
set -eu
out=$1

libs="libuv luajit libssl libcrypto libcares sqlite3 zlib"
compile="$(pkg-config --cflags $libs) $(pkg-config --cflags libpq)" # which is loaded when it is needed
link=$(pkg-config --libs $libs)
sources=
if pkg-config --atleast-version=9.2 libllhttp 2>/dev/null; then
    compile="$compile $(pkg-config --cflags libllhttp)"
    link="$link $(pkg-config --libs libllhttp)"
else
    compile="$compile -isystem /usr/share/include/llhttp"
    sources="/usr/share/llhttp/api.c /usr/share/llhttp/http.c /usr/share/llhttp/llhttp.c"
fi
echo "$compile" >"$out/compile.flags"
echo "$link" >"$out/link.flags"
echo "$sources" >"$out/llhttp.sources"
