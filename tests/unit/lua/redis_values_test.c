#include "lua/redis_values.h"

#include "lua/bind_json.h"

#include "state.h"

static lua_State *L;

static int set_up(void **state) {
    (void)state;
    L = state_with(mg_open_json, "json");
    run_lua(L, "errors = {}\n"
               "function text(v)\n"
               "  if type(v) ~= 'table' then return tostring(v) end\n"
               "  if getmetatable(v) == errors then return 'error ' .. v.message end\n"
               "  local list = {}\n"
               "  for k, item in pairs(v) do list[#list + 1] = text(k) .. '=' .. text(item) end\n"
               "  table.sort(list)\n"
               "  return '{' .. table.concat(list, ',') .. '}'\n"
               "end\n");
    lua_getglobal(L, "errors");
    mg_redis_values_open(L);
    lua_settop(L, 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    lua_close(L);
    return 0;
}

// What the reply becomes, made with so much in each turn; how many these were.
static int make(const char *bytes, int each, char *out, size_t n) {
    mg_redis_reader reader = {.limits = {1 << 20, 10000}};
    mg_redis_making *making = NULL;
    mg_redis_reply r;
    const char *fault;
    mg_str in = mg_str_of(bytes);
    int turns = 1;
    assert_true(mg_redis_read(&reader, &in, &r, &fault));
    lua_getglobal(L, "text");
    for (int budget = each; !mg_redis_make(L, &r, false, &making, &budget); budget = each) {
        assert_int_equal(lua_gettop(L), 1);
        assert_non_null(making);
        lua_gc(L, LUA_GCCOLLECT, 0);
        turns++;
    }
    assert_null(making);
    assert_int_equal(lua_gettop(L), 2);
    lua_call(L, 1, 1);
    snprintf(out, n, "%s", lua_tostring(L, -1));
    lua_settop(L, 0);
    mg_redis_reader_deinit(&reader);
    return turns;
}

static const struct {
    const char *bytes, *text;
} cases[] = {
    {"$2\r\nhi\r\n", "hi"},
    {"_\r\n", "nil"},
    {":-7\r\n", "-7"},
    {",1.5\r\n", "1.5"},
    {"#t\r\n", "true"},
    {"(12345678901234567890\r\n", "12345678901234567890"},
    {"*0\r\n", "{}"},
    {"%0\r\n", "{}"},
    {"*3\r\n:1\r\n_\r\n-ERR no\r\n", "{1=1,2=null,3=error ERR no}"},
    {"~2\r\n*0\r\n*1\r\n%0\r\n", "{1={},2={1={}}}"},
    {"%2\r\n+a\r\n*2\r\n:1\r\n:2\r\n+b\r\n%1\r\n+c\r\n+d\r\n", "{a={1=1,2=2},b={c=d}}"},
    {"%2\r\n,nan\r\n:1\r\n:2\r\n:3\r\n", "{2=3}"}, // nan is no key
    {"*2\r\n%1\r\n:1\r\n%1\r\n:2\r\n*2\r\n:3\r\n:4\r\n:5\r\n", "{1={1={2={1=3,2=4}}},2=5}"},
};

static void replies_become_values_however_many_turns_it_takes(void **state) {
    char got[256];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(make(cases[i].bytes, 1000, got, sizeof got), 1);
        assert_string_equal(got, cases[i].text);
        for (int each = 1; each <= 3; each++) {
            (void)make(cases[i].bytes, each, got, sizeof got);
            assert_string_equal(got, cases[i].text);
        }
    }
    assert_int_equal(make("*3\r\n:1\r\n:2\r\n:3\r\n", 1, got, sizeof got), 4);
}

static void values_go_as_deep_as_replies_do(void **state) {
    char bytes[4 * MG_REDIS_DEPTH + 16] = "";
    char got[16 * MG_REDIS_DEPTH];
    (void)state;
    for (int i = 0; i < MG_REDIS_DEPTH; i++) {
        strcat(bytes, "*1\r\n");
    }
    strcat(bytes, "*0\r\n");
    (void)make(bytes, 5, got, sizeof got);
    assert_memory_equal(got, "{1={1=", 6);
}

static void long_texts_cost_more(void **state) {
    static char bytes[32 * 1024];
    static char got[16 * 1024];
    (void)state;
    size_t n = (size_t)snprintf(bytes, sizeof bytes, "*2\r\n");
    for (int i = 0; i < 2; i++) {
        n += (size_t)snprintf(bytes + n, sizeof bytes - n, "$8192\r\n%08192d\r\n", i);
    }
    assert_int_equal(make(bytes, 10, got, sizeof got), 2);
}

// What is given up holds nothing of Lua's.
static void what_is_half_made_may_be_left(void **state) {
    mg_redis_making *making = NULL;
    mg_redis_value values[] = {{.type = MG_REDIS_ARRAY, .n = 2},
                               {.type = MG_REDIS_INTEGER, .integer = 1},
                               {.type = MG_REDIS_INTEGER, .integer = 2}};
    mg_redis_reply r = {values, 3, "", NULL};
    int budget = 2;
    (void)state;
    lua_pushlightuserdata(L, L);
    int before = luaL_ref(L, LUA_REGISTRYINDEX);
    luaL_unref(L, LUA_REGISTRYINDEX, before);
    assert_false(mg_redis_make(L, &r, true, &making, &budget));
    assert_int_equal(lua_gettop(L), 0);
    mg_redis_making_free(L, making);
    mg_redis_making_free(L, NULL);
    lua_pushlightuserdata(L, L);
    assert_int_equal(luaL_ref(L, LUA_REGISTRYINDEX), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(replies_become_values_however_many_turns_it_takes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(values_go_as_deep_as_replies_do, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_texts_cost_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_half_made_may_be_left, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
