#include "lua/awaits.h"

#include "base/mem.h"
#include "lua/args.h"
#include "lua/state.h"

#include <lauxlib.h>

struct mg_awaits {
    lua_State *L; // main.lua's `read` lies at the bottom of its stack
};

static int fault(lua_State *L, mg_error *err) {
    const char *message = lua_tostring(L, -1);
    return mg_error_set(err, MG_ELUA, "%s", message != NULL ? message : "no scripts can be read");
}

int mg_awaits_open(mg_awaits **out, mg_error *err) {
    lua_State *L = mg_lua_state_new(NULL, err);
    *out = NULL;
    if (L == NULL) {
        return MG_ELUA;
    }
    lua_getglobal(L, "require");
    lua_pushliteral(L, "moongate.core.awaits.main");
    if (lua_pcall(L, 1, 1, 0) != 0) {
        fault(L, err);
        lua_close(L);
        return MG_ELUA;
    }
    lua_getfield(L, -1, "read");
    lua_replace(L, 1);
    *out = mg_calloc(1, sizeof **out);
    (*out)->L = L;
    return MG_OK;
}

void mg_awaits_close(mg_awaits *a) {
    if (a != NULL) {
        lua_close(a->L);
        mg_free(a);
    }
}

int mg_awaits_read(mg_awaits *a, const char *path, mg_str text, mg_buf *out, mg_error *err) {
    lua_State *L = a->L;
    lua_pushvalue(L, 1);
    lua_pushstring(L, path);
    mg_lua_push_str(L, text);
    int rc = lua_pcall(L, 2, 1, 0) == 0 ? MG_OK : fault(L, err);
    if (rc == MG_OK) {
        mg_buf_append_str(out, mg_lua_str(L, -1));
    }
    lua_settop(L, 1);
    return rc;
}
