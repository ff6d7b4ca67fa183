#!/bin/bash
# Runs tests that `make` has built: run.sh unit|spec|integration [release|debug|asan] | fuzz | all
#
# Quiet about passes (one line a suite), full about failures. The last line is "N passed, N failed"; ends with 1 if
# anything failed, a runner that died without a count included.
set -u
cd "$(dirname "$0")/.." || exit 2

FUZZ_SECONDS=${FUZZ_SECONDS:-1}
FUZZ_SEED=20240229
SUITE_SECONDS=${SUITE_SECONDS:-1800} # a runner that hangs is ended after this
LONG_SECONDS=${LONG_SECONDS:-15}     # a runner that takes as long is told so
PLACES=${PLACES:-$(($(nproc) * 2))} # runners at a time: most of them wait for something now and then

passed=0
failed=0
scratch=$(mktemp -d -t moongate-tests-XXXXXX)
trap 'rm -rf "$scratch"' EXIT
mkdir -m 700 "$scratch/run" "$scratch/kept"
export KEPT_FOLDER=$scratch/kept    # what files of tests make for each other
export XDG_RUNTIME_DIR=$scratch/run # control sockets of the servers under test

# Reads the output of a runner, prints "passed failed skipped complete". TAP, or the summary of busted,
# whose TAP stumbles over a file that cannot be loaded.
count() {
    awk '
    { gsub(/\033\[[0-9;]*m/, ""); sub(/^[ \t]+/, "") }
    /^1\.\.[0-9]+/            { split($0, plan, "\\.\\."); planned += plan[2]; plans++ }
    /^(not )?ok [0-9]+.*# (SKIP|TODO)/ { skip++; next }
    /^ok [0-9]+/              { pass++ }
    /^not ok [0-9]+/          { fail++ }
    /[0-9]+ success(es)? \/ [0-9]+ failures? \/ [0-9]+ errors? \/ [0-9]+ pending/ {
        split($0, n, /[^0-9]+/)
        pass += n[1]; fail += n[2] + n[3]; skip += n[4]; summaries++
    }
    END {
        complete = summaries > 0 || (plans > 0 && pass + fail + skip >= planned)
        printf "%d %d %d %d\n", pass, fail, skip, complete
    }' "$1"
}

# --- jobs: runners that have nothing to do with each other go side by side ---------------------------------------------

jobs=0
running=0
declare -A names # by process

# job NAME COMMAND...: begins a runner as soon as a place is free.
job() {
    local name=$1
    shift
    [ $running -lt "$PLACES" ] || reap
    jobs=$((jobs + 1))
    run_job "$scratch/$jobs" "$@" &
    names[$!]="$jobs $SECONDS $name"
    running=$((running + 1))
}

run_job() {
    local out=$1
    shift
    if declare -F "$1" >/dev/null; then
        "$@" >"$out" 2>&1
    else
        timeout -k 10 "$SUITE_SECONDS" "$@" >"$out" 2>&1
    fi
}

# Waits for the next runner to end, adds its numbers and prints its line.
reap() {
    local ended status number begun name
    wait -n -p ended
    status=$?
    running=$((running - 1))
    read -r number begun name <<<"${names[$ended]}"
    report "$name" "$scratch/$number" $status $((SECONDS - begun))
}

# Its whole output, if something failed.
report() {
    local name=$1 out=$2 status=$3 took=$4 p f s complete note=
    read -r p f s complete < <(count "$out")
    if [ "$complete" = 0 ]; then
        note=" (died: status $status)"
        f=$((f + 1))
    elif [ "$status" != 0 ] && [ "$f" = 0 ]; then
        note=" (ended with status $status)"
        f=1
    fi
    passed=$((passed + p))
    failed=$((failed + f))
    [ "$s" != 0 ] && note="$note ($s skipped)"
    [ "$took" -ge "$LONG_SECONDS" ] && note="$note, $took s"
    [ "$f" != 0 ] && failures "$out"
    echo "$name: $p passed, $f failed$note"
}

# The output without its passes.
failures() {
    grep -avE '^[[:space:]]*(ok [0-9]|not ok [0-9]+ # SKIP)' "$1"
}

missing() {
    echo "$1: $2 is missing"
    failed=$((failed + 1))
}

# LeakSanitizer needs ptrace, which some containers forbid: then all else is still checked.
use_sanitizers() {
    local leaks=1 probe
    export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
    probe=$(ASAN_OPTIONS=detect_leaks=1 build/asan/moongate --version 2>&1)
    case $probe in
    *"LeakSanitizer has encountered a fatal error"*)
        leaks=0
        echo "leaks are not checked: LeakSanitizer cannot work here"
        ;;
    esac
    export ASAN_OPTIONS=detect_leaks=$leaks:quarantine_size_mb=32:strict_string_checks=1
}

need_binary() {
    [ -x "build/$2/moongate" ] && return 0
    missing "$1 ($2)" "build/$2/moongate"
    return 1
}

# --- kinds -----------------------------------------------------------------------------------------------------------

unit() {
    local mode=$1 test name found=0
    for test in build/"$mode"/unit/*/*_test; do
        [ -x "$test" ] || continue
        found=1
        name=${test#build/"$mode"/unit/}
        job "unit $name ($mode)" env CMOCKA_MESSAGE_OUTPUT=TAP "$test"
    done
    [ $found = 1 ] || missing "unit ($mode)" "every test in build/$mode/unit"
}

# In a plain LuaJIT, with the release build's module.
spec_busted() {
    job "spec (busted)" busted -o plainTerminal
}

spec() {
    local mode=$1 example
    if need_binary spec "$mode"; then
        job "spec (moongate test, $mode)" "build/$mode/moongate" test -o plainTerminal
        for example in tests/examples/*/; do
            job "spec ($example, $mode)" "build/$mode/moongate" test -o plainTerminal "${example}spec"
        done
    fi
}

# A runner for each file: none leans on another one's servers.
integration() {
    integration_of "$1" tests/integration/*_spec.lua
}

# Those of release.list only.
integration_listed() {
    local listed
    listed=$(awk '!/^#/ && NF { print "tests/integration/" $1 "_spec.lua" }' tests/integration/release.list)
    # shellcheck disable=SC2086 # a list of files
    integration_of "$1" $listed
}

integration_of() {
    local mode=$1 file name
    shift
    need_binary integration "$mode" || return 0
    for file; do
        name=$(basename "$file" _spec.lua)
        job "integration $name ($mode)" env MOONGATE="build/$mode/moongate" busted --run=integration -o plainTerminal "$file"
    done
}

# --- fuzzing ---------------------------------------------------------------------------------------------------------

# fuzz_one PROGRAM: writes TAP: the replay of what is known, then a bounded run on a copy of the corpus.
fuzz_one() {
    local program=$1 name work folder known=() options=()
    name=$(basename "$program" _fuzz)
    work=$(mktemp -d "$scratch/$name-XXXXXX")
    mkdir "$work/corpus" "$work/found"
    for folder in "tests/fuzz/regression/$name" "tests/fuzz/corpus/$name"; do
        [ -d "$folder" ] && known+=("$folder")
    done
    [ ${#known[@]} != 0 ] && find "${known[@]}" -type f -exec cp -t "$work/corpus" --backup=numbered {} +
    [ -f "tests/fuzz/$name.dict" ] && options=(-dict="tests/fuzz/$name.dict")
    options+=(-seed="$FUZZ_SEED" -artifact_prefix="$work/found/" -print_final_stats=0)
    echo 1..2
    fuzz_step "1 - $name replays what is known" "$work" "$program" "${options[@]}" -runs=0 "$work/corpus"
    fuzz_step "2 - $name finds nothing in $FUZZ_SECONDS s" "$work" "$program" "${options[@]}" \
        -max_total_time="$FUZZ_SECONDS" "$work/corpus"
}

fuzz_step() {
    local title=$1 work=$2
    shift 2
    if timeout -k 10 $((FUZZ_SECONDS + 300)) "$@" >"$work/log" 2>&1; then
        echo "ok $title"
        return
    fi
    echo "not ok $title"
    tail -n 40 "$work/log"
    keep_reproducers "$work/found"
}

# What made it fail outlives this run.
keep_reproducers() {
    local file
    mkdir -p build/fuzz/found
    for file in "$1"/*; do
        [ -f "$file" ] || continue
        mv "$file" build/fuzz/found/
        echo "reproducer: build/fuzz/found/$(basename "$file"), in base64:"
        base64 -w 0 "build/fuzz/found/$(basename "$file")"
        echo
    done
}

fuzz() {
    local program found=0
    for program in build/fuzz/fuzz/*_fuzz; do
        [ -x "$program" ] || continue
        found=1
        job "fuzz $(basename "$program" _fuzz)" fuzz_one "$program"
    done
    [ $found = 1 ] || missing fuzz "every fuzzer in build/fuzz/fuzz"
}

# --- what was asked --------------------------------------------------------------------------------------------------

in_mode() {
    local kind=$1 mode=$2
    if [ "$mode" = asan ]; then
        use_sanitizers
    fi
    "$kind" "$mode"
}

everything() {
    spec_busted
    in_mode integration_listed release
    in_mode unit asan
    in_mode spec asan
    in_mode integration asan
    fuzz
}

whole=0 # a fault of this script must not pass for a suite that has ended
case "${1-} ${2-release}" in
"spec "*) [ "${2-release}" = asan ] || spec_busted; in_mode spec "${2-release}"; whole=1 ;;
"unit "* | "integration "*) in_mode "$1" "${2-release}"; whole=1 ;;
"fuzz "*) fuzz; whole=1 ;;
"all "*) everything; whole=1 ;;
*)
    echo "usage: run.sh unit|spec|integration [release|debug|asan] | fuzz | all" >&2
    exit 2
    ;;
esac

[ $whole = 1 ] || missing "tests/run.sh" "what it was still to begin"
while [ $running != 0 ]; do
    reap
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
