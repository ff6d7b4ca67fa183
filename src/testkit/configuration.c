#include "lua/args.h"
#include "lua/read_config.h"
#include "testkit/kit_inside.h"

#include <lauxlib.h>

// test_configuration(path) -> what that file says, as JSON; nil and a message.
int mg_testkit_configuration(lua_State *L) {
    mg_buf json = {0};
    mg_error err;
    if (mg_read_config(luaL_checkstring(L, 1), &json, &err) != MG_OK) {
        lua_pushnil(L);
        lua_pushstring(L, err.text);
        mg_buf_deinit(&json);
        return 2;
    }
    mg_lua_push_str(L, mg_buf_str(&json));
    mg_buf_deinit(&json);
    return 1;
}
