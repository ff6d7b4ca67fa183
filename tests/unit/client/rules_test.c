#include "client/rules.h"

#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static struct sockaddr_storage address_of(const char *text) {
    struct sockaddr_storage a = {0};
    if (inet_pton(AF_INET, text, &((struct sockaddr_in *)&a)->sin_addr) == 1) {
        a.ss_family = AF_INET;
    } else if (inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&a)->sin6_addr) == 1) {
        a.ss_family = AF_INET6;
    } else {
        a.ss_family = AF_UNIX;
    }
    return a;
}

// "-10.0.0.0/8 +10.1.2.3" as rules.
static int rules_of(mg_rules **out, const char *entries, mg_error *err) {
    mg_buf text = {0};
    while (*entries != '\0') {
        size_t n = strcspn(entries, " ");
        mg_rules_append(&text, *entries == '-' ? MG_RULES_DENY : MG_RULES_ALLOW,
                        (mg_str){entries + 1, n - 1});
        entries += n + (entries[n] == ' ');
    }
    int rc = mg_rules_new(out, mg_buf_str(&text), err);
    mg_buf_deinit(&text);
    return rc;
}

// What refuses the address: "" for those allowed alone; NULL: nothing.
static void judge(const char *entries, const char *address, const char *refused_by) {
    mg_rules *r;
    mg_error err;
    struct sockaddr_storage a = address_of(address);
    assert_int_equal(rules_of(&r, entries, &err), MG_OK);
    const char *by = mg_rules_refuse(r, &a);
    if ((by == NULL) != (refused_by == NULL) || (by != NULL && strcmp(by, refused_by) != 0)) {
        fail_msg("\"%s\": %s: %s, not %s", entries, address, by != NULL ? by : "passes",
                 refused_by != NULL ? refused_by : "passes");
    }
    mg_rules_free(r);
}

static void no_rules_refuse_nothing(void **state) {
    (void)state;
    judge("", "127.0.0.1", NULL);
    judge("", "unix", NULL);
}

static void networks_are_denied(void **state) {
    (void)state;
    judge("-10.0.0.0/8", "10.255.1.2", "10.0.0.0/8");
    judge("-10.0.0.0/8", "11.0.0.0", NULL);
    judge("-192.0.2.7", "192.0.2.7", "192.0.2.7");
    judge("-2001:db8::/32", "2001:db8:1::1", "2001:db8::/32");
    judge("-2001:db8::/32 -10.0.0.0/8", "10.0.0.1", "10.0.0.0/8");
    judge("-0.0.0.0/0", "8.8.8.8", "0.0.0.0/0");
    judge("-0.0.0.0/0", "unix", NULL);
    judge("-all", "8.8.8.8", "all");
    judge("-all", "unix", "all");
}

static void what_is_not_public_has_a_name(void **state) {
    (void)state;
    static const char *const inside[] = {
        "127.0.0.1",       "127.255.255.255", "0.0.0.0",         "10.0.0.1",    "172.16.0.1",
        "172.31.255.255",  "192.168.1.1",     "169.254.169.254", "100.64.0.1",  "192.0.0.1",
        "198.18.0.1",      "224.0.0.1",       "240.0.0.1",       "::1",         "::",
        "255.255.255.255", "fe80::1",         "fc00::1",         "fd00:ec2::1", "fec0::1",
        "ff02::1",         "64:ff9b:1::1",    "2001:db8::1",     "unix",
    };
    static const char *const outside[] = {"8.8.8.8",     "172.32.0.1", "100.128.0.1",
                                          "192.169.0.1", "1.1.1.1",    "2606:4700::1111"};
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        judge("-private", inside[i], "private");
    }
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        judge("-private", outside[i], NULL);
    }
    judge("-loopback", "127.0.0.1", "loopback");
    judge("-loopback", "0.0.0.0", "loopback");
    judge("-loopback", "::1", "loopback");
    judge("-loopback", "10.0.0.1", NULL);
    judge("-link_local", "169.254.1.1", "link_local");
    judge("-link_local", "fe80::1", "link_local");
    judge("-link_local", "127.0.0.1", NULL);
    judge("-unix", "unix", "unix");
    judge("-unix", "127.0.0.1", NULL);
}

static void an_address_inside_another_one_is_denied_too(void **state) {
    (void)state;
    judge("-10.0.0.0/8", "::ffff:10.0.0.1", "10.0.0.0/8");
    judge("-10.0.0.0/8", "64:ff9b::10.0.0.1", "10.0.0.0/8");
    judge("-10.0.0.0/8", "2002:a00:1::1", "10.0.0.0/8");
    judge("-10.0.0.0/8", "2001:0:1:2:3:4:f5ff:fffe", "10.0.0.0/8");
    judge("-10.0.0.0/8", "fe80::5efe:a00:1", "10.0.0.0/8");
    judge("-10.0.0.0/8", "2a00::200:5efe:a00:1", "10.0.0.0/8");
    judge("-10.0.0.0/8", "::10.0.0.1", "10.0.0.0/8");
    judge("-loopback", "64:ff9b::7f00:1", "loopback");
    judge("-loopback", "::ffff:0:127.0.0.1", "loopback");
    judge("-private", "64:ff9b::8.8.8.8", NULL);
    judge("-private", "2002:808:808::1", NULL);
}

static void no_address_is_this_host(void **state) {
    (void)state;
    judge("-127.0.0.0/8", "0.0.0.0", "127.0.0.0/8");
    judge("-127.0.0.1", "::ffff:0.0.0.0", "127.0.0.1");
    judge("-127.0.0.0/8", "::", "127.0.0.0/8");
    judge("-::1", "::", "::1");
    judge("-::1", "0.0.0.0", "::1");
    judge("-10.0.0.0/8", "0.0.0.0", NULL);
    judge("-127.0.0.0/8 +0.0.0.0", "0.0.0.0", NULL);
}

static void allowed_ones_are_excepted(void **state) {
    (void)state;
    judge("-private +10.1.2.3", "10.1.2.3", NULL);
    judge("-private +10.1.2.3", "::ffff:10.1.2.3", NULL);
    judge("-private +10.1.2.3", "64:ff9b::10.1.2.3", "private");
    judge("-private +10.1.2.3", "10.1.2.4", "private");
    judge("+unix -all", "unix", NULL);
}

static void allowed_ones_alone_deny_all_others(void **state) {
    (void)state;
    judge("+192.0.2.0/24", "192.0.2.1", NULL);
    judge("+192.0.2.0/24", "8.8.8.8", "");
    judge("+192.0.2.0/24", "unix", "");
    judge("+192.0.2.0/24", "2002:c000:201::1", "");
}

static void what_is_no_network_is_refused(void **state) {
    (void)state;
    static const char *const wrong[] = {"-",          "-10.0.0.0/33", "-privat",  "-10.0.0",
                                        "-localhost", "-10.0.0.0/",   "-::1/129", "+Private"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        mg_rules *r;
        mg_error err;
        assert_int_equal(rules_of(&r, wrong[i], &err), MG_ECONFIG);
        assert_null(r);
        assert_non_null(strstr(err.text, wrong[i] + 1));
        assert_non_null(strstr(err.text, "link_local"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_rules_refuse_nothing),
        cmocka_unit_test(networks_are_denied),
        cmocka_unit_test(what_is_not_public_has_a_name),
        cmocka_unit_test(an_address_inside_another_one_is_denied_too),
        cmocka_unit_test(allowed_ones_are_excepted),
        cmocka_unit_test(no_address_is_this_host),
        cmocka_unit_test(allowed_ones_alone_deny_all_others),
        cmocka_unit_test(what_is_no_network_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
