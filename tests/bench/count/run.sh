#!/bin/sh
# Counts the user instructions of a request, and the bytes that it leaves to Lua's collector, and compares them with the
# budgets beside this file:
#     run.sh            status 1 if one is more than 5 % above its budget; a new work has none until they are renewed
#     run.sh --renew    writes what was counted as the new budgets
#     run.sh --profile WORK    where the instructions of one work go
set -eu
cd "$(dirname "$0")/../../.."

here=tests/bench/count
"${MAKE:-make}" -s MODE=release build/release/count
out=$(mktemp -d)
fixed=/tmp/moongate-count
trap 'rm -rf "$out" "$fixed"' EXIT

# Where strings lie in tables follows from their text, paths among it: whoever counts does so in the same folder.
exec 8>"$fixed.lock"
flock 8
rm -rf "$fixed"
mkdir -m 700 "$fixed"
mkdir -p "$fixed/build/release" "$fixed/$here"
cp build/release/count "$fixed/build/release/"
cp -r lua "$fixed/"
cp $here/app.lua "$fixed/$here/"

# The addresses, the environment and glibc's choice of string functions are the same everywhere.
count() {
    (cd "$fixed" && counted "$@") || {
        cat "$out/works" "$out/log"
        exit 1
    }
}

counted() {
    env -i PATH="$PATH" GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-FSRM \
        setarch -R valgrind --tool=callgrind --instr-atstart=no "--callgrind-out-file=$out/count" \
        build/release/count $here/app.lua "$@" >"$out/works" 2>"$out/log"
}

if [ "${1-}" = --profile ]; then
    count "$2"
    callgrind_annotate --threshold=${THRESHOLD:-95} --inclusive=${INCLUSIVE:-no} "$out/count.1"
    exit 0
fi

count
for dump in "$out"/count.*; do
    awk '/^desc: Trigger:/ { name = $NF } /^(totals|summary):/ { n = $2 } END { print name, n }' "$dump"
done | awk 'NR == FNR { requests[$1] = $2; bytes[$1] = $3; next } $1 in requests { printf "%s %.0f %d\n", $1, $2 / requests[$1], bytes[$1] }' \
    "$out/works" - >"$out/counted"

if [ "${1-}" = --renew ]; then
    cp "$out/counted" $here/budgets
fi
# Five: which traces LuaJIT makes follows from the text of all scripts, so that a word in one of them moves a work by up to 3 %.
awk '
    function above(n, budget) { return (n / budget - 1) * 100 }
    NR == FNR { budget[$1] = $2; garbage[$1] = $3; next }
    !($1 in budget) { printf "%-16s %6d instructions, %5d bytes a request, no budget yet\n", $1, $2, $3; next }
    {
        by = above($2, budget[$1])
        more = above($3 + 100, garbage[$1] + 100)
        bad = by > 5 || more > 5
        failed = failed || bad
        loose = loose || by < -5 || more < -5
        printf "%-16s %6d instructions a request, budget %6d (%+.1f %%), %5d bytes, budget %5d%s\n",
            $1, $2, budget[$1], by, $3, garbage[$1], bad ? "  <--" : ""
    }
    END {
        if (failed) {
            print "A request costs something else than it did. If that is meant, renew the budgets with"
            print "tests/bench/count/run.sh --renew and say in the commit what they buy; if not, look with"
            print "tests/bench/count/run.sh --profile WORK."
        } else if (loose) {
            print "A budget is looser than it need be: tests/bench/count/run.sh --renew."
        }
        exit failed || FNR == 0
    }' $here/budgets "$out/counted"
