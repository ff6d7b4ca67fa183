#include "event/dns_hosts.h"

#include "unit.h"

#include "event/dns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

static char path[64];
static mg_dns_hosts *hosts;

// Replaces the file, as editors do: it is another one.
static void write_file(const char *text) {
    char fresh[80];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *f = fopen(fresh, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(rename(fresh, path), 0);
}

static int set_up(void **state) {
    (void)state;
    strcpy(path, "/tmp/moongate-hosts-XXXXXX");
    close(mkstemp(path));
    hosts = mg_dns_hosts_new(path);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_dns_hosts_free(hosts);
    unlink(path);
    return 0;
}

// "192.0.2.1 2001:db8::1", or "" for a name that is not there.
static void means(const char *name, uint64_t now_ms, const char *wanted) {
    char got[512] = "";
    mg_dns_answer *a = mg_dns_hosts_find(hosts, name, now_ms);
    for (size_t i = 0; a != NULL && i < a->n; i++) {
        char text[INET6_ADDRSTRLEN];
        const struct sockaddr_storage *s = &a->addresses[i];
        bool v4 = s->ss_family == AF_INET;
        const void *ip = v4 ? (const void *)&((const struct sockaddr_in *)s)->sin_addr
                            : (const void *)&((const struct sockaddr_in6 *)s)->sin6_addr;
        assert_non_null(inet_ntop(s->ss_family, ip, text, sizeof text));
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i > 0 ? " " : "", text);
    }
    assert_string_equal(got, wanted);
    mg_dns_answer_unref(a);
}

static void names_have_the_addresses_of_their_lines(void **state) {
    (void)state;
    write_file("# of this machine\n"
               "192.0.2.1\tone.test one # two.test\n"
               "  2001:db8::1 ONE.test\r\n"
               "192.0.2.2 two.test");
    means("one.test", 0, "192.0.2.1 2001:db8::1");
    means("one.test.", 0, "192.0.2.1 2001:db8::1");
    means("one", 0, "192.0.2.1");
    means("two.test", 0, "192.0.2.2");
    means("three.test", 0, "");
    means(".", 0, "");
}

static void what_is_no_line_is_passed_over(void **state) {
    (void)state;
    write_file("nonsense a.test\n\n192.0.2.1\nfe80::1%eth0 a.test\n127.0.0.010 a.test\n"
               "#192.0.2.1 a.test\n192.0.2.3 b.test\n");
    means("a.test", 0, "");
    means("b.test", 0, "192.0.2.3");
}

static void a_change_is_seen_within_a_second(void **state) {
    (void)state;
    write_file("192.0.2.1 a.test\n");
    means("a.test", 5000, "192.0.2.1");
    write_file("192.0.2.2 a.test\n");
    means("a.test", 5999, "192.0.2.1");
    means("a.test", 6000, "192.0.2.2");
    unlink(path);
    means("a.test", 7000, "");
}

static void addresses_are_bounded(void **state) {
    (void)state;
    char text[4096] = "";
    for (int i = 0; i < 2 * MG_DNS_ADDRESSES; i++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "192.0.2.%d a.test\n", i);
    }
    write_file(text);
    mg_dns_answer *a = mg_dns_hosts_find(hosts, "a.test", 0);
    assert_non_null(a);
    assert_int_equal(a->n, MG_DNS_ADDRESSES);
    mg_dns_answer_unref(a);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(names_have_the_addresses_of_their_lines),
        EACH(what_is_no_line_is_passed_over),
        EACH(a_change_is_seen_within_a_second),
        EACH(addresses_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
