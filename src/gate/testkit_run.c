#include "gate/spec.h"
#include "gate/testkit.h"
#include "lua/state.h"

#include <lauxlib.h>
#include <stdio.h>

// The binary itself is what specs run in: `.busted` may name another interpreter for plain busted.
static void push_args(lua_State *L, int count, char *const *args) {
    lua_newtable(L);
    lua_pushliteral(L, "moongate test");
    lua_rawseti(L, -2, 0);
    lua_pushliteral(L, "--ignore-lua");
    lua_rawseti(L, -2, 1);
    for (int i = 0; i < count; i++) {
        lua_pushstring(L, args[i]);
        lua_rawseti(L, -2, i + 2);
    }
    lua_setglobal(L, "arg");
}

static int run(lua_State *L) {
    static const char chunk[] = "local ok, runner = pcall(require, 'busted.runner')\n"
                                "if not ok then\n"
                                "  io.stderr:write('moongate test needs busted (Debian package "
                                "lua-busted):\\n', runner, '\\n')\n"
                                "  os.exit(1)\n"
                                "end\n"
                                "runner({ standalone = false })\n";
    if (luaL_loadbuffer(L, chunk, sizeof chunk - 1, "@moongate") != 0 ||
        lua_pcall(L, 0, 0, 0) != 0) {
        // busted ends with error(nil) when a spec has failed, which it has told already.
        if (lua_tostring(L, -1) != NULL) {
            fprintf(stderr, "moongate test: %s\n", lua_tostring(L, -1));
        }
        return 1;
    }
    return 0;
}

int mg_spec_run(int count, char *const *args) {
    mg_error err;
    lua_State *L = mg_lua_state_new(&err);
    if (L == NULL) {
        fprintf(stderr, "moongate: %s\n", err.text);
        return 1;
    }
    mg_lua_state_preload(L, mg_testkit_open, NULL);
    push_args(L, count, args);
    int status = run(L);
    lua_close(L);
    return status;
}
