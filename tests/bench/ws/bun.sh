#!/bin/sh
# Prints the path of Bun, which npm fetches into build/bench/bun.
set -eu
cd "$(dirname "$0")/../../.."
folder=build/bench/bun
program=$folder/node_modules/@oven/bun-linux-x64/bin/bun
version=1.4.5

if [ ! -x $program ]; then
    command -v npm >/dev/null || {
        echo "npm is missing: apt-get install npm" >&2
        exit 1
    }
    mkdir -p $folder
    (cd $folder && npm install --no-audit --no-fund --ignore-scripts --no-save "@oven/bun-linux-x64@$version") >$folder.log 2>&1 || {
        tail -5 $folder.log >&2
        exit 1
    }
    chmod +x $program
fi
$program --version >/dev/null
echo "$PWD/$program"
