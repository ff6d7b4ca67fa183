#include "event/dns_name.h"

#include "unit.h"

#include "base/error.h"

#include <arpa/inet.h>

static char name[MG_DNS_NAME_BYTES + 1];

static void names_are_asked_for_in_lower_case(void **state) {
    (void)state;
    static const char *const good[][2] = {
        {"one.test", "one.test"},
        {"One.TEST", "one.test"},
        {"a", "a"},
        {"a_b-c.test", "a_b-c.test"},
        {"one.test.", "one.test."},
        {"1.2.3.test", "1.2.3.test"},
        {"0x7f.x", "0x7f.x"},
        {"0xg", "0xg"},
        {"localhostess", "localhostess"},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_null(mg_dns_name_read(good[i][0], name));
        assert_string_equal(good[i][1], name);
    }
}

static void literals_are_addresses(void **state) {
    (void)state;
    mg_dns_answer *a = mg_dns_name_read("192.0.2.200", name);
    assert_int_equal(a->status, MG_OK);
    assert_int_equal(a->n, 1);
    const struct sockaddr_in *in = (const struct sockaddr_in *)a->addresses;
    assert_int_equal(in->sin_family, AF_INET);
    assert_int_equal(in->sin_addr.s_addr, htonl(0xc00002c8));
    assert_int_equal(in->sin_port, 0);
    mg_dns_answer_unref(a);
    a = mg_dns_name_read("::1", name);
    assert_int_equal(a->n, 1);
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)a->addresses;
    assert_int_equal(in6->sin6_family, AF_INET6);
    assert_memory_equal(&in6->sin6_addr, &in6addr_loopback, 16);
    mg_dns_answer_unref(a);
}

// RFC 6761 section 6.3.
static void localhost_is_this_host(void **state) {
    (void)state;
    static const char *const names[] = {"localhost", "LOCALHOST.", "app.localhost"};
    for (size_t i = 0; i < 3; i++) {
        mg_dns_answer *a = mg_dns_name_read(names[i], name);
        assert_int_equal(a->status, MG_OK);
        assert_int_equal(a->n, 2);
        assert_int_equal(a->addresses[0].ss_family + a->addresses[1].ss_family, AF_INET + AF_INET6);
        mg_dns_answer_unref(a);
    }
}

static void what_is_no_name_is_refused(void **state) {
    (void)state;
    char too_long[260], label[80];
    memset(too_long, 'a', sizeof too_long);
    for (size_t i = 10; i < sizeof too_long; i += 10) {
        too_long[i] = '.';
    }
    too_long[254] = '\0';
    memset(label, 'a', sizeof label);
    label[64] = '\0';
    const char *const bad[] = {
        "",          ".",           ".a",    "a..b",     "a b",    "a/b",        "[::1]",
        "a\nb",      "\xc3\xa4",    "a:80",  "a%b",      too_long, "fe80::1%lo", label,
        "1.2.3.4:5", "127.0.0.010", "127.1", "1.2.3.4.", "0x7f.1", "2130706433", "a.7"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mg_dns_answer *a = mg_dns_name_read(bad[i], name);
        assert_non_null(a);
        assert_int_equal(a->status, MG_ESYNTAX);
        assert_non_null(strstr(a->text, "that is no host name"));
        assert_null(strchr(a->text, '\n'));
        mg_dns_answer_unref(a);
    }
    too_long[253] = '\0';
    too_long[250] = '.';
    assert_null(mg_dns_name_read(too_long, name));
    label[63] = '\0';
    assert_null(mg_dns_name_read(label, name));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_asked_for_in_lower_case),
        cmocka_unit_test(literals_are_addresses),
        cmocka_unit_test(localhost_is_this_host),
        cmocka_unit_test(what_is_no_name_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
