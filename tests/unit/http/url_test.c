#include "http/url.h"

#include "unit.h"

// "path?query" of the target, with its authority in front if it has one; NULL: refused.
static void parses(const char *target, mg_method m, const char *want) {
    mg_arena arena = {0};
    mg_target t;
    int rc = mg_target_parse(mg_str_of(target), m, &arena, &t);
    assert_int_equal(rc, want != NULL ? MG_OK : MG_ESYNTAX);
    if (want != NULL) {
        mg_buf got = {0};
        mg_buf_append_str(&got, t.authority);
        mg_buf_append_str(&got, t.path);
        if (t.has_query) {
            mg_buf_append_char(&got, '?');
            mg_buf_append_str(&got, t.query);
        }
        assert_text(want, mg_buf_str(&got));
        mg_buf_deinit(&got);
    }
    mg_arena_deinit(&arena);
}

static void gets(const char *target, const char *want) {
    parses(target, MG_METHOD_GET, want);
}

static void splits_paths_and_queries(void **state) {
    (void)state;
    gets("/", "/");
    gets("/a/b?c=d?e", "/a/b?c=d?e");
    gets("/a?", "/a?");
    gets("/a%2Fb|{c}", "/a%2Fb|{c}");
    gets("//a", "//a");
}

static void removes_dot_segments_inside_the_root(void **state) {
    (void)state;
    gets("/a/./b", "/a/b");
    gets("/a/../b/", "/b/");
    gets("/a/b/..", "/a/");
    gets("/a/%2E%2e/b", "/b");
    gets("/.", "/");
    gets("/a/...", "/a/...");
    gets("/a?/../..", "/a?/../..");
}

static void refuses_dot_segments_that_leave_it(void **state) {
    (void)state;
    gets("/..", NULL);
    gets("/a/../..", NULL);
    gets("/%2e%2E/a", NULL);
    gets("/./..", NULL);
}

static void refuses_bytes_that_do_not_belong(void **state) {
    (void)state;
    const char *bad[] = {"",    "a",    "/\"", "/<",    "/>",          "/\\",       "/^",
                         "/`",  "/#a",  "/ ",  "/\t",   "/\x7f",       "/\xc3\xa4", "/%",
                         "/%4", "/%g0", "*",   "/%g0?", "http://a/^?b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gets(bad[i], NULL);
    }
}

static void takes_the_query_as_browsers_send_it(void **state) {
    (void)state;
    for (int c = 0; c < 256; c++) {
        char target[] = "/a?b=_";
        char absolute[] = "http://a?_";
        char whole[] = "a/?_";
        target[5] = absolute[9] = whole[3] = (char)c;
        bool taken = c > 0x20 && c < 0x7f && c != '#';
        mg_arena arena = {0};
        mg_target t;
        int want = taken ? MG_OK : MG_ESYNTAX;
        assert_int_equal(mg_target_parse((mg_str){target, 6}, MG_METHOD_GET, &arena, &t), want);
        mg_arena_deinit(&arena);
        if (c != 0) {
            gets(absolute, taken ? whole : NULL);
        }
    }
    gets("/?%&a=100%&%zz=%4", "/?%&a=100%&%zz=%4");
    gets("/?../..", "/?../..");
}

static void what_is_sent_is_stricter_than_what_is_taken(void **state) {
    (void)state;
    assert_true(mg_url_is_strict(MG_STR("/a%20b?c={d}|e&f=?/:@[]")));
    const char *bad[] = {"/?^", "/?`", "/?<", "/?\\", "/?\"", "/?%", "/?%4", "/#", "/ ", "/\xc3"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(mg_url_is_strict(mg_str_of(bad[i])));
    }
}

static void reads_the_other_forms(void **state) {
    (void)state;
    gets("http://a.test:80/b?c", "a.test:80/b?c");
    gets("HTTPS://a.test", "a.test/");
    gets("http://a.test?x", "a.test/?x");
    gets("http://u@a.test/", NULL);
    gets("http:///a", NULL);
    gets("ftp://a/", NULL);
    gets("http://[::1]:1/", "[::1]:1/");
    parses("*", MG_METHOD_OPTIONS, "*");
    parses("a.test:443", MG_METHOD_CONNECT, "a.test:443");
    parses("a.test", MG_METHOD_CONNECT, NULL);
    parses("/a", MG_METHOD_CONNECT, NULL);
    gets("a.test:443", NULL);
}

static void judges_hosts(void **state) {
    (void)state;
    const char *good[] = {"a",
                          "a.b-c_d",
                          "1.2.3.4:80",
                          "a:",
                          "a:0",
                          "a:65535",
                          "[::1]",
                          "[::1]:80",
                          "[::]",
                          "[2001:DB8::ffff:1.2.3.4]",
                          "[1:2:3:4:5:6:7:8]",
                          "%41"};
    const char *bad[] = {"",
                         ":80",
                         "a:b",
                         "a:+1",
                         "a:65536",
                         "a/b",
                         "a@b",
                         "a b",
                         "[::1",
                         "[::1]a",
                         "[::1]:x",
                         "[x]",
                         "a,b",
                         "a:1:2",
                         "[]",
                         "[12]",
                         "[..]",
                         "[ab..cd::1]",
                         "[1.2.3.4]",
                         "[:::]",
                         "[1::2::3]",
                         "[1:2:3:4:5:6:7:8:9]",
                         "[1:2:3:4:5:6:7]",
                         "[12345::]",
                         "[::1.2.3]",
                         "[::1.2.3.256]",
                         "[fe80::1%eth0]",
                         "[fe80::1%25eth0]",
                         "[v1.a]",
                         "[ ::1]",
                         "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(mg_host_valid(mg_str_of(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(mg_host_valid(mg_str_of(bad[i])));
    }
}

static void decodes(void **state) {
    (void)state;
    mg_buf out = {0};
    mg_url_decode(MG_STR("a%20b+c%zz%4"), true, &out);
    assert_text("a b c%zz%4", mg_buf_str(&out));
    mg_buf_clear(&out);
    mg_url_decode(MG_STR("a+b"), false, &out);
    assert_text("a+b", mg_buf_str(&out));
    mg_buf_deinit(&out);
}

static void walks_over_pairs(void **state) {
    (void)state;
    mg_str rest = MG_STR("&a=1&&b&c==&");
    mg_str key;
    mg_str value;
    assert_true(mg_query_next(&rest, &key, &value));
    assert_text("a", key);
    assert_text("1", value);
    assert_true(mg_query_next(&rest, &key, &value));
    assert_text("b", key);
    assert_text("", value);
    assert_true(mg_query_next(&rest, &key, &value));
    assert_text("=", value);
    assert_false(mg_query_next(&rest, &key, &value));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_paths_and_queries),
        cmocka_unit_test(removes_dot_segments_inside_the_root),
        cmocka_unit_test(refuses_dot_segments_that_leave_it),
        cmocka_unit_test(refuses_bytes_that_do_not_belong),
        cmocka_unit_test(takes_the_query_as_browsers_send_it),
        cmocka_unit_test(what_is_sent_is_stricter_than_what_is_taken),
        cmocka_unit_test(reads_the_other_forms),
        cmocka_unit_test(judges_hosts),
        cmocka_unit_test(decodes),
        cmocka_unit_test(walks_over_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
