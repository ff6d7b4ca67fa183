#include "http/uri.h"

#include "unit.h"

typedef struct want {
    const char *authority, *host, *target;
    uint16_t port;
    bool tls;
} want;

static void parses(mg_str text, const want *w) {
    mg_arena arena = {0};
    mg_uri u;
    const char *why = NULL;
    assert_int_equal(mg_uri_parse(text, &arena, &u, &why), MG_OK);
    assert_text(w->authority, u.authority);
    assert_text(w->host, u.host);
    assert_text(w->target, u.target);
    assert_int_equal(u.port, w->port);
    assert_int_equal(u.tls, w->tls);
    mg_arena_deinit(&arena);
}

static void target_is(const char *text, const char *target) {
    parses(mg_str_of(text), &(want){"a", "a", target, 80, false});
}

static void authority_is(const char *text, const char *authority, const char *host, uint16_t port) {
    parses(mg_str_of(text), &(want){authority, host, "/", port, mg_lower(text[4]) == 's'});
}

static void refuses_n(mg_str text, const char *why_not) {
    mg_arena arena = {0};
    mg_uri u;
    const char *why = NULL;
    assert_int_equal(mg_uri_parse(text, &arena, &u, &why), MG_ESYNTAX);
    assert_string_equal(why_not, why);
    mg_arena_deinit(&arena);
}

static void refuses(const char *text, const char *why_not) {
    refuses_n(mg_str_of(text), why_not);
}

#define SCHEME "it does not begin with http:// or https://"
#define USER   "it holds a user or password: send them as an Authorization field"
#define HOST   "its host or port is not valid"
#define V4                                                                                         \
    "its host ends in a number, but is no IPv4 address of four decimal numbers without leading "   \
    "zeros"
#define CODE "a character of its path or query must be percent-encoded (moongate.url_encode)"

// --- parsing ---

static void reads_all_parts(void **state) {
    (void)state;
    parses(MG_STR("https://api.example.com:8443/a/b?c=d&e#f"),
           &(want){"api.example.com:8443", "api.example.com", "/a/b?c=d&e", 8443, true});
    parses(MG_STR("http://a"), &(want){"a", "a", "/", 80, false});
    parses(MG_STR("https://a"), &(want){"a", "a", "/", 443, true});
}

static void the_scheme_is_http_or_https_in_any_case(void **state) {
    (void)state;
    authority_is("HTTP://a", "a", "a", 80);
    authority_is("hTTpS://a/", "a", "a", 443);
    refuses("", SCHEME);
    refuses("http", SCHEME);
    refuses("http:", SCHEME);
    refuses("http:/a", SCHEME);
    refuses("http:a", SCHEME);
    refuses("httpx://a", SCHEME);
    refuses("ftp://a/", SCHEME);
    refuses("//a/", SCHEME);
    refuses("/a", SCHEME);
    refuses(" http://a/", SCHEME);
    refuses("#http://a/", SCHEME);
    refuses_n((mg_str){NULL, 0}, SCHEME);
}

static void a_default_port_is_left_out_of_the_authority(void **state) {
    (void)state;
    authority_is("http://a:80", "a", "a", 80);
    authority_is("https://a:443/", "a", "a", 443);
    authority_is("http://a:/", "a", "a", 80);
    authority_is("https://a:", "a", "a", 443);
    authority_is("http://a:0080/", "a", "a", 80);
    authority_is("http://a:443/", "a:443", "a", 443);
    authority_is("https://a:80/", "a:80", "a", 80);
}

static void a_port_is_between_1_and_65535(void **state) {
    (void)state;
    authority_is("http://a:1", "a:1", "a", 1);
    authority_is("http://a:65535", "a:65535", "a", 65535);
    refuses("http://a:0", "its port is 0");
    refuses("http://a:000/", "its port is 0");
    refuses("http://a:65536", HOST);
    refuses("http://a:99999999999999999999", HOST);
    refuses("http://a:-1", HOST);
    refuses("http://a:8x", HOST);
    refuses("http://a:80:80", HOST);
}

static void an_ipv6_literal_stands_in_brackets(void **state) {
    (void)state;
    authority_is("http://[::1]", "[::1]", "::1", 80);
    authority_is("http://[::1]:80/", "[::1]", "::1", 80);
    authority_is("http://[::1]:/", "[::1]", "::1", 80);
    authority_is("https://[2001:db8::1]:8443", "[2001:db8::1]:8443", "2001:db8::1", 8443);
    authority_is("http://[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]", "::ffff:127.0.0.1", 80);
    refuses("http://[::1%eth0]/", HOST);
    refuses("http://[12]/", HOST);
    refuses("http://[ab..cd::1]/", HOST);
    refuses("http://[1:2:3:4:5:6:7]/", HOST);
    refuses("http://[::ffff:127.0.0.010]/", HOST);
    refuses("http://[]", HOST);
    refuses("http://[::1", HOST);
    refuses("http://::1/", HOST);
    refuses("http://[::1]x/", HOST);
    refuses("http://[::1]:x/", HOST);
    refuses("http://[::1]:65536/", HOST);
    refuses("http://[fe80::1%25eth0]/", HOST);
    refuses("http://[v1.a]/", HOST);
}

static void an_ipv4_address_has_one_spelling(void **state) {
    (void)state;
    authority_is("http://127.0.0.1", "127.0.0.1", "127.0.0.1", 80);
    authority_is("http://a.1b/", "a.1b", "a.1b", 80);
    authority_is("http://1.a.", "1.a.", "1.a.", 80);
    refuses("http://127.0.0.010/", V4);
    refuses("http://127.1/", V4);
    refuses("http://127.0.0.1./", V4);
    refuses("http://0x7f.1/", V4);
    refuses("http://0X7F000001/", V4);
    refuses("http://2130706433:80/", V4);
    refuses("http://1.2.3.4.5/", V4);
    refuses("http://256.1.1.1/", V4);
    refuses("http://a.0x1f/", V4);
    refuses("http://a.08./", V4);
}

static void a_host_is_needed(void **state) {
    (void)state;
    refuses("http://", HOST);
    refuses("http:///a", HOST);
    refuses("http://?a", HOST);
    refuses("http://#a", HOST);
    refuses("http://:80/", HOST);
    refuses("http://a b/", HOST);
    refuses("http://a\\b/", HOST);
    refuses("http://a,b/", HOST);
    refuses("http://a%/", HOST);
    refuses("http://\xc3\xa4/", HOST);
    refuses("http://a\r\nX: y/", HOST);
}

static void a_host_is_the_same_in_capitals(void **state) {
    (void)state;
    authority_is("http://Api.EXAMPLE.com:8080/", "api.example.com:8080", "api.example.com", 8080);
    authority_is("https://A:443", "a", "a", 443);
    authority_is("http://[2001:DB8::1]:81/", "[2001:db8::1]:81", "2001:db8::1", 81);
    target_is("http://A/B?C", "/B?C");
}

static void userinfo_is_refused(void **state) {
    (void)state;
    refuses("http://u@a/", USER);
    refuses("http://u:p@a/", USER);
    refuses("http://@a/", USER);
    refuses("http://a:80@b/", USER);
    refuses("http://[::1]@b/", USER);
    target_is("http://a/@b", "/@b");
    target_is("http://a?@b", "/?@b");
}

static void a_target_begins_at_the_root(void **state) {
    (void)state;
    target_is("http://a?b", "/?b");
    target_is("http://a?", "/?");
    target_is("http://a?b/../c", "/?b/../c");
    target_is("http://a/?", "/?");
    target_is("http://a/b?c?d", "/b?c?d");
    target_is("http://a//b//", "//b//");
    target_is("http://a/%41%2f", "/%41%2f");
}

static void a_fragment_is_dropped(void **state) {
    (void)state;
    target_is("http://a#b", "/");
    target_is("http://a/#", "/");
    target_is("http://a/b#c?d#e", "/b");
    target_is("http://a/b?c#d e\x01", "/b?c");
    target_is("http://a#@b/", "/");
}

static void dot_segments_are_removed(void **state) {
    (void)state;
    target_is("http://a/.", "/");
    target_is("http://a/b/..", "/");
    target_is("http://a/b/./c/../d", "/b/d");
    target_is("http://a/b/../c?d/../e", "/c?d/../e");
    target_is("http://a/b/../?", "/?");
    target_is("http://a/b/%2e%2E/c", "/c");
    target_is("http://a/b/.../.c", "/b/.../.c");
    target_is("http://a/..", "/");
    target_is("http://a/b/../../c", "/c");
    target_is("http://a/%2e%2E/../x/..", "/");
    refuses("http://a/b c/../d", CODE);
    refuses("http://a/%zz/../d", CODE);
}

static void what_must_be_encoded_is_refused_with_a_hint(void **state) {
    (void)state;
    refuses("http://a/b c", CODE);
    refuses("http://a/b?c d", CODE);
    refuses("http://a/\xc3\xa4", CODE);
    refuses("http://a/?\xc3\xa4", CODE);
    refuses("http://a/\"", CODE);
    refuses("http://a/%", CODE);
    refuses("http://a/%4", CODE);
    refuses("http://a/%zz", CODE);
    refuses("http://a/b\r\nX: y", CODE);
    refuses("http://a/\t", CODE);
    refuses("http://a/\x7f", CODE);
}

static void a_nul_hides_nothing(void **state) {
    (void)state;
    refuses_n(MG_STR("http://a\0.b/"), HOST);
    refuses_n(MG_STR("http://a/b\0c"), CODE);
    refuses_n(MG_STR("http://a/?b\0"), CODE);
    refuses_n(MG_STR("\0http://a/"), SCHEME);
}

// --- references ---

static int resolve(const char *base, mg_str reference, mg_buf *out) {
    mg_arena arena = {0};
    mg_uri u;
    const char *why;
    assert_int_equal(mg_uri_parse(mg_str_of(base), &arena, &u, &why), MG_OK);
    int rc = mg_uri_resolve(&u, reference, out);
    mg_arena_deinit(&arena);
    return rc;
}

// Resolves, and parses what came out; `want` is that without a default port or dot segments.
static void means_at(const char *base, const char *reference, const char *wanted) {
    mg_arena arena = {0};
    mg_buf text = {0};
    mg_buf got = {0};
    mg_uri to;
    const char *why;
    assert_int_equal(resolve(base, mg_str_of(reference), &text), MG_OK);
    assert_int_equal(mg_uri_parse(mg_buf_str(&text), &arena, &to, &why), MG_OK);
    mg_buf_append_str(&got, to.tls ? MG_STR("https://") : MG_STR("http://"));
    mg_buf_append_str(&got, to.authority);
    mg_buf_append_str(&got, to.target);
    assert_text(wanted, mg_buf_str(&got));
    mg_buf_deinit(&got);
    mg_buf_deinit(&text);
    mg_arena_deinit(&arena);
}

static void means(const char *reference, const char *wanted) {
    means_at("http://a/b/c/d;p?q", reference, wanted);
}

// RFC 3986 section 5.4.1; fragments go.
static void resolves_the_normal_examples(void **state) {
    (void)state;
    means("g", "http://a/b/c/g");
    means("./g", "http://a/b/c/g");
    means("g/", "http://a/b/c/g/");
    means("/g", "http://a/g");
    means("//g", "http://g/");
    means("?y", "http://a/b/c/d;p?y");
    means("g?y", "http://a/b/c/g?y");
    means("#s", "http://a/b/c/d;p?q");
    means("g#s", "http://a/b/c/g");
    means("g?y#s", "http://a/b/c/g?y");
    means(";x", "http://a/b/c/;x");
    means("g;x", "http://a/b/c/g;x");
    means("g;x?y#s", "http://a/b/c/g;x?y");
    means("", "http://a/b/c/d;p?q");
    means(".", "http://a/b/c/");
    means("./", "http://a/b/c/");
    means("..", "http://a/b/");
    means("../", "http://a/b/");
    means("../g", "http://a/b/g");
    means("../..", "http://a/");
    means("../../", "http://a/");
    means("../../g", "http://a/g");
    means("../../../g", "http://a/g"); // RFC 3986 section 5.4.2
    means("../../../../g?x", "http://a/g?x");
    means("/../g", "http://a/g");
}

// RFC 3986 section 5.4.2, but for the ones that leave the root.
static void resolves_the_abnormal_examples(void **state) {
    (void)state;
    means("/./g", "http://a/g");
    means("g.", "http://a/b/c/g.");
    means(".g", "http://a/b/c/.g");
    means("g..", "http://a/b/c/g..");
    means("..g", "http://a/b/c/..g");
    means("./../g", "http://a/b/g");
    means("./g/.", "http://a/b/c/g/");
    means("g/./h", "http://a/b/c/g/h");
    means("g/../h", "http://a/b/c/h");
    means("g;x=1/./y", "http://a/b/c/g;x=1/y");
    means("g;x=1/../y", "http://a/b/c/y");
    means("g?y/./x", "http://a/b/c/g?y/./x");
    means("g?y/../x", "http://a/b/c/g?y/../x");
    means("g#s/../x", "http://a/b/c/g");
}

static void an_absolute_reference_stands_alone(void **state) {
    (void)state;
    means("http://g", "http://g/");
    means("HTTPS://g:443/h", "https://g/h");
    means("http://g?h", "http://g/?h");
    means_at("https://a/b", "http://a/c", "http://a/c");
}

static void a_reference_keeps_scheme_host_and_port(void **state) {
    (void)state;
    means_at("https://a:8443/b", "c", "https://a:8443/c");
    means_at("https://[::1]:443/b", "/c", "https://[::1]/c");
    means_at("https://a:8443/b", "//c", "https://c/");
    means_at("https://a:8443/b", "//c:80/d", "https://c:80/d");
    means_at("http://a", "b", "http://a/b");
    means_at("http://a?b/c", "d", "http://a/d");
    means_at("http://a?b", "?c", "http://a/?c");
    means_at("http://a?b", "", "http://a/?b");
    means_at("http://a/b?c", "/d?http://e/", "http://a/d?http://e/");
    means_at("http://a//b/", "", "http://a//b/");
    means_at("http://a/b/c", "./d:e", "http://a/b/d:e");
}

static void another_scheme_is_refused(void **state) {
    (void)state;
    static const char *references[] = {"g:h",     "http:g",       "https:/g", "mailto:a@b",
                                       "ftp://a", "javascript:1", "data:,x",  "1:2"};
    mg_buf out = {0};
    for (size_t i = 0; i < sizeof references / sizeof *references; i++) {
        assert_int_equal(resolve("http://a/b", mg_str_of(references[i]), &out), MG_ESYNTAX);
        assert_int_equal(out.n, 0);
    }
    mg_buf_deinit(&out);
}

static void a_reference_with_a_nul_is_refused_in_the_end(void **state) {
    (void)state;
    mg_buf out = {0};
    assert_int_equal(resolve("http://a/b", MG_STR("c\0d"), &out), MG_OK);
    refuses_n(mg_buf_str(&out), CODE);
    mg_buf_deinit(&out);
}

static void what_people_write_in_references_is_encoded(void **state) {
    (void)state;
    means("a b", "http://a/b/c/a%20b");
    means("/caf\xc3\xa9?q=\xc3\xa9 x", "http://a/caf%C3%A9?q=%C3%A9%20x");
    means("/a^`\"<>\\z", "http://a/a%5E%60%22%3C%3E%5Cz");
    means("/100%/%zz%41", "http://a/100%25/%25zz%41");
    means("?^%\\&a=\"", "http://a/b/c/d;p?%5E%25%5C&a=%22");
    means("//b/c d", "http://b/c%20d");
    means("HTTP://b?c d", "http://b/?c%20d");
    mg_buf out = {0};
    assert_int_equal(resolve("http://a/b", MG_STR("http://\xc3\xa4 b/"), &out), MG_OK);
    refuses_n(mg_buf_str(&out), HOST);
    mg_buf_deinit(&out);
}

static void what_is_appended_follows_what_was_there(void **state) {
    (void)state;
    mg_buf out = {0};
    mg_buf_append(&out, "x ", 2);
    assert_int_equal(resolve("http://a/b", MG_STR("c"), &out), MG_OK);
    assert_text("x http://a/c", mg_buf_str(&out));
    assert_int_equal(resolve("http://a/b", MG_STR("c:d"), &out), MG_ESYNTAX);
    assert_text("x http://a/c", mg_buf_str(&out));
    mg_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all_parts),
        cmocka_unit_test(the_scheme_is_http_or_https_in_any_case),
        cmocka_unit_test(a_default_port_is_left_out_of_the_authority),
        cmocka_unit_test(a_port_is_between_1_and_65535),
        cmocka_unit_test(an_ipv6_literal_stands_in_brackets),
        cmocka_unit_test(an_ipv4_address_has_one_spelling),
        cmocka_unit_test(a_host_is_needed),
        cmocka_unit_test(a_host_is_the_same_in_capitals),
        cmocka_unit_test(userinfo_is_refused),
        cmocka_unit_test(a_target_begins_at_the_root),
        cmocka_unit_test(a_fragment_is_dropped),
        cmocka_unit_test(dot_segments_are_removed),
        cmocka_unit_test(what_must_be_encoded_is_refused_with_a_hint),
        cmocka_unit_test(a_nul_hides_nothing),
        cmocka_unit_test(resolves_the_normal_examples),
        cmocka_unit_test(resolves_the_abnormal_examples),
        cmocka_unit_test(an_absolute_reference_stands_alone),
        cmocka_unit_test(a_reference_keeps_scheme_host_and_port),
        cmocka_unit_test(another_scheme_is_refused),
        cmocka_unit_test(a_reference_with_a_nul_is_refused_in_the_end),
        cmocka_unit_test(what_people_write_in_references_is_encoded),
        cmocka_unit_test(what_is_appended_follows_what_was_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
