#!/bin/sh
# Proves that tests mirror the sources: src/http/url.c has tests/unit/http/url_test.c, lua/moongate/router.lua has
# spec/moongate/router_spec.lua (x/init.lua may have x_spec.lua). What has none is named in tests/lint/mirror.list: the
# source, the test that covers it, and why. Prints a line for each fault; quiet when good.
# Usage: mirror.sh [FOLDER], default the tree.
set -eu
list=tests/lint/mirror.list
cd "$(dirname "$0")/../.."
[ $# -eq 0 ] || cd "$1"

{
    find tests/unit spec \( -name '*_test.c' -o -name '*_spec.lua' \) | sed 's/^/test /'
    find tests/integration -name '*_spec.lua' 2>&- | sed 's/^/test /' || true
    sed 's/^/list /' $list
    find src lua \( -name '*.c' -o -name '*.lua' \) | sort | sed 's/^/source /'
} | awk -v list=$list '
function fault(text) {
    print text
    bad = 1
}

function own_test(source,    name) {
    name = source
    if (sub(/^src\//, "tests/unit/", name)) {
        sub(/\.c$/, "_test.c", name)
    } else {
        sub(/^lua\//, "spec/", name)
        sub(/\.lua$/, "_spec.lua", name)
        if (!(name in tests)) sub(/\/init_spec\.lua$/, "_spec.lua", name)
    }
    return name in tests
}

$1 == "test" { tests[$2] }

$1 == "list" && $2 ~ /^[^#]/ {
    listed[$2]
    if (!($3 in tests)) fault(list ": " $2 ": there is no test " $3)
    if (NF < 4) fault(list ": " $2 ": the reason is missing")
}

$1 == "source" {
    known[$2]
    if (own_test($2) && $2 in listed) fault(list ": " $2 " has a test of its own: strike it out")
    if (!own_test($2) && !($2 in listed)) fault($2 ": it has no test of its own, and " list " does not say why")
}

END {
    for (source in listed) if (!(source in known)) fault(list ": there is no " source)
    exit bad
}'
