#include "config/config.h"
#include "config/describe.h"
#include "lua/args.h"
#include "lua/read_config.h"
#include "testkit/kit_inside.h"

#include <lauxlib.h>

// Whether every key and value is good; else `faults` tells.
static bool is_good(const char *path, mg_str json, mg_buf *faults) {
    mg_config config;
    int rc = mg_config_init(&config, path, json, faults);
    mg_config_deinit(&config);
    return rc == MG_OK;
}

static int push_faults(lua_State *L, mg_str text) {
    lua_pushnil(L);
    mg_lua_push_str(L, text);
    return 2;
}

// settings() -> every key of a configuration, as JSON.
int mg_testkit_settings(lua_State *L) {
    mg_buf json = {0};
    mg_config_describe(&json);
    mg_lua_push_str(L, mg_buf_str(&json));
    mg_buf_deinit(&json);
    return 1;
}

// test_configuration(path) -> what that file says, as JSON; nil and its faults.
int mg_testkit_configuration(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    mg_buf json = {0};
    mg_buf faults = {0};
    mg_error err;
    int results = 1;
    if (mg_read_config(path, &json, &err) != MG_OK) {
        results = push_faults(L, mg_str_of(err.text));
    } else if (!is_good(path, mg_buf_str(&json), &faults)) {
        results = push_faults(L, mg_str_trim(mg_buf_str(&faults)));
    } else {
        mg_lua_push_str(L, mg_buf_str(&json));
    }
    mg_buf_deinit(&json);
    mg_buf_deinit(&faults);
    return results;
}
