#include "http/route.h"

#include "base/buf.h"

#include "unit.h"

static mg_router *router;

static int set_up(void **state) {
    (void)state;
    router = mg_router_new();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_router_free(router);
    return 0;
}

static void add(unsigned m, const char *pattern, uint32_t id) {
    uint32_t existing = 0;
    assert_int_equal(mg_router_add(router, m, mg_str_of(pattern), id, &existing, NULL), MG_OK);
}

// The id, then the parameters; "none"; or the count of methods that are allowed.
static void finds(unsigned m, const char *path, const char *want) {
    mg_route_match match;
    mg_buf got = {0};
    switch (mg_router_match(router, m, mg_str_of(path), &match)) {
    case MG_ROUTE_FOUND:
        mg_buf_append_u64(&got, match.id);
        for (uint32_t i = 0; i < match.count; i++) {
            mg_buf_append_char(&got, ' ');
            mg_buf_append_str(&got, mg_router_param(router, match.id, i).name);
            mg_buf_append_char(&got, '=');
            mg_buf_append_str(&got, match.values[i]);
        }
        break;
    case MG_ROUTE_NONE:
        mg_buf_append_str(&got, MG_STR("none"));
        break;
    case MG_ROUTE_METHOD:
        mg_buf_printf(&got, "allowed %d", __builtin_popcountll(match.allowed));
        break;
    }
    assert_text(want, mg_buf_str(&got));
    mg_buf_deinit(&got);
}

static void gets(const char *path, const char *want) {
    finds(MG_METHOD_GET, path, want);
}

static void static_beats_typed_beats_plain_beats_wildcard(void **state) {
    (void)state;
    add(MG_METHOD_GET, "/u/*rest", 1);
    add(MG_METHOD_GET, "/u/:name", 2);
    add(MG_METHOD_GET, "/u/:id<int>", 3);
    add(MG_METHOD_GET, "/u/me", 4);
    gets("/u/me", "4");
    gets("/u/-7", "3 id=-7");
    gets("/u/ada", "2 name=ada");
    gets("/u/ada/x", "1 rest=ada/x");
    gets("/u/", "none");
    gets("/u", "none");
}

static void leaves_branches_that_lead_nowhere(void **state) {
    (void)state;
    add(MG_METHOD_GET, "/a/b/c", 1);
    add(MG_METHOD_GET, "/:x/b/d", 2);
    add(MG_METHOD_POST, "/a/b", 3);
    add(MG_METHOD_GET, "/a/:y", 4);
    gets("/a/b/d", "2 x=a");
    gets("/a/b", "4 y=b");
    gets("/a/b/", "none");
}

static void head_follows_get_and_others_are_told(void **state) {
    (void)state;
    add(MG_METHOD_GET, "/a", 1);
    add(MG_METHOD_POST, "/a", 2);
    finds(MG_METHOD_HEAD, "/a", "1");
    finds(MG_METHOD_DELETE, "/a", "allowed 4");
    finds(MG_METHOD_UNKNOWN, "/a", "allowed 4");
}

static void segments_are_compared_decoded_and_split_encoded(void **state) {
    (void)state;
    add(MG_METHOD_GET, "/users/:id", 1);
    gets("/%75sers/a%2Fb", "1 id=a%2Fb");
    gets("/users%2Fa", "none");
    gets("/users/a/", "none");
}

static void types_are_kept(void **state) {
    (void)state;
    add(MG_METHOD_GET, "/i/:a<uint>", 1);
    add(MG_METHOD_GET, "/h/:a<hex>", 2);
    add(MG_METHOD_GET, "/s/:a<slug>", 3);
    add(MG_METHOD_GET, "/l/:a<alpha>", 4);
    add(MG_METHOD_GET, "/u/:a<uuid>", 5);
    gets("/i/12", "1 a=12");
    gets("/i/-12", "none");
    gets("/h/fF0", "2 a=fF0");
    gets("/h/g", "none");
    gets("/s/a-b_1", "3 a=a-b_1");
    gets("/s/a.b", "none");
    gets("/l/abc", "4 a=abc");
    gets("/l/a1", "none");
    gets("/u/01234567-89ab-cdef-0123-456789abcdef", "5 a=01234567-89ab-cdef-0123-456789abcdef");
    gets("/u/01234567", "none");
}

static void a_number_fits_into_64_bits(void **state) {
    (void)state;
    add(MG_METHOD_GET, "/:n<int>", 1);
    add(MG_METHOD_GET, "/:n<uint>", 2);
    add(MG_METHOD_GET, "/:n", 3);
    gets("/0", "1 n=0");
    gets("/007", "1 n=007");
    gets("/-0", "1 n=-0");
    gets("/9223372036854775807", "1 n=9223372036854775807");
    gets("/-9223372036854775808", "1 n=-9223372036854775808");
    gets("/9223372036854775808", "2 n=9223372036854775808");
    gets("/18446744073709551615", "2 n=18446744073709551615");
    static const char *const texts[] = {"18446744073709551616",
                                        "-9223372036854775809",

                                        "+1",
                                        "1.0",
                                        "1e3",
                                        "-",
                                        "%37",
                                        "--1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char path[64], wanted[64];
        snprintf(path, sizeof path, "/%s", texts[i]);
        snprintf(wanted, sizeof wanted, "3 n=%s", texts[i]);
        gets(path, wanted);
    }
    mg_route_param param = mg_router_param(router, 1, 0);
    assert_int_equal(param.kind, MG_ROUTE_INT);
    assert_int_equal(mg_router_param(router, 3, 0).kind, MG_ROUTE_TEXT);
}

// "id", "none", or the count of methods that are allowed.
static void asks(const char *host, unsigned m, const char *path, const char *want) {
    mg_route_match match;
    char got[32];
    mg_route_result result =
        mg_router_match_for(router, mg_str_of(host), m, mg_str_of(path), &match);
    if (result == MG_ROUTE_METHOD) {
        snprintf(got, sizeof got, "allowed %d", __builtin_popcountll(match.allowed));
    } else {
        snprintf(got, sizeof got, "%u", match.id);
    }
    assert_string_equal(want, result == MG_ROUTE_NONE ? "none" : got);
}

static int add_for(const char *host, unsigned m, const char *pattern, uint32_t id) {
    uint32_t existing = 0;
    int rc = mg_router_add_for(router, mg_str_of(host), m, mg_str_of(pattern), id, &existing, NULL);
    return rc == MG_ELIMIT ? (int)existing : rc;
}

static void a_hosts_own_routes_go_before_wildcards_and_those_of_any(void **state) {
    (void)state;
    assert_false(mg_router_has_hosts(router));
    assert_int_equal(add_for("", MG_METHOD_GET, "/a", 1), MG_OK);
    assert_int_equal(add_for("", MG_METHOD_GET, "/any", 2), MG_OK);
    assert_int_equal(add_for("API.example.org", MG_METHOD_GET, "/a", 3), MG_OK);
    assert_int_equal(add_for("*.example.org", MG_METHOD_GET, "/:x", 4), MG_OK);
    assert_int_equal(add_for("*.eu.example.org", MG_METHOD_GET, "/:x", 5), MG_OK);
    assert_int_equal(add_for("api.example.org", MG_METHOD_POST, "/only", 6), MG_OK);
    assert_true(mg_router_has_hosts(router));
    asks("api.example.org", MG_METHOD_GET, "/a", "3");
    asks("Api.Example.ORG.:8080", MG_METHOD_GET, "/a", "3");
    asks("b.example.org", MG_METHOD_GET, "/a", "4");
    asks("c.b.example.org", MG_METHOD_GET, "/a", "4");
    asks("b.eu.example.org", MG_METHOD_GET, "/a", "5");
    asks("example.org", MG_METHOD_GET, "/a", "1");
    asks("xexample.org", MG_METHOD_GET, "/a", "1");
    asks("", MG_METHOD_GET, "/a", "1");
    asks("[::1]:80", MG_METHOD_GET, "/a", "1");
    asks("api.example.org", MG_METHOD_GET, "/any", "4"); // a wildcard above it
    asks("other.net", MG_METHOD_GET, "/any", "2");
    asks("other.net", MG_METHOD_GET, "/only", "none");
    asks("other.net", MG_METHOD_POST, "/a", "allowed 3"); // GET, HEAD, OPTIONS
    asks("api.example.org", MG_METHOD_PUT, "/only", "allowed 4");
    char longest[400];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    asks(longest, MG_METHOD_GET, "/a", "1");
}

static void a_host_is_declared_once_and_well(void **state) {
    (void)state;
    assert_int_equal(add_for("[::1]:80", MG_METHOD_GET, "/a", 1), MG_OK);
    asks("[::1]", MG_METHOD_GET, "/a", "1");
    assert_int_equal(add_for("a.org", MG_METHOD_GET, "/:x", 2), MG_OK);
    assert_int_equal(add_for("A.ORG:80", MG_METHOD_GET, "/:y", 3), 2);
    static const char *const bad[] = {"*", "*.", "a.*.org", "**.org", ":80", "."};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(add_for(bad[i], MG_METHOD_GET, "/b", 9), MG_ESYNTAX);
    }
}

static void the_same_shape_twice_is_told(void **state) {
    (void)state;
    uint32_t existing = 0;
    add(MG_METHOD_GET, "/a/:b", 7);
    assert_int_equal(mg_router_add(router, MG_METHOD_GET, MG_STR("/a/:c"), 8, &existing, NULL),
                     MG_ELIMIT);
    assert_int_equal(existing, 7);
    add(MG_METHOD_POST, "/a/:c", 8);
}

static void refuses_malformed_patterns(void **state) {
    (void)state;
    const char *bad[] = {"",       "a",  "/:",    "/:1", "/:a<what>", "/:a<int",
                         "/:a/:a", "/*", "/*a/b", "/a*", "/:a-b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint32_t existing = 0;
        mg_error err = {""};
        assert_int_equal(
            mg_router_add(router, MG_METHOD_GET, mg_str_of(bad[i]), 1, &existing, &err),
            MG_ESYNTAX);
        assert_true(err.text[0] != '\0');
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void any_token_is_a_method_once_it_is_named(void **state) {
    (void)state;
    assert_int_equal(mg_router_method(router, MG_STR("PURGE")), MG_METHOD_UNKNOWN);
    assert_int_equal(mg_router_add_method(router, MG_STR("PUT")), MG_METHOD_PUT);
    unsigned purge = mg_router_add_method(router, MG_STR("PURGE"));
    unsigned query = mg_router_add_method(router, MG_STR("QUERY"));
    assert_int_equal(mg_router_add_method(router, MG_STR("PURGE")), purge);
    assert_int_equal(mg_router_method(router, MG_STR("QUERY")), query);
    assert_int_equal(mg_router_method(router, MG_STR("purge")), MG_METHOD_UNKNOWN);
    assert_text("PURGE", mg_router_method_name(router, purge));
    assert_text("GET", mg_router_method_name(router, MG_METHOD_GET));
    assert_text("", mg_router_method_name(router, MG_METHOD_UNKNOWN));
    assert_text("", mg_router_method_name(router, query + 1));
    assert_true(mg_router_own_methods(router) == ((uint64_t)1 << purge | (uint64_t)1 << query));
    add(MG_METHOD_GET, "/a", 1);
    add(purge, "/a", 2);
    add(query, "/b", 3);
    finds(purge, "/a", "2");
    finds(query, "/b", "3");
    finds(query, "/a", "allowed 4");
    finds(MG_METHOD_UNKNOWN, "/a", "allowed 4");
    finds(MG_METHOD_UNKNOWN, "/c", "none");
    finds(MG_METHOD_POST, "/b", "allowed 2");
    uint32_t existing = 0;
    assert_int_equal(mg_router_add(router, purge, MG_STR("/a"), 9, &existing, NULL), MG_ELIMIT);
    assert_int_equal(existing, 2);
}

static void a_router_knows_only_so_many_methods(void **state) {
    (void)state;
    char name[8];
    unsigned m = 0;
    for (unsigned i = 0; i < MG_ROUTE_METHODS - MG_METHOD_COUNT - 1; i++) {
        snprintf(name, sizeof name, "M%u", i);
        m = mg_router_add_method(router, mg_str_of(name));
        assert_true(m > MG_METHOD_UNKNOWN);
    }
    assert_int_equal(mg_router_add_method(router, MG_STR("ONEMORE")), MG_METHOD_UNKNOWN);
    add(m, "/a", 1);
    mg_route_match match;
    assert_int_equal(mg_router_match(router, MG_METHOD_PUT, MG_STR("/a"), &match), MG_ROUTE_METHOD);
    assert_true(match.allowed == ((uint64_t)1 << m | 1 << MG_METHOD_OPTIONS));
}

static void a_pattern_may_be_percent_encoded(void **state) {
    (void)state;
    add(MG_METHOD_GET, "/caf%C3%A9", 1);
    add(MG_METHOD_GET, "/a%2Fb", 2);
    add(MG_METHOD_GET, "/%3Aid", 3);
    add(MG_METHOD_GET, "/100%", 4);
    gets("/caf\xc3\xa9", "1");
    gets("/caf%c3%A9", "1");
    gets("/%63af%C3%A9", "1");
    gets("/a%2fb", "2");
    gets("/a/b", "none");
    gets("/:id", "3");
    gets("/x", "none");
    gets("/100%25", "4");
    uint32_t existing = 0;
    assert_int_equal(
        mg_router_add(router, MG_METHOD_GET, MG_STR("/caf\xc3\xa9"), 9, &existing, NULL),
        MG_ELIMIT);
    assert_int_equal(existing, 1);
}

static void a_pattern_has_no_dot_segments(void **state) {
    (void)state;
    const char *wrong[] = {"/.", "/a/..", "/a/./b", "/%2e", "/.%2E/b"};
    mg_error err;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint32_t existing = 0;
        assert_int_equal(
            mg_router_add(router, MG_METHOD_GET, mg_str_of(wrong[i]), 1, &existing, &err),
            MG_ESYNTAX);
        assert_non_null(strstr(err.text, ". and .. are taken out"));
    }
    add(MG_METHOD_GET, "/.well-known/...", 1);
    gets("/.well-known/...", "1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(static_beats_typed_beats_plain_beats_wildcard),
        TEST(leaves_branches_that_lead_nowhere),
        TEST(head_follows_get_and_others_are_told),
        TEST(segments_are_compared_decoded_and_split_encoded),
        TEST(types_are_kept),
        TEST(a_number_fits_into_64_bits),
        TEST(a_hosts_own_routes_go_before_wildcards_and_those_of_any),
        TEST(a_host_is_declared_once_and_well),
        TEST(the_same_shape_twice_is_told),
        TEST(refuses_malformed_patterns),
        TEST(any_token_is_a_method_once_it_is_named),
        TEST(a_router_knows_only_so_many_methods),
        TEST(a_pattern_may_be_percent_encoded),
        TEST(a_pattern_has_no_dot_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
