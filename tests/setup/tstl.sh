#!/bin/sh
# Prints the folder of TypeScriptToLua's packages, which npm installs into build/tstl: the versions that a project of
# `moongate new --typescript` asks for, those below them as package-lock.json says.
set -eu
cd "$(dirname "$0")/../.."
folder=build/tstl
wanted=lua/moongate/template/typescript/package.json

command -v npm >/dev/null || {
    echo "npm is missing: apt-get install npm" >&2
    exit 1
}
mkdir -p build
exec 9>build/tstl.lock
flock 9
if ! cmp -s $wanted $folder/installed.json; then
    mkdir -p $folder
    cp $wanted tests/setup/tstl/package-lock.json $folder/
    (cd $folder && npm ci --no-audit --no-fund --ignore-scripts) >$folder/npm.log 2>&1 || {
        grep -v "^npm ERR! *$" $folder/npm.log | tail -5 >&2
        exit 1
    }
    cp $wanted $folder/installed.json
fi
echo "$PWD/$folder/node_modules"
