#!/bin/bash
# What `make check` runs. One line for each step, its findings below it; the status is 1 if any step found something.
set -u
cd "$(dirname "$0")/../.." || exit 1

out=build/check
mkdir -p "$out"
failed=0

c_files() { find src tests -name '*.[ch]' | sort; }

# step NAME COMMAND...: quiet when good.
step() {
    local name=$1
    shift
    if "$@" >"$out/$name.log" 2>&1; then
        printf '%-12s good\n' "$name"
    else
        printf '%-12s FAILED\n' "$name"
        sed 's/^/  /' "$out/$name.log"
        failed=1
    fi
}

# A line for each place; `make format` mends them all.
format() {
    local found
    found=$(c_files | xargs clang-format --dry-run 2>&1 |
        sed -n 's/: warning: .*/: not as clang-format writes it/p')
    [ -z "$found" ] || { echo "$found" && return 1; }
}

lua_lint() {
    local folders=()
    for f in lua spec tests conf; do
        [ -d "$f" ] && folders+=("$f")
    done
    luacheck --formatter plain "${folders[@]}"
}

shell_lint() {
    command -v shellcheck >/dev/null || return 0
    { find tests -name '*.sh'; [ ! -f .ci/run ] || echo .ci/run; } | xargs shellcheck --severity=warning
}

# Pinned, so that a newer cppcheck does not bring other classes of findings by default.
static_analysis() {
    cppcheck -q -j2 --std=c11 --language=c --platform=unix64 --max-configs=1 -D_GNU_SOURCE -Isrc \
        --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
        --suppress=missingIncludeSystem --template='{file}:{line}: {message} [{id}]' src
}

# compile HOW FOLDER...: the Makefile's own warnings, as errors. Syntax only.
compile() {
    local how=$1
    shift
    local flags=(-std=c11 -D_GNU_SOURCE -pthread -fsyntax-only -Werror)
    # shellcheck disable=SC2207 # lists of flags
    flags+=($(sed -n 's/^WARN := //p' Makefile) $(cat "$out/compile.flags"))
    flags+=(-Isrc -Itests/unit -Itests/fuzz "-I$out")
    echo 'TEST("none", none)' >"$out/unit_tests.inc" # the build lists all (tests/unit/run.c)
    find "$@" -name '*.c' | sort | "$how" "${flags[@]}"
}

with_gcc() {
    xargs -n 8 -P 2 gcc "$@"
}

# What the release build's compiler has said of src/ while it was made.
said() {
    local file found=0
    for file in src/*/*.c; do
        file=build/release/obj/${file#src/}
        file=${file%.c}.o.said
        [ -f "$file" ] && [ ! -s "$file" ] && continue
        found=1
        cat "$file"
    done
    return $found
}

# A process for many files, as clang's own driver would not have it: it is six times as quick.
with_clang() {
    local command
    eval "command=($(clang "-###" "$@" -x c /dev/null 2>&1 | tail -n 1))"
    unset "command[-1]"
    xargs -n 100 -P 2 "${command[@]}"
}

# The code says why by itself: no word of where its tasks were written down.
words() {
    [ -e .git ] || return 0
    local found
    found=$(git grep -nIiE \
        '(issue|ticket|bug|story)s? ?#[0-9]+|\b(jira|bugzilla|issue tracker|farm-studio)\b' \
        -- . ':!tests/lint/check.sh')
    [ -z "$found" ] || { echo "$found" && return 1; }
}

# In the release build, which is made first if need be.
instructions() {
    tests/bench/count/run.sh
}

tests/setup/flags.sh "$out" || exit 1
# It mostly counts in one process, beside which there is room.
(step instructions instructions; exit $failed) >"$out/counted" &
counting=$!
step format format
step luacheck lua_lint
step layers tests/lint/layers.sh
step sizes tests/lint/sizes.sh
step mirror tests/lint/mirror.sh
step fences tests/lint/test.sh
step shellcheck shell_lint
step cppcheck static_analysis
step gcc compile with_gcc tests
step clang compile with_clang src tests
step words words
wait $counting || failed=1
cat "$out/counted"
step release said
exit $failed
