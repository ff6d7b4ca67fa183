#!/bin/sh
# Prints the folder of gRPC's packages for node, which npm installs into build/grpc as package-lock.json says.
set -eu
cd "$(dirname "$0")/../.."
folder=build/grpc
wanted=tests/setup/grpc/package-lock.json

command -v npm >/dev/null || {
    echo "npm is missing: apt-get install npm" >&2
    exit 1
}
mkdir -p build
exec 9>build/grpc.lock
flock 9
if ! cmp -s $wanted $folder/installed.json; then
    mkdir -p $folder
    cp tests/setup/grpc/package.json $wanted $folder/
    (cd $folder && npm ci --no-audit --no-fund --ignore-scripts) >$folder/npm.log 2>&1 || {
        grep -v "^npm ERR! *$" $folder/npm.log | tail -5 >&2
        exit 1
    }
    cp $wanted $folder/installed.json
fi
echo "$PWD/$folder/node_modules"
