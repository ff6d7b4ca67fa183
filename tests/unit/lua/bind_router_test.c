#include "lua/bind_router.h"

#include "state.h"

static lua_State *L;

static int set_up(void **state) {
    (void)state;
    L = state_with(mg_open_router, "routers");
    run_lua(L, "r = routers.new()");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    lua_close(L);
    return 0;
}

static void a_match_gives_the_id_and_decoded_parameters(void **state) {
    (void)state;
    run_lua(L, "equal(true, r:add('GET', '/users/:id/files/*path', 7))\n"
               "local id, params = r:match('GET', '/users/a%20b%2Fc/files/x/y+z%00')\n"
               "equal(7, id)\n"
               "equal('a b/c', params.id)\n"
               "equal('x/y+z\\0', params.path)\n"
               "equal(7, (r:match('HEAD', '/users/1/files/x')))");
}

static void a_static_route_has_an_empty_table_of_parameters(void **state) {
    (void)state;
    run_lua(L, "r:add('GET', '/', 1)\n"
               "local id, params = r:match('GET', '/')\n"
               "equal(1, id)\n"
               "equal(nil, next(params))");
}

static void what_is_not_there_is_none(void **state) {
    (void)state;
    run_lua(L, "r:add('GET', '/a', 1)\n"
               "local id, why = r:match('GET', '/b')\n"
               "equal(nil, id)\n"
               "equal('none', why)");
}

static void another_method_gives_the_list_of_allowed_ones(void **state) {
    (void)state;
    run_lua(L, "r:add('GET', '/a', 1)\n"
               "r:add('DELETE', '/a', 2)\n"
               "local id, why, allowed = r:match('PUT', '/a')\n"
               "equal(nil, id)\n"
               "equal('method', why)\n"
               "equal('GET HEAD DELETE OPTIONS', table.concat(allowed, ' '))");
}

static void a_route_of_the_same_shape_is_named(void **state) {
    (void)state;
    run_lua(L, "r:add('GET', '/users/:id', 3)\n"
               "local good, message, existing = r:add('GET', '/users/:name', 4)\n"
               "equal(nil, good)\n"
               "equal('a route of the same shape is there already', message)\n"
               "equal(3, existing)\n"
               "equal(3, (r:match('GET', '/users/x')))");
}

static void a_malformed_pattern_is_told_in_words(void **state) {
    (void)state;
    run_lua(L, "for _, pattern in ipairs({ '', 'a', '/:', '/:id<float>', '/*rest/more' }) do\n"
               "  local good, message, existing = r:add('GET', pattern, 1)\n"
               "  equal(nil, good)\n"
               "  assert(#message > 0, pattern)\n"
               "  equal(nil, existing)\n"
               "end");
}

static void wrong_use_raises_at_the_callers_line(void **state) {
    (void)state;
    run_lua(L, "refused(\"bad argument #1 to 'add' (a method such as GET is wanted)\",\n"
               "  function() r:add('g t', '/', 1) end)\n"
               "refused(\"bad argument #3 to 'add' (an id from 1 to 1048576 is wanted)\",\n"
               "  function() r:add('GET', '/', 0) end)\n"
               "refused(\"bad argument #3 to 'add' (an id from 1 to 1048576 is wanted)\",\n"
               "  function() r:add('GET', '/', 2 ^ 32 + 1) end)\n"
               "refused(\"calling 'match' on bad self (moongate.router expected, got table)\",\n"
               "  function() local t = { match = r.match } t:match('GET', '/') end)");
}

static void a_collected_router_says_so(void **state) {
    (void)state;
    run_lua(L, "getmetatable(r).__gc(r)\n"
               "local good, message = pcall(r.match, r, 'GET', '/')\n"
               "assert(not good and message:find('has been collected', 1, true), message)\n"
               "getmetatable(r).__gc(r)");
}

static void a_match_outlives_the_router(void **state) {
    (void)state;
    run_lua(L, "r:add('GET', '/:id', 1)\n"
               "local _, params = r:match('GET', '/x')\n"
               "r = nil\n"
               "collectgarbage()\n"
               "collectgarbage()\n"
               "equal('x', params.id)");
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_match_gives_the_id_and_decoded_parameters),
        TEST(a_static_route_has_an_empty_table_of_parameters),
        TEST(what_is_not_there_is_none),
        TEST(another_method_gives_the_list_of_allowed_ones),
        TEST(a_route_of_the_same_shape_is_named),
        TEST(a_malformed_pattern_is_told_in_words),
        TEST(wrong_use_raises_at_the_callers_line),
        TEST(a_collected_router_says_so),
        TEST(a_match_outlives_the_router),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
