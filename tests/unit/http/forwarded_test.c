#include "http/forwarded.h"

#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define FIELDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static mg_trust *trust_of(const char *const *texts) {
    mg_trust *t = NULL;
    mg_error err = {""};
    size_t n = 0;
    while (texts[n] != NULL) {
        n++;
    }
    if (mg_trust_new(&t, texts, n, &err) != MG_OK) {
        fail_msg("%s", err.text);
    }
    return t;
}

// Peer 10.0.0.1 is trusted, so are 10.0.0.0/8 and ::1, in the fields `heeded`. `lines`: names and
// values in turn. The verdict as "ip scheme host".
static void tells_in(const char *const *heeded, const char *const *lines, const char *want) {
    mg_trust *t = trust_of(FIELDS("10.0.0.0/8", "::1"));
    size_t n = 0;
    while (heeded[n] != NULL) {
        n++;
    }
    assert_int_equal(n == 0 ? MG_OK : mg_trust_heed(t, heeded, n, NULL), MG_OK);
    mg_field fields[8];
    mg_head h = {.fields = {.at = fields}};
    for (size_t i = 0; lines[i] != NULL; i += 2) {
        mg_field f = mg_field_of(mg_str_of(lines[i]), mg_str_of(lines[i + 1]));
        fields[h.fields.count++] = f;
        h.fields.ids |= mg_field_bit(f.id);
    }
    mg_forwarded f = {MG_STR("10.0.0.1"), MG_STR("http"), MG_STR("own.test")};
    mg_forwarded_apply(t, &h, &f);
    mg_buf got = {0};
    mg_buf_append_str(&got, f.client_ip);
    mg_buf_append_char(&got, ' ');
    mg_buf_append_str(&got, f.scheme);
    mg_buf_append_char(&got, ' ');
    mg_buf_append_str(&got, f.host);
    assert_text(want, mg_buf_str(&got));
    mg_buf_deinit(&got);
    mg_trust_free(t);
}

static void tells(const char *const *lines, const char *want) {
    tells_in(FIELDS("x-forwarded-for", "X-Forwarded-Proto", "x-forwarded-host"), lines, want);
}

static void hops_tell(const char *const *lines, const char *want) {
    tells_in(FIELDS("Forwarded"), lines, want);
}

// --- networks ---

static void trusts_addresses_in_its_networks(void **state) {
    (void)state;
    mg_trust *t = trust_of(FIELDS("10.1.0.0/16", "192.0.2.7", "fd00::/9", "2001:db8::1",
                                  "172.16.0.0/12", "::ffff:203.0.113.0/120"));
    static const char *const inside[] = {"10.1.0.0",    "10.1.255.255",   "192.0.2.7",
                                         "fd7f::1",     "2001:DB8::1",    "172.31.255.1",
                                         "203.0.113.9", "::ffff:10.1.2.3"};
    static const char *const outside[] = {"10.2.0.0",    "192.0.2.8", "fd80::1",   "2001:db8::2",
                                          "172.32.0.1",  "10.1",      "",          "10.1.0.0/16",
                                          "203.0.114.1", "unix",      " 10.1.0.0", "10.1.0.0:80"};
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        assert_true(mg_trust_text(t, mg_str_of(inside[i])));
    }
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        assert_false(mg_trust_text(t, mg_str_of(outside[i])));
    }
    assert_false(mg_trust_text(t, MG_STR("10.1.0.0\0x")));
    mg_trust_free(t);
}

static void one_family_has_no_say_about_the_other(void **state) {
    (void)state;
    mg_trust *t = trust_of(FIELDS("::/0"));
    assert_true(mg_trust_text(t, MG_STR("2001:db8::1")));
    assert_false(mg_trust_text(t, MG_STR("192.0.2.1")));
    mg_trust_free(t);
    t = trust_of(FIELDS("0.0.0.0/0"));
    assert_true(mg_trust_text(t, MG_STR("192.0.2.1")));
    assert_true(mg_trust_text(t, MG_STR("::ffff:192.0.2.1")));
    assert_false(mg_trust_text(t, MG_STR("2001:db8::1")));
    assert_false(mg_trust_text(t, MG_STR("::")));
    mg_trust_free(t);
}

static void trusts_peers_of_each_family(void **state) {
    (void)state;
    mg_trust *t = trust_of(FIELDS("127.0.0.0/8", "::1"));
    mg_trust *local = trust_of(FIELDS("unix"));
    struct sockaddr_storage peer = {.ss_family = AF_UNIX};
    assert_false(mg_trust_peer(t, &peer));
    assert_true(mg_trust_peer(local, &peer));
    struct sockaddr_in *v4 = (struct sockaddr_in *)&peer;
    v4->sin_family = AF_INET;
    inet_pton(AF_INET, "127.0.0.9", &v4->sin_addr);
    assert_true(mg_trust_peer(t, &peer));
    assert_false(mg_trust_peer(local, &peer));
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&peer;
    v6->sin6_family = AF_INET6;
    v6->sin6_addr = in6addr_loopback;
    assert_true(mg_trust_peer(t, &peer));
    inet_pton(AF_INET6, "::ffff:127.0.0.9", &v6->sin6_addr);
    assert_true(mg_trust_peer(t, &peer));
    peer.ss_family = AF_UNSPEC;
    assert_false(mg_trust_peer(t, &peer));
    mg_trust_free(t);
    mg_trust_free(local);
}

static void an_empty_list_and_none_trust_nobody(void **state) {
    (void)state;
    struct sockaddr_storage peer = {.ss_family = AF_UNIX};
    mg_trust *t = NULL;
    assert_int_equal(mg_trust_new(&t, NULL, 0, NULL), MG_OK);
    assert_false(mg_trust_peer(t, &peer));
    assert_false(mg_trust_text(t, MG_STR("127.0.0.1")));
    mg_trust_free(t);
    assert_false(mg_trust_peer(NULL, &peer));
    assert_false(mg_trust_text(NULL, MG_STR("127.0.0.1")));
    mg_trust_free(NULL);
}

static void refuses_what_is_no_network(void **state) {
    (void)state;
    static const char *const wrong[] = {"",
                                        "10.0.0.0/99",
                                        "10.0.0.0/33",
                                        "::1/129",
                                        "10.0.0.0/",
                                        "10.0.0.0/-1",
                                        "/8",
                                        "10.0.0",
                                        "example.test",
                                        "10.0.0.0/8 ",
                                        "[::1]",
                                        "Unix",
                                        "10.0.0.0/8/8",
                                        "fe80::1%eth0"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        mg_trust *t = (mg_trust *)&wrong;
        mg_error err;
        char want[256];
        snprintf(want, sizeof want,
                 "'%s' is no network: allowed are such as \"10.0.0.0/8\", \"::1\" or \"unix\"",
                 wrong[i]);
        assert_int_equal(mg_trust_new(&t, FIELDS("10.0.0.1", wrong[i]), 2, &err), MG_ECONFIG);
        assert_string_equal(err.text, want);
        assert_null(t);
    }
}

// --- X-Forwarded-* ---

static void without_fields_the_connection_speaks(void **state) {
    (void)state;
    tells(FIELDS("Host", "own.test"), "10.0.0.1 http own.test");
}

static void x_forwarded_is_believed(void **state) {
    (void)state;
    tells(FIELDS("X-Forwarded-For", "203.0.113.7", "x-forwarded-proto", "HTTPS", "X-Forwarded-Host",
                 "shop.test:8443"),
          "203.0.113.7 https shop.test:8443");
    tells(FIELDS("X-Forwarded-Proto", "https"), "10.0.0.1 https own.test");
    tells(FIELDS("X-Forwarded-For", "203.0.113.7:5000"), "203.0.113.7 http own.test");
    tells(FIELDS("X-Forwarded-For", "2001:db8::7"), "2001:db8::7 http own.test");
    tells(FIELDS("X-Forwarded-For", "[2001:db8::7]:5000"), "2001:db8::7 http own.test");
}

static void the_walk_ends_at_the_first_untrusted_hop(void **state) {
    (void)state;
    tells(FIELDS("X-Forwarded-For", "198.51.100.1, 203.0.113.7, 10.1.2.3"),
          "203.0.113.7 http own.test");
    tells(FIELDS("X-Forwarded-For", "10.9.9.9, 203.0.113.7"), "203.0.113.7 http own.test");
    tells(FIELDS("X-Forwarded-For", "10.9.9.9 ,, ::1,"), "10.9.9.9 http own.test");
}

static void several_fields_are_one_list(void **state) {
    (void)state;
    tells(FIELDS("X-Forwarded-For", "198.51.100.1", "X-Forwarded-For", "203.0.113.7",
                 "X-Forwarded-For", "10.1.2.3, 10.1.2.4", "X-Forwarded-For", ""),
          "203.0.113.7 http own.test");
}

static void the_walk_ends_at_what_is_no_address(void **state) {
    (void)state;
    tells(FIELDS("X-Forwarded-For", "203.0.113.7, unknown, 10.1.2.3"), "10.1.2.3 http own.test");
    static const char *const wrong[] = {
        "unknown",   "_hidden", "example.test", "[::1", "[::1]x", "[10.1.2.3]", "1.2.3.4:5:6",
        "fe80::1%1", "]",       "[]",           "\""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        tells(FIELDS("X-Forwarded-For", wrong[i]), "10.0.0.1 http own.test");
    }
}

static void of_schemes_and_hosts_the_last_counts(void **state) {
    (void)state;
    tells(FIELDS("X-Forwarded-Proto", "http, https", "X-Forwarded-Host", "evil.test, shop.test"),
          "10.0.0.1 https shop.test");
}

static void other_schemes_and_malformed_hosts_are_ignored(void **state) {
    (void)state;
    tells(FIELDS("X-Forwarded-Proto", "javascript", "X-Forwarded-Host", "a b"),
          "10.0.0.1 http own.test");
    tells(FIELDS("X-Forwarded-Proto", "", "X-Forwarded-Host", "user@shop.test"),
          "10.0.0.1 http own.test");
}

// --- Forwarded ---

static void forwarded_is_believed(void **state) {
    (void)state;
    hops_tell(FIELDS("Forwarded", "for=203.0.113.7;proto=https;host=shop.test;by=10.0.0.1"),
              "203.0.113.7 https shop.test");
    hops_tell(FIELDS("forwarded", " For = \"[2001:db8::1]:99\""), "10.0.0.1 http own.test");
    hops_tell(FIELDS("forwarded", "Proto=HTTPS ; For=\"[2001:db8::1]:99\""),
              "2001:db8::1 https own.test");
    hops_tell(FIELDS("Forwarded", "for=\"203.0.113.7:_port\";host=\"shop.test:81\""),
              "203.0.113.7 http shop.test:81");
    hops_tell(FIELDS("Forwarded", "; ;for=203.0.113.7;;proto=https;"),
              "203.0.113.7 https own.test");
}

static void what_must_be_quoted_may_come_bare(void **state) {
    (void)state;
    hops_tell(FIELDS("Forwarded", "for=203.0.113.7:80;host=shop.test:81"),
              "203.0.113.7 http shop.test:81");
    hops_tell(FIELDS("Forwarded", "for=[2001:db8::1]:99;host=[::1]:80;proto=https"),
              "2001:db8::1 https [::1]:80");
    hops_tell(FIELDS("Forwarded", "for=198.51.100.1:1, for=10.1.2.3:2"),
              "198.51.100.1 http own.test");
}

// --- which of them ---

#define ALL_OF_THEM                                                                                \
    FIELDS("X-Forwarded-For", "203.0.113.9", "X-Forwarded-Proto", "https", "X-Forwarded-Host",     \
           "shop.test", "Forwarded", "for=10.1.1.1;proto=https;host=evil.test")

static void only_the_named_fields_are_heeded(void **state) {
    (void)state;
    tells_in(FIELDS("x-forwarded-for"), ALL_OF_THEM, "203.0.113.9 http own.test");
    tells_in(FIELDS("x-forwarded-proto"), ALL_OF_THEM, "10.0.0.1 https own.test");
    tells_in(FIELDS("x-forwarded-host"), ALL_OF_THEM, "10.0.0.1 http shop.test");
    tells_in(FIELDS("x-forwarded-for", "x-forwarded-host"), ALL_OF_THEM,
             "203.0.113.9 http shop.test");
    tells_in(FIELDS("forwarded"), ALL_OF_THEM, "10.1.1.1 https evil.test");
    tells_in(FIELDS("forwarded"), FIELDS("X-Forwarded-For", "203.0.113.9"),
             "10.0.0.1 http own.test");
}

static void x_forwarded_for_alone_is_heeded_unless_told_otherwise(void **state) {
    (void)state;
    tells_in(FIELDS(NULL), ALL_OF_THEM, "203.0.113.9 http own.test");
}

static void refuses_what_is_no_set_of_fields(void **state) {
    (void)state;
    mg_trust *t = trust_of(FIELDS("10.0.0.0/8"));
    mg_error err;
    assert_int_equal(mg_trust_heed(t, FIELDS("forwarded", "x-forwarded-proto"), 2, &err),
                     MG_ECONFIG);
    assert_string_equal(err.text, "\"forwarded\" tells all: no other field is allowed beside it");
    assert_int_equal(mg_trust_heed(t, FIELDS("x-real-ip"), 1, &err), MG_ECONFIG);
    assert_string_equal(err.text, "'x-real-ip' is no field of proxies: allowed are \"forwarded\", "
                                  "\"x-forwarded-for\", \"x-forwarded-proto\" and "
                                  "\"x-forwarded-host\"");
    assert_int_equal(mg_trust_heed(t, NULL, 0, &err), MG_ECONFIG);
    mg_trust_free(t);
}

static void each_hop_speaks_for_the_one_before(void **state) {
    (void)state;
    hops_tell(FIELDS("Forwarded", "for=198.51.100.1;proto=http;host=evil.test", "Forwarded",
                     "for=203.0.113.7;proto=https;host=shop.test, for=10.1.2.3;proto=http"),
              "203.0.113.7 https shop.test");
    hops_tell(FIELDS("Forwarded", "for=198.51.100.1, for=unknown;proto=https, for=10.1.2.3"),
              "10.1.2.3 https own.test");
    hops_tell(FIELDS("Forwarded", "for=198.51.100.1, proto=https"), "10.0.0.1 https own.test");
}

static void a_client_cannot_hide_or_invent_a_hop(void **state) {
    (void)state;
    hops_tell(FIELDS("Forwarded", "for=\", for=203.0.113.7"), "203.0.113.7 http own.test");
    hops_tell(FIELDS("Forwarded", "for=10.6.6.6;x=\", for=203.0.113.7"),
              "203.0.113.7 http own.test");
    hops_tell(FIELDS("Forwarded", "for=203.0.113.7;host=\"a, for=6.6.6.6\""),
              "203.0.113.7 http own.test");
    hops_tell(FIELDS("Forwarded", "for=203.0.113.7;host=\"a, for=6.6.6.6;x=\""),
              "203.0.113.7 http own.test");
}

static void a_malformed_hop_says_nothing(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "203.0.113.7",
        "for",
        "for=",
        "for=\"\"",
        "for=\"203.0.113.7",
        ";",
        "for=203.0.113.7;for=203.0.113.8",
        "proto=https;proto=http;for=203.0.113.7",
        "for=203.0.113.7 proto=https",
        "for=2001:db8::1]",
        "for=203.0.113.7/8",
        "\"for\"=203.0.113.7",
        "proto=\"ht\\tps\";for=203.0.113.7",
        "for=203.0.113.7:80:81",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        hops_tell(FIELDS("Forwarded", wrong[i]), "10.0.0.1 http own.test");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trusts_addresses_in_its_networks),
        cmocka_unit_test(one_family_has_no_say_about_the_other),
        cmocka_unit_test(trusts_peers_of_each_family),
        cmocka_unit_test(an_empty_list_and_none_trust_nobody),
        cmocka_unit_test(refuses_what_is_no_network),
        cmocka_unit_test(without_fields_the_connection_speaks),
        cmocka_unit_test(x_forwarded_is_believed),
        cmocka_unit_test(the_walk_ends_at_the_first_untrusted_hop),
        cmocka_unit_test(several_fields_are_one_list),
        cmocka_unit_test(the_walk_ends_at_what_is_no_address),
        cmocka_unit_test(of_schemes_and_hosts_the_last_counts),
        cmocka_unit_test(other_schemes_and_malformed_hosts_are_ignored),
        cmocka_unit_test(forwarded_is_believed),
        cmocka_unit_test(what_must_be_quoted_may_come_bare),
        cmocka_unit_test(only_the_named_fields_are_heeded),
        cmocka_unit_test(x_forwarded_for_alone_is_heeded_unless_told_otherwise),
        cmocka_unit_test(refuses_what_is_no_set_of_fields),
        cmocka_unit_test(each_hop_speaks_for_the_one_before),
        cmocka_unit_test(a_client_cannot_hide_or_invent_a_hop),
        cmocka_unit_test(a_malformed_hop_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
