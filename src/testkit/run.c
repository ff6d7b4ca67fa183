#include "testkit/run.h"

#include "lua/state.h"
#include "testkit/coverage.h"
#include "testkit/kit.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

// Set once the specs are through; whatever ends the process before (FFI knows many ways) did not
// mean them to pass.
static bool through;

static int on_through(lua_State *L) {
    (void)L;
    through = true;
    return 0;
}

static void refuse_early_end(void) {
    if (!through) {
        fflush(stdout);
        fprintf(stderr, "\nmoongate test: the process was ended before the specs were through\n");
        _exit(1);
    }
}

static int run_chunk(lua_State *L) {
    lua_getglobal(L, "require");
    lua_pushliteral(L, "moongate.test.runner");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "run");
    lua_getglobal(L, "arg");
    lua_pushcfunction(L, on_through);
    lua_call(L, 2, 0);
    return 0;
}

static int run(lua_State *L) {
    atexit(refuse_early_end);
    lua_pushcfunction(L, run_chunk);
    int rc = lua_pcall(L, 0, 0, 0);
    through = true;
    if (rc != 0) {
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
    lua_State *L = mg_lua_state_new(NULL, &err);
    if (L == NULL) {
        fprintf(stderr, "moongate: %s\n", err.text);
        return 1;
    }
    mg_lua_state_preload(L, "moongate.native", mg_testkit_open, NULL);
    mg_testkit_preload_coverage(L);
    push_args(L, count, args);
    int status = run(L);
    lua_close(L);
    return status;
}

// Whatever is loaded by name or path comes from the snapshot, if it is in there.
static int read_from_snapshot(lua_State *L, const mg_snapshot *s, const char *root) {
    static const char chunk[] =
        "local read, root = ...\n"
        "local function text_of(path)\n"
        "  path = path:gsub('^%./', '')\n"
        "  return read(path:sub(1, 1) == '/' and path or root .. '/' .. path)\n"
        "end\n"
        "package.loaded['moongate.snapshot'] = text_of\n"
        "local from_disk = loadfile\n"
        "function loadfile(path, ...)\n"
        "  local text = path and text_of(path)\n"
        "  if text then return loadstring(text, '@' .. path) end\n"
        "  return from_disk(path, ...)\n"
        "end\n"
        "table.insert(package.loaders, 3, function(name)\n"
        "  for template in package.path:gmatch('[^;]+') do\n"
        "    local path = template:gsub('%?', (name:gsub('%.', '/')))\n"
        "    local text = text_of(path)\n"
        "    if text then return assert(loadstring(text, '@' .. path)) end\n"
        "  end\n"
        "end)\n";
    if (luaL_loadbuffer(L, chunk, sizeof chunk - 1, "@moongate") != 0) {
        return lua_error(L);
    }
    mg_lua_push_read(L, s);
    lua_pushstring(L, root);
    lua_call(L, 2, 0);
    return 0;
}

int mg_spec_run_snapshot(int count, char *const *args) {
    mg_error err;
    mg_snapshot *s;
    if (count < 1 || chdir(args[0]) != 0 || mg_snapshot_open(&s, MG_SPEC_SNAPSHOT, &err) != MG_OK) {
        fprintf(stderr, "moongate: specs are run on new scripts by moongate reload --spec\n");
        return 1;
    }
    lua_State *L = mg_lua_state_new(s, &err);
    if (L == NULL) {
        fprintf(stderr, "moongate: %s\n", err.text);
        return 1;
    }
    mg_lua_state_preload(L, "moongate.native", mg_testkit_open, NULL);
    mg_testkit_preload_coverage(L);
    read_from_snapshot(L, s, args[0]);
    push_args(L, count - 1, args + 1);
    int status = run(L);
    lua_close(L);
    mg_snapshot_unref(s);
    return status;
}
