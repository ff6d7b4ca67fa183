#include "lua/state.h"

#include "lua/args.h"
#include "lua/home.h"

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

int mg_lua_framework(char out[PATH_MAX], mg_error *err) {
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(self, '/');
    for (size_t i = 0; slash != NULL && i < sizeof places / sizeof *places; i++) {
        char folder[PATH_MAX * 2];
        *slash = '\0';
        snprintf(folder, sizeof folder, "%s%s", self, places[i]);
        if (has_framework(folder) && realpath(folder, out) != NULL) {
            return MG_OK;
        }
    }
    return mg_error_set(err, MG_ELUA,
                        "Moongate's Lua files are not where they belong: beside the binary as "
                        "../share/moongate/lua (installed) or ../../lua (source tree)");
}

static mg_str find_file(const mg_snapshot *snapshot, const char *path) {
    mg_str text = {0};
    return mg_snapshot_find(snapshot, mg_str_of(path), &text) ? text : (mg_str){0};
}

// A searcher as in package.loaders: moongate.* from the snapshot.
static int search(lua_State *L) {
    const mg_snapshot *snapshot = lua_touserdata(L, lua_upvalueindex(1));
    const char *folder = lua_tostring(L, lua_upvalueindex(2));
    const char *name = luaL_gsub(L, luaL_checkstring(L, 1), ".", "/");
    static const char *const forms[] = {"@%s/%s.lua", "@%s/%s/init.lua"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const char *path = lua_pushfstring(L, forms[i], folder, name);
        mg_str text = find_file(snapshot, path + 1);
        if (text.p != NULL) {
            if (luaL_loadbuffer(L, text.p, text.n, path) != 0) {
                return lua_error(L);
            }
            mg_lua_home_enter(L);
            return 1;
        }
    }
    lua_pushliteral(L, "\n\tit is not in the snapshot");
    return 1;
}

// Puts the searcher behind package.preload and before the disk.
static void add_searcher(lua_State *L, const mg_snapshot *snapshot, mg_str folder) {
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "loaders");
    for (int i = (int)lua_objlen(L, -1); i >= 2; i--) {
        lua_rawgeti(L, -1, i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushlightuserdata(L, (void *)(uintptr_t)snapshot);
    mg_lua_push_str(L, folder);
    lua_pushcclosure(L, search, 2);
    lua_rawseti(L, -2, 2);
    lua_pop(L, 2);
}

static void add_path(lua_State *L, const char *folder) {
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "path");
    lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", folder, folder, lua_tostring(L, -1));
    lua_setfield(L, -3, "path");
    lua_pop(L, 2);
}

lua_State *mg_lua_state_new(const mg_snapshot *snapshot, mg_error *err) {
    char folder[PATH_MAX];
    mg_str kept = {0};
    if (snapshot != NULL) {
        mg_snapshot_find(snapshot, MG_STR(MG_SNAPSHOT_FRAMEWORK), &kept);
    } else if (mg_lua_framework(folder, err) != MG_OK) {
        return NULL;
    }
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        mg_error_set(err, MG_ELUA, "no memory for a Lua state");
        return NULL;
    }
    luaL_openlibs(L);
    if (snapshot != NULL) {
        add_searcher(L, snapshot, kept);
    } else {
        add_path(L, folder);
    }
    return L;
}

void mg_lua_state_part(lua_State *L) {
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "loaders");
    lua_rawgeti(L, -1, 2); // as add_searcher has put it
    mg_lua_home_open(L);
    lua_rawseti(L, -2, 2);
    lua_pop(L, 2);
}

void mg_lua_state_preload(lua_State *L, const char *name, lua_CFunction open, void *arg) {
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    lua_pushlightuserdata(L, arg);
    lua_pushcclosure(L, open, 1);
    lua_setfield(L, -2, name);
    lua_pop(L, 2);
}

static int read_snapshot(lua_State *L) {
    const mg_snapshot *snapshot = lua_touserdata(L, lua_upvalueindex(1));
    mg_str text = find_file(snapshot, luaL_checkstring(L, 1));
    if (text.p == NULL) {
        return 0;
    }
    mg_lua_push_str(L, text);
    return 1;
}

void mg_lua_push_read(lua_State *L, const mg_snapshot *snapshot) {
    lua_pushlightuserdata(L, (void *)(uintptr_t)snapshot);
    lua_pushcclosure(L, read_snapshot, 1);
}
