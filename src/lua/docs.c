#include "lua/docs.h"

#include "lua/args.h"
#include "lua/bind_json.h"
#include "lua/state.h"

#include <lauxlib.h>

// All that lua/moongate/core/docs asks of moongate.native.
static int open_native(lua_State *L) {
    lua_newtable(L);
    mg_open_json(L);
    lua_setfield(L, -2, "json");
    return 1;
}

static int fault(lua_State *L, mg_error *err) {
    const char *message = lua_tostring(L, -1);
    return mg_error_set(err, MG_ELUA, "%s", message != NULL ? message : "the reference failed");
}

// Calls main.lua's function `name` with the facts and `argument`; its two results lie on the stack.
static int call(lua_State *L, const char *name, mg_str facts, const char *argument, mg_error *err) {
    mg_lua_state_preload(L, "moongate.native", open_native, NULL);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "moongate.core.docs.main");
    if (lua_pcall(L, 1, 1, 0) != 0) {
        return fault(L, err);
    }
    lua_getfield(L, -1, name);
    mg_lua_push_str(L, facts);
    lua_pushstring(L, argument);
    return lua_pcall(L, 2, 2, 0) == 0 ? MG_OK : fault(L, err);
}

// Appends the text that function `name` gives.
static int append(const char *name, mg_str facts, const char *argument, mg_buf *out,
                  mg_error *err) {
    lua_State *L = mg_lua_state_new(NULL, err);
    if (L == NULL) {
        return MG_ELUA;
    }
    int rc = call(L, name, facts, argument, err);
    if (rc == MG_OK && lua_isstring(L, -2)) {
        mg_buf_append_str(out, mg_lua_str(L, -2));
    } else if (rc == MG_OK) {
        rc = fault(L, err);
    }
    lua_close(L);
    return rc;
}

int mg_docs_help(const char *name, mg_str facts, mg_buf *out, mg_error *err) {
    return append("help", facts, name, out, err);
}

int mg_docs_types(mg_buf *out, mg_error *err) {
    return append("types", MG_STR(""), NULL, out, err);
}

int mg_docs_write(const char *folder, mg_str facts, mg_error *err) {
    lua_State *L = mg_lua_state_new(NULL, err);
    if (L == NULL) {
        return MG_ELUA;
    }
    int rc = call(L, "write", facts, folder, err);
    lua_close(L);
    return rc;
}
