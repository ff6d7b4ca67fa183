#include "lua/bind.h"

#include "state.h"

#include "base/slots.h"
#include "event/file.h"
#include "http/method.h"

static int open_constants(lua_State *L) {
    lua_newtable(L);
    mg_bind_constants(L);
    lua_getfield(L, -1, "constants");
    return 1;
}

static void lua_knows_the_numbers_of_c(void **state) {
    (void)state;
    lua_State *L = state_with(open_constants, "constants");
    lua_pushnumber(L, MG_SLOTS_MAX);
    lua_setglobal(L, "slots");
    lua_pushnumber(L, MG_FILE_PIECE_BYTES);
    lua_setglobal(L, "piece");
    run_lua(L, "equal(slots, constants.slots)\n"
               "equal(piece, constants.file_piece)\n"
               "equal(30, constants.call_seconds)\n"
               "equal(30, constants.call_idle_seconds)\n"
               "local levels = constants.log_levels\n"
               "assert(levels.debug < levels.info and levels.info < levels.warn)\n"
               "assert(levels.warn < levels.error)\n");
    lua_close(L);
}

static void every_method_has_its_number(void **state) {
    (void)state;
    lua_State *L = state_with(open_constants, "constants");
    lua_getglobal(L, "constants");
    lua_getfield(L, -1, "methods");
    for (mg_method m = 0; m < MG_METHOD_COUNT; m++) {
        lua_getfield(L, -1, mg_method_name(m).p);
        assert_int_equal(lua_tointeger(L, -1), m);
        assert_int_equal(lua_type(L, -1), LUA_TNUMBER);
        lua_pop(L, 1);
    }
    lua_getfield(L, -1, "UNKNOWN");
    assert_int_equal(lua_tointeger(L, -1), MG_METHOD_UNKNOWN);
    lua_close(L);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lua_knows_the_numbers_of_c),
        cmocka_unit_test(every_method_has_its_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
