#include "lua/bind_http.h"

#include "state.h"

static int setup(void **state) {
    *state = state_with(mg_open_http, "http");
    run_lua(*state, "function fails(want, value, message)\n"
                    "  if value ~= nil then error('accepted: ' .. tostring(value), 2) end\n"
                    "  if want ~= message then error('got: ' .. tostring(message), 2) end\n"
                    "end\n");
    return 0;
}

static int teardown(void **state) {
    lua_close(*state);
    return 0;
}

static void a_query_is_a_map_of_last_values_and_a_list_of_all(void **state) {
    run_lua(*state, "local map, list = http.parse_query('a=1&b=x+y%21&a=2&c&=e')\n"
                    "equal('2', map.a) equal('x y!', map.b) equal('', map.c) equal('e', map[''])\n"
                    "equal(5, #list)\n"
                    "equal('a', list[1][1]) equal('1', list[1][2])\n"
                    "equal('b', list[2][1]) equal('x y!', list[2][2])\n"
                    "equal('a', list[3][1]) equal('2', list[3][2])\n"
                    "map, list = http.parse_query('')\n"
                    "equal(nil, next(map)) equal(0, #list)\n");
}

static void a_form_has_a_limit_of_fields(void **state) {
    run_lua(*state, "local map, list = http.parse_form(('a=1&'):rep(4096))\n"
                    "equal(4096, #list) equal('1', map.a)\n"
                    "fails('the form has more than 4096 fields',\n"
                    "  http.parse_form(('a&'):rep(4097)))\n"
                    "map, list = http.parse_query(('a&'):rep(5000))\n"
                    "equal(5000, #list)\n");
}

static void multipart_gives_parts(void **state) {
    run_lua(*state,
            "local body = table.concat({\n"
            "  '--sep', 'Content-Disposition: form-data; name=\"name\"', '', 'Ada',\n"
            "  '--sep', 'Content-Disposition: form-data; name=\"file\"; filename=\"a.bin\"',\n"
            "  'Content-Type: image/png', '', 'line\\r\\n--se\\0', '--sep--', '' }, '\\r\\n')\n"
            "local parts = http.parse_multipart(body, 'multipart/form-data; boundary=\"sep\"')\n"
            "equal(2, #parts)\n"
            "equal('name', parts[1].name) equal('Ada', parts[1].body)\n"
            "equal(nil, parts[1].filename) equal('text/plain', parts[1].content_type)\n"
            "equal('file', parts[2].name) equal('line\\r\\n--se\\0', parts[2].body)\n"
            "equal('a.bin', parts[2].filename) equal('image/png', parts[2].content_type)\n"
            "equal(0, #http.parse_multipart('--s--', 'multipart/form-data; boundary=s'))\n");
}

static void malformed_multipart_gives_nil_and_a_message(void **state) {
    run_lua(*state,
            "local type = 'multipart/form-data; boundary=s'\n"
            "fails('the content type has no valid boundary',\n"
            "  http.parse_multipart('--s--', 'multipart/form-data'))\n"
            "fails('the form ends before its closing delimiter', http.parse_multipart('', type))\n"
            "fails('the form ends before its closing delimiter', http.parse_multipart(\n"
            "  '--s\\r\\nContent-Disposition: form-data; name=a\\r\\n\\r\\nx', type))\n");
}

// Each allocation fails once: whatever was under way must be released by the collector.
typedef struct meter {
    lua_Alloc alloc;
    void *ud;
    long left;
} meter;

static void *failing_alloc(void *ud, void *p, size_t old_size, size_t size) {
    meter *m = ud;
    if (size > old_size && m->left-- == 0) {
        return NULL;
    }
    return m->alloc(m->ud, p, old_size, size);
}

static void nothing_leaks_when_lua_has_no_memory(void **state) {
    lua_State *L = *state;
    const char *source = "local big = ('x'):rep(9000)\n"
                         "http.parse_multipart('--s\\r\\nContent-Disposition: form-data; "
                         "name=a\\r\\n\\r\\n' .. big\n"
                         "  .. '\\r\\n--s--', 'multipart/form-data; boundary=s')\n"
                         "http.parse_form('a=%41' .. big)\n"
                         "http.set_cookie('a', 'b')\n"
                         "http.parse_content_type('a/b; c=\"d\"')\n";
    meter m = {.left = -1};
    m.alloc = lua_getallocf(L, &m.ud);
    int failures = 0;
    for (long n = 0; n < 200; n++) {
        assert_int_equal(luaL_loadstring(L, source), 0);
        lua_setallocf(L, failing_alloc, &m);
        m.left = n;
        failures += lua_pcall(L, 0, 0, 0) != 0;
        lua_setallocf(L, m.alloc, m.ud);
        lua_settop(L, 0);
    }
    assert_true(failures > 10);
    assert_true(failures < 200);
}

static void of_repeated_cookies_the_first_counts(void **state) {
    run_lua(*state, "local c = http.parse_cookies('a=1; b=\"2\"; a=3; d')\n"
                    "equal('1', c.a) equal('2', c.b) equal(nil, c.d)\n"
                    "equal(nil, next(http.parse_cookies('')))\n");
}

static void a_cookie_is_set_with_all_its_attributes(void **state) {
    run_lua(*state,
            "equal('a=b; Path=/', http.set_cookie('a', 'b'))\n"
            "equal('a=b; Path=/', http.set_cookie('a', 'b', {}))\n"
            "equal('a=7; Path=/', http.set_cookie('a', 7))\n"
            "equal('a=; Path=/x; Domain=d.test; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 '\n"
            "  .. 'GMT; SameSite=None; Secure; HttpOnly; Partitioned', http.set_cookie('a', '', {\n"
            "  path = '/x', domain = 'd.test', max_age = 60.9, expires = 0, same_site = 'None',\n"
            "  secure = true, http_only = true, partitioned = true }))\n"
            "equal('a=b; Path=/; SameSite=Lax',\n"
            "  http.set_cookie('a', 'b', { same_site = 'lax', secure = false }))\n");
}

static void a_wrong_cookie_raises_and_names_what_is_wrong(void **state) {
    run_lua(
        *state,
        "local function wrong(want, ...) refused('cookie' .. want, http.set_cookie, ...) end\n"
        "wrong(': the name is not a token', 'a b', '')\n"
        "wrong(' a: the value holds a space, a control character, one of \" , ; \\\\ or no '\n"
        "  .. 'ASCII: encode it first', 'a', 'b\\r\\nX: y')\n"
        "wrong(\": the option 'httponly' is unknown, allowed are path, domain, max_age, \"\n"
        "  .. 'expires, secure, http_only, same_site and partitioned',\n"
        "  'a', 'b', { httponly = true })\n"
        "wrong(': path is a string, not a number', 'a', 'b', { path = 5 })\n"
        "wrong(': secure is a boolean, not a string', 'a', 'b', { secure = 'yes' })\n"
        "wrong(': max_age is a number, not a string', 'a', 'b', { max_age = '5' })\n"
        "wrong(': max_age is out of range', 'a', 'b', { max_age = 0 / 0 })\n"
        "wrong(': max_age is out of range', 'a', 'b', { max_age = math.huge })\n"
        "wrong(': same_site is \"strict\", \"lax\" or \"none\"', 'a', 'b', { same_site = '' })\n"
        "wrong(' a: same_site \"none\" needs secure', 'a', 'b', { same_site = 'none' })\n"
        "refused(\"bad argument #3 to 'f' (table expected, got string)\",\n"
        "  http.set_cookie, 'a', 'b', 'c')\n");
}

static void dates_go_both_ways(void **state) {
    run_lua(*state,
            "equal('Sun, 06 Nov 1994 08:49:37 GMT', http.date(784111777.9))\n"
            "equal(784111777, http.parse_date('Sunday, 06-Nov-94 08:49:37 GMT'))\n"
            "fails('not a date of HTTP', http.parse_date('tomorrow'))\n"
            "for _, seconds in ipairs({ 1e300, -1e300, 0 / 0, math.huge }) do\n"
            "  refused(\"bad argument #1 to 'f' (a time in the years 0 to 9999 expected)\",\n"
            "    http.date, seconds)\n"
            "end\n");
}

static void media_types_are_found_and_read(void **state) {
    run_lua(
        *state,
        "equal('text/html; charset=utf-8', http.mime('a/b.html'))\n"
        "equal('application/octet-stream', http.mime('a'))\n"
        "local type, params = http.parse_content_type('Text/HTML; Charset=\"UTF-8\"; x=1; X=2')\n"
        "equal('text/html', type) equal('UTF-8', params.charset) equal('1', params.x)\n"
        "type, params = http.parse_content_type('a/b')\n"
        "equal('a/b', type) equal(nil, next(params))\n"
        "for _, text in ipairs({ '', 'text', 'a/b; c', 'a/b, c/d' }) do\n"
        "  fails('the media type is malformed', http.parse_content_type(text))\n"
        "end\n"
        "equal('Not Found', http.status_phrase(404))\n");
}

static void may_be_opened_twice(void **state) {
    mg_open_http(*state);
    lua_setglobal(*state, "again");
    run_lua(*state,
            "equal('a=b; Path=/', again.set_cookie('a', 'b'))\n"
            "equal(0, #again.parse_multipart('--s--', 'multipart/form-data; boundary=s'))\n");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_query_is_a_map_of_last_values_and_a_list_of_all),
        TEST(a_form_has_a_limit_of_fields),
        TEST(multipart_gives_parts),
        TEST(malformed_multipart_gives_nil_and_a_message),
        TEST(nothing_leaks_when_lua_has_no_memory),
        TEST(of_repeated_cookies_the_first_counts),
        TEST(a_cookie_is_set_with_all_its_attributes),
        TEST(a_wrong_cookie_raises_and_names_what_is_wrong),
        TEST(dates_go_both_ways),
        TEST(media_types_are_found_and_read),
        TEST(may_be_opened_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
