#include "http/cookie.h"

#include "unit.h"

static void reads(mg_str text, const char *want) {
    mg_buf got = {0};
    mg_str name;
    mg_str value;
    while (mg_cookie_next(&text, &name, &value)) {
        mg_buf_append_char(&got, '[');
        mg_buf_append_str(&got, name);
        mg_buf_append_char(&got, '|');
        mg_buf_append_str(&got, value);
        mg_buf_append_char(&got, ']');
    }
    assert_int_equal(text.n, 0);
    assert_text(want, mg_buf_str(&got));
    mg_buf_deinit(&got);
}

static void writes(mg_cookie c, const char *want) {
    mg_buf got = {0};
    assert_int_equal(mg_cookie_write(&got, &c, NULL), MG_OK);
    assert_text(want, mg_buf_str(&got));
    mg_buf_deinit(&got);
}

static void refuses(mg_cookie c, const char *want) {
    mg_buf got = {0};
    mg_error err;
    assert_int_equal(mg_cookie_write(&got, &c, &err), MG_ESYNTAX);
    assert_string_equal(err.text, want);
    assert_int_equal(got.n, 0);
    mg_buf_deinit(&got);
}

#define COOKIE(...) ((mg_cookie){.name = MG_STR("a"), .value = MG_STR("b"), __VA_ARGS__})

static void reads_pairs_in_order(void **state) {
    (void)state;
    reads(MG_STR("a=1; b=2;c=3"), "[a|1][b|2][c|3]");
    reads(MG_STR("a=1; a=2"), "[a|1][a|2]");
    reads(MG_STR("a=x=y"), "[a|x=y]");
    reads(MG_STR("a="), "[a|]");
}

static void reads_leniently(void **state) {
    (void)state;
    reads(MG_STR(" a = 1 ;;\tb=2; "), "[a|1][b|2]");
    reads(MG_STR("a=\"1 2\"; b=\"; c=\"\""), "[a|1 2][b|\"][c|]");
    reads(MG_STR("a=\xc3\xa4 x,y"), "[a|\xc3\xa4 x,y]");
    reads(MG_STR("nothing; =nameless; a=1"), "[a|1]");
    reads(MG_STR(""), "");
    reads((mg_str){NULL, 0}, "");
}

static void writes_a_pair(void **state) {
    (void)state;
    writes(COOKIE(), "a=b");
    writes((mg_cookie){.name = MG_STR("a")}, "a=");
}

static void writes_attributes(void **state) {
    (void)state;
    writes(COOKIE(.path = MG_STR("/x"), .domain = MG_STR("Example.test")),
           "a=b; Path=/x; Domain=Example.test");
    writes(COOKIE(.has_max_age = true, .max_age_s = 60), "a=b; Max-Age=60");
    writes(COOKIE(.has_max_age = true, .max_age_s = -1), "a=b; Max-Age=-1");
    writes(COOKIE(.has_expires = true, .expires_s = 784111777),
           "a=b; Expires=Sun, 06 Nov 1994 08:49:37 GMT");
    writes(COOKIE(.same_site = MG_SAME_SITE_STRICT), "a=b; SameSite=Strict");
    writes(COOKIE(.same_site = MG_SAME_SITE_LAX, .http_only = true), "a=b; SameSite=Lax; HttpOnly");
    writes(COOKIE(.same_site = MG_SAME_SITE_NONE, .secure = true, .partitioned = true),
           "a=b; SameSite=None; Secure; Partitioned");
}

static void refuses_names_that_are_no_tokens(void **state) {
    (void)state;
    static const char *const wrong[] = {"", "a b", "a=", "a;", "a\r\nX: y", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        refuses((mg_cookie){.name = mg_str_of(wrong[i])}, "cookie: the name is not a token");
    }
}

static void refuses_values_that_need_encoding(void **state) {
    (void)state;
    static const char *const wrong[] = {"a b",       "a;b",  "a,b",      "\"a\"", "a\\b",
                                        "a\r\nX: y", "\x7f", "\xc3\xa4", "\t"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        refuses((mg_cookie){.name = MG_STR("n"), .value = mg_str_of(wrong[i])},
                "cookie n: the value holds a space, a control character, one of \" , ; \\ or no "
                "ASCII: encode it first");
    }
    refuses((mg_cookie){.name = MG_STR("n"), .value = MG_STR("a\0b")},
            "cookie n: the value holds a space, a control character, one of \" , ; \\ or no "
            "ASCII: encode it first");
}

static void refuses_attributes_that_break_out(void **state) {
    (void)state;
    const char *path = "cookie a: path begins with / and holds no semicolon, no control character "
                       "and only ASCII";
    refuses(COOKIE(.path = MG_STR("x")), path);
    refuses(COOKIE(.path = MG_STR("/; Domain=evil.test")), path);
    refuses(COOKIE(.path = MG_STR("/\r\nX: y")), path);
    refuses(COOKIE(.domain = MG_STR("a;b")), "cookie a: domain is a host name");
    refuses(COOKIE(.domain = MG_STR("a:80")), "cookie a: domain is a host name");
    refuses(COOKIE(.has_expires = true, .expires_s = INT64_MAX),
            "cookie a: expires lies beyond the year 9999");
}

static void refuses_what_browsers_drop(void **state) {
    (void)state;
    refuses(COOKIE(.same_site = MG_SAME_SITE_NONE), "cookie a: same_site \"none\" needs secure");
    refuses(COOKIE(.partitioned = true), "cookie a: partitioned needs secure");
    char value[4097];
    memset(value, 'x', sizeof value);
    writes((mg_cookie){.name = MG_STR("a"), .value = {value, 0}}, "a=");
    refuses((mg_cookie){.name = MG_STR("a"), .value = {value, 4096}},
            "cookie a: name and value are longer than 4096 bytes");
    mg_buf got = {0};
    mg_cookie longest = {.name = MG_STR("a"), .value = {value, 4095}};
    assert_int_equal(mg_cookie_write(&got, &longest, NULL), MG_OK);
    assert_int_equal(got.n, 4097);
    mg_buf_deinit(&got);
}

static void keeps_the_rules_of_prefixes(void **state) {
    (void)state;
    mg_str name = MG_STR("__secure-a");
    refuses((mg_cookie){.name = name}, "cookie __secure-a: the prefix __Secure- needs secure");
    writes((mg_cookie){.name = name, .secure = true}, "__secure-a=; Secure");
    const char *text = "cookie __Host-a: the prefix __Host- needs secure, path \"/\" and no domain";
    mg_cookie c = {.name = MG_STR("__Host-a"), .secure = true, .path = MG_STR("/")};
    writes(c, "__Host-a=; Path=/; Secure");
    c.path = MG_STR("/x");
    refuses(c, text);
    c.path = MG_STR("/");
    c.domain = MG_STR("a.test");
    refuses(c, text);
    c.domain = (mg_str){NULL, 0};
    c.secure = false;
    refuses(c, text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_pairs_in_order),
        cmocka_unit_test(reads_leniently),
        cmocka_unit_test(writes_a_pair),
        cmocka_unit_test(writes_attributes),
        cmocka_unit_test(refuses_names_that_are_no_tokens),
        cmocka_unit_test(refuses_values_that_need_encoding),
        cmocka_unit_test(refuses_attributes_that_break_out),
        cmocka_unit_test(refuses_what_browsers_drop),
        cmocka_unit_test(keeps_the_rules_of_prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
