#include "lua/state.h"

#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Where the Lua files lie, from the folder of the binary: installed (bin/, share/moongate/lua/) or
// in the source tree (build/<mode>/, lua/).
static const char *const places[] = {"/../share/moongate/lua", "/../../lua"};

static bool has_framework(const char *folder) {
    char file[PATH_MAX + 32];
    int n = snprintf(file, sizeof file, "%s/moongate/init.lua", folder);
    return n > 0 && (size_t)n < sizeof file && access(file, R_OK) == 0;
}

static bool find_framework(char out[PATH_MAX]) {
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) {
        return false;
    }
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char folder[PATH_MAX * 2];
        snprintf(folder, sizeof folder, "%s%s", self, places[i]);
        if (has_framework(folder) && realpath(folder, out) != NULL) {
            return true;
        }
    }
    return false;
}

lua_State *mg_lua_state_new(mg_error *err) {
    char folder[PATH_MAX];
    if (!find_framework(folder)) {
        mg_error_set(err, MG_ELUA,
                     "Moongate's Lua files are not where they belong: beside the binary as "
                     "../share/moongate/lua (installed) or ../../lua (source tree)");
        return NULL;
    }
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        mg_error_set(err, MG_ELUA, "no memory for a Lua state");
        return NULL;
    }
    luaL_openlibs(L);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "path");
    lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", folder, folder, lua_tostring(L, -1));
    lua_setfield(L, -3, "path");
    lua_pop(L, 2);
    return L;
}

void mg_lua_state_preload(lua_State *L, lua_CFunction open, void *arg) {
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    lua_pushlightuserdata(L, arg);
    lua_pushcclosure(L, open, 1);
    lua_setfield(L, -2, "moongate.native");
    lua_pop(L, 2);
}
