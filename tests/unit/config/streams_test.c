#include "config/streams.h"

#include "of_text.h"

#include "config/endpoint.h"

static mg_config c;
static mg_error err;

static int join(const char *json, const char *lines) {
    load(&c, json);
    return mg_config_join_streams(&c, mg_str_of(lines), &err);
}

static int tear_down(void **state) {
    (void)state;
    mg_config_deinit(&c);
    return 0;
}

static void an_address_of_the_app_becomes_an_endpoint(void **state) {
    (void)state;
    assert_int_equal(
        join("{\"listen\":[\":1\"]}", ":2\tlua/app.lua:3\nunix:run/x\tlua/app.lua:4\n"), MG_OK);
    assert_int_equal(c.listen.n, 3);
    assert_false(c.listen.items[0].stream);
    assert_string_equal(c.listen.items[1].address, ":2");
    assert_true(c.listen.items[1].stream);
    assert_string_equal(c.listen.items[2].address, "unix:/nowhere/run/x");
}

static void what_listen_says_of_it_holds(void **state) {
    (void)state;
    assert_int_equal(join("{\"listen\":[{\"address\":\":1\",\"stream\":true,"
                          "\"proxy_protocol\":[\"10.0.0.0/8\"]}]}",
                          ":1\tlua/app.lua:3\n"),
                     MG_OK);
    assert_int_equal(c.listen.n, 1);
    assert_int_equal(c.listen.items[0].proxies.n, 1);
}

static void http_and_a_stream_do_not_share_an_address(void **state) {
    (void)state;
    assert_int_equal(join("{\"listen\":[\":1\"]}", ":1\tlua/app.lua:3\n"), MG_ECONFIG);
    assert_string_equal(err.text,
                        "lua/app.lua:3: stream: :1 speaks HTTP, " FILE_NAME " says in listen; "
                        "allowed: another address, or { address = \":1\", stream = true } there");
}

static void a_stream_that_nobody_speaks_is_a_fault(void **state) {
    (void)state;
    assert_int_equal(join("{\"listen\":[{\"address\":\":1\",\"stream\":true}]}", ""), MG_ECONFIG);
    assert_string_equal(err.text, FILE_NAME ": listen: :1 has stream = true, but the app has no "
                                            "app:stream(\":1\", fn)");
}

static void those_of_before_are_kept_where_nothing_is_known(void **state) {
    (void)state;
    mg_config before;
    assert_int_equal(join("{\"listen\":[\":1\"]}", ":2\tlua/app.lua:3\n"), MG_OK);
    before = c;
    load(&c, "{\"listen\":[\":1\"]}");
    mg_config_keep_streams(&c, &before);
    mg_config_deinit(&before);
    assert_int_equal(c.listen.n, 2);
    assert_string_equal(c.listen.items[1].address, ":2");
    assert_true(c.listen.items[1].stream);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(an_address_of_the_app_becomes_an_endpoint, tear_down),
        cmocka_unit_test_teardown(what_listen_says_of_it_holds, tear_down),
        cmocka_unit_test_teardown(http_and_a_stream_do_not_share_an_address, tear_down),
        cmocka_unit_test_teardown(a_stream_that_nobody_speaks_is_a_fault, tear_down),
        cmocka_unit_test_teardown(those_of_before_are_kept_where_nothing_is_known, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
