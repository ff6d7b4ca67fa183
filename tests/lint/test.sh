#!/bin/bash
# The fences' own test: each planted fault is told, and a good tree is not complained of.
set -u
cd "$(dirname "$0")/../.." || exit 1
lint=$PWD/tests/lint
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# put FILE TEXT: a file in a fresh tree.
put() {
    mkdir -p "$work/tree/$(dirname "$1")"
    printf '%b\n' "$2" >"$work/tree/$1"
}

fresh() {
    rm -rf "$work/tree"
    put src/LAYERS "$(cat src/LAYERS)"
    put tests/lint/mirror.list ''
    mkdir -p "$work"/tree/{lua,spec,tests/unit}
}

# tells SCRIPT FINDING: it fails, and says that at least. is_quiet SCRIPT: it finds nothing.
run() {
    case $1 in
    layers) "$lint/layers.sh" "$work/tree/src" ;;
    sizes) "$lint/sizes.sh" "$work/tree" ;;
    mirror) "$lint/mirror.sh" "$work/tree" ;;
    esac >"$work/said" 2>&1
}

tells() {
    if run "$1" || ! sed "s|$work/tree/||" "$work/said" | grep -qF -- "$2"; then
        echo "$1 does not say: $2"
        sed 's/^/    /' "$work/said"
        failed=1
    fi
}

is_quiet() {
    run "$1" || {
        echo "$1 complains of a good tree: $2"
        sed 's/^/    /' "$work/said"
        failed=1
    }
}

# lines N TEXT: that line N times.
lines() { yes "$2" | head -n "$1"; }

# --- layers ---

fresh
put src/event/loop.c '#include "base/buf.h"\n#include <uv.h>\nuv_loop_t *loop;'
put src/event/tls.c '#include <openssl/ssl.h>'
put src/base/crypto.c '#include <openssl/evp.h>'
put src/http/body.c '#include <zlib.h>\n// uv_read_start and lua_State are only spoken of here\nconst char *t = "lua_State uv_run";'
put src/server/h1.c '#include "http/h1_read.h"'
put src/lua/vm.c '#include <lua.h>\nlua_State *L;\nint groove_uv_x, my_lua_States;'
is_quiet layers 'each in its room'

planted() {
    fresh
    put "src/$1" "$2"
    tells layers "src/$1:1: $3"
}
planted http/a.c '#include "server/conn.h"' '#include "server/conn.h": http/ lies below server/ or beside it'
planted http/a.c '#include "gates/x.h"' '#include "gates/x.h": there is no room gates/ in src/LAYERS'
planted http/a.c '#include "body.h"' '#include "body.h": name the room, as "base/buf.h"'
planted attic/a.c '' 'there is no room attic/ in src/LAYERS'
planted server/a.c '#include <uv.h>' '#include <uv.h>: only event may'
planted server/a.c 'int rc = uv_run(loop);' 'only event may say uv_*'
planted client/a.c '#include <ares.h>' '#include <ares.h>: only event may'
planted gate/a.c 'static void f(lua_State *L);' 'only lua testkit may say lua_State'
planted gate/a.c '#include <lauxlib.h>' '#include <lauxlib.h>: only lua testkit may'
planted server/a.c '#include <llhttp.h>' '#include <llhttp.h>: only http may'
planted lua/a.c '#include <zlib.h>' '#include <zlib.h>: only http may'
planted lua/a.c '#include <sqlite3.h>' '#include <sqlite3.h>: only store may'
planted lua/tools_crypto.c '#include <openssl/evp.h>' '#include <openssl/evp.h>: only event/tls* base/crypto* may'
planted event/dns.c '#include <openssl/rand.h>' '#include <openssl/rand.h>: only event/tls* base/crypto* may'
planted base/codec.c '#include <openssl/rand.h>' '#include <openssl/rand.h>: only event/tls* base/crypto* may'
planted lua/a.c '#include "http/h1_read.h"' '#include "http/h1_read.h": only http server client'
planted gate/a.c '#include "server/h1.h"' '#include "server/h1.h": only http server client'

# --- sizes ---

fresh
put src/http/long.c "$(lines 700 'int x;')"
put src/http/table.c "static const int t[] = {\n$(lines 100 '    1,')\n};"
put src/http/edge.c "int f(int a,\n      int b) {\n$(lines 67 '    a++;')\n}"
put src/http/all.h "$(lines 150 'int x;')"
put tests/unit/http/rig.h "$(lines 300 'int x;')"
put lua/a.lua "local function f()\n$(lines 68 '  f()')\nend"
put lua/b.lua "local t = {\n$(lines 80 '  f(function() g() end),')\n}"
put spec/a_spec.lua "describe(\"a\", function()\n$(lines 100 '  f()')\nend)"
is_quiet sizes 'on the wall'

sized() {
    fresh
    put "$1" "$2"
    tells sizes "$1:$3"
}
sized src/http/a.c "$(lines 701 'int x;')" '701: 701 lines, 700 is the wall'
sized src/http/a.h "$(lines 151 'int x;')" '151: 151 lines, 150 is the wall'
sized tests/unit/rig.h "$(lines 301 'int x;')" '301: 301 lines, 300 is the wall'
sized lua/a.lua "$(lines 701 'f()')" '701: 701 lines, 700 is the wall'
sized spec/a_spec.lua "$(lines 701 'f()')" '701: 701 lines, 700 is the wall'
sized src/http/a.c "int f(int a,\n      int b) {\n$(lines 68 '    a++;')\n}" '1: a function of 71 lines'
sized lua/a.lua "f()\nlocal function f()\n$(lines 69 '  f()')\nend" '2: a function of 71 lines'
sized lua/a.lua "local t = {\n  a = function()\n$(lines 69 '    f()')\n  end,\n}" '2: a function of 71 lines'
sized spec/a_spec.lua "describe(\"a\", function()\n  it(\"b\", function()\n$(lines 69 '    f()')\n  end)\nend)" \
    '2: a function of 71 lines'

# --- mirror ---

mirrored() {
    fresh
    put src/http/url.c ''
    put tests/unit/http/url_test.c ''
    put lua/moongate/init.lua ''
    put lua/moongate/test/init.lua ''
    put spec/moongate/test/init_spec.lua ''
    put spec/moongate_spec.lua ''
    put src/http/mime.c ''
    put tests/lint/mirror.list '# why\nsrc/http/mime.c tests/unit/http/url_test.c one table'
}
mirrored
is_quiet mirror 'each has its test'
mirrored
put src/http/date.c ''
tells mirror 'src/http/date.c: it has no test of its own'
put lua/moongate/core/date.lua ''
tells mirror 'lua/moongate/core/date.lua: it has no test of its own'
mirrored
put tests/unit/http/mime_test.c ''
tells mirror 'src/http/mime.c has a test of its own: strike it out'
mirrored
put tests/lint/mirror.list 'src/http/mime.c tests/unit/http/gone_test.c one table'
tells mirror 'src/http/mime.c: there is no test tests/unit/http/gone_test.c'
put tests/lint/mirror.list 'src/http/mime.c tests/unit/http/url_test.c'
tells mirror 'src/http/mime.c: the reason is missing'
rm "$work/tree/src/http/mime.c"
tells mirror 'there is no src/http/mime.c'

exit $failed
