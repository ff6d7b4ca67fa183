#!/bin/sh
# Measures Moongate against its peers: run.sh [WORK...] [--rounds N] [--seconds S] [--syscalls | --instructions].
set -eu
cd "$(dirname "$0")/../.."

for tool in wrk taskset setpriv python3; do
    command -v "$tool" >/dev/null || {
        echo "$tool is missing: tests/setup/packages.sh bench" >&2
        exit 1
    }
done
if [ "$(nproc)" -lt 2 ]; then
    echo "Two processors are needed: one for the server, one for the load." >&2
    exit 1
fi

mkdir -p build/bench
for name in floor origin threads; do
    ${CC:-gcc} -std=c11 -D_GNU_SOURCE -O2 -pthread -Wall -Wextra tests/bench/$name.c -o build/bench/$name
done
tests/bench/peers.sh || echo "nginx is left out of this run." >&2
PYTHONDONTWRITEBYTECODE=1 exec python3 tests/bench/bench.py "$@"
