#!/bin/sh
# Prints the path of an nginx: the system's, or one that is unpacked into build/nginx.
set -eu
cd "$(dirname "$0")/../.."
unpacked=build/nginx/root/usr/sbin/nginx

PATH=$PATH:/usr/sbin command -v nginx && exit 0
if [ ! -x "$unpacked" ]; then
    tests/setup/unpack.sh build/nginx nginx
fi
"$unpacked" -v >&2 # it may lack libraries here
echo "$unpacked"
