#include "event/dns.h"

#include "dns_server.h"

#include "base/error.h"
#include "base/mem.h"
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

// What came of one lookup.
typedef struct result {
    mg_dns_lookup *lookup;
    int done;
    int status;
    size_t n;
    char first[INET6_ADDRSTRLEN];
    struct sockaddr_storage addresses[MG_DNS_ADDRESSES];
    char text[512];
} result;

static mg_loop *loop;
static mg_dns *dns;
static mg_dns *to_free;
static mg_dns_lookup *to_cancel;
static char *folder;
static char resolv_conf[64];
static char hosts[64];

static void on_done(void *arg, int status, const struct sockaddr_storage *addresses, size_t n,
                    const char *text) {
    result *r = arg;
    r->done++;
    r->status = status;
    r->n = n;
    assert_in_range(n, 0, MG_DNS_ADDRESSES);
    memcpy(r->addresses, addresses, n * sizeof *addresses);
    snprintf(r->text, sizeof r->text, "%s", text);
    if (n > 0 && addresses[0].ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, addresses, sizeof in);
        assert_int_equal(in.sin_port, 0);
        inet_ntop(AF_INET, &in.sin_addr, r->first, sizeof r->first);
    } else if (n > 0) {
        struct sockaddr_in6 in;
        memcpy(&in, addresses, sizeof in);
        inet_ntop(AF_INET6, &in.sin6_addr, r->first, sizeof r->first);
    }
    mg_dns_free(to_free);
    to_free = NULL;
    mg_dns_cancel(to_cancel);
    to_cancel = NULL;
}

static void start(result *r, const char *host) {
    *r = (result){0};
    assert_int_equal(mg_dns_start(&r->lookup, dns, host, on_done, r), 0);
    assert_int_equal(r->done, 0);
}

static void look_up(result *r, const char *host) {
    start(r, host);
    turn_until(loop, &r->done, 1);
}

static void write_resolv_conf(const char *text) {
    char fresh[80];
    snprintf(fresh, sizeof fresh, "%s.new", resolv_conf);
    FILE *f = fopen(fresh, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(rename(fresh, resolv_conf), 0);
}

static uint32_t family_ms; // long, so that a slow machine asks no more than a quick one

static void open_dns(uint32_t timeout_ms, uint32_t tries, uint32_t entries) {
    char nameservers[64];
    snprintf(nameservers, sizeof nameservers, "127.0.0.1:%d", server.port);
    mg_dns_options o = {.nameservers = nameservers,
                        .resolv_conf = resolv_conf,
                        .hosts = hosts,
                        .timeout_ms = timeout_ms,
                        .tries = tries,
                        .entries = entries,
                        .family_ms = family_ms};
    mg_dns_free(dns);
    assert_int_equal(mg_dns_new(&dns, loop, &o), 0);
}

static int set_up(void **state) {
    (void)state;
    alarm(60);
    loop = new_loop(false);
    server_open(loop);
    family_ms = 60000;
    write_resolv_conf("nameserver 127.0.0.1\nsearch elsewhere\n");
    dns = NULL;
    open_dns(5000, 1, 0);
    return 0;
}

static int set_up_virtual(void **state) {
    (void)state;
    alarm(60);
    loop = new_loop(true);
    server_open(loop);
    family_ms = 0;
    dns = NULL;
    open_dns(60000, 1, 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_dns_free(dns);
    server_close();
    return mg_loop_free(loop);
}

static void a_name_is_asked_once_while_its_ttl_lasts(void **state) {
    (void)state;
    result r;
    look_up(&r, "one.test");
    assert_int_equal(r.status, 0);
    assert_int_equal(r.n, 1);
    assert_string_equal(r.first, "192.0.2.1");
    assert_int_equal(server.questions, 2); // A and AAAA
    look_up(&r, "One.TEST");
    assert_string_equal(r.first, "192.0.2.1");
    assert_int_equal(server.questions, 2);
}

static void both_families_are_in_one_answer(void **state) {
    (void)state;
    result r;
    look_up(&r, "both.test");
    assert_int_equal(r.n, 2);
    assert_int_not_equal(r.addresses[0].ss_family, r.addresses[1].ss_family);
}

static void a_ttl_of_zero_is_not_remembered(void **state) {
    (void)state;
    result r;
    look_up(&r, "zero.test");
    look_up(&r, "zero.test");
    assert_string_equal(r.first, "192.0.2.3");
    assert_int_equal(server.questions, 4);
}

static void a_name_is_asked_again_when_its_ttl_has_ended(void **state) {
    (void)state;
    result r;
    look_up(&r, "short.test");
    while (server.questions < 4) {
        look_up(&r, "short.test");
        assert_int_equal(r.status, 0);
    }
}

static void a_chain_lasts_as_long_as_its_shortest_link(void **state) {
    (void)state;
    result r;
    look_up(&r, "a.chain.test");
    assert_int_equal(r.status, 0);
    assert_string_equal(r.first, "192.0.2.7");
    look_up(&r, "a.chain.test");
    assert_int_equal(server.questions, 4);
}

static void what_does_not_exist_is_remembered(void **state) {
    (void)state;
    result r;
    look_up(&r, "none.test");
    assert_int_equal(r.status, -ENOENT);
    assert_string_equal(r.text, "no such host: none.test");
    int asked = server.questions;
    look_up(&r, "none.test");
    assert_int_equal(r.status, -ENOENT);
    look_up(&r, "empty.test"); // exists, without an address
    assert_int_equal(r.status, -ENOENT);
    assert_int_equal(server.questions, asked + 2);
}

static void silence_ends_and_is_not_remembered(void **state) {
    (void)state;
    open_dns(100, 1, 0);
    result r;
    look_up(&r, "silent.test");
    assert_int_equal(r.status, -ETIMEDOUT);
    assert_string_equal(r.text, "no nameserver answered for silent.test within 1 tries of 100 ms");
    turn_until(loop, &server.questions, 2); // it may read later than the time limit
    look_up(&r, "silent.test");
    turn_until(loop, &server.questions, 4);
}

static void a_lost_question_is_asked_again(void **state) {
    (void)state;
    open_dns(100, 5, 0);
    server.silent = 2;
    result r;
    look_up(&r, "shy.test");
    assert_int_equal(r.status, 0);
    assert_string_equal(r.first, "192.0.2.6");
}

static void a_failing_nameserver_is_no_missing_name(void **state) {
    (void)state;
    result r;
    look_up(&r, "fail.test");
    assert_int_equal(r.status, -EIO);
    int asked = server.questions;
    look_up(&r, "fail.test");
    assert_int_equal(server.questions, 2 * asked);
}

static void a_nameserver_that_is_not_there_fails_the_question(void **state) {
    (void)state;
    mg_poll_close(server.poll);
    server.poll = NULL;
    close(server.fd);
    server.fd = -1;
    open_dns(100, 1, 0);
    result r;
    look_up(&r, "one.test");
    assert_true(r.status == -EIO || r.status == -ETIMEDOUT);
}

static void nonsense_fails_the_question(void **state) {
    (void)state;
    open_dns(100, 1, 0);
    result r;
    look_up(&r, "garbage.test");
    assert_true(r.status < 0);
    assert_int_equal(r.n, 0);
    look_up(&r, "cut.test");
    assert_true(r.status < 0);
    assert_int_equal(r.n, 0);
}

static void a_truncated_answer_is_asked_for_over_tcp(void **state) {
    (void)state;
    server_listen();
    result r;
    look_up(&r, "large.test");
    assert_int_equal(r.status, 0);
    assert_string_equal(r.first, "192.0.2.1");
    assert_true(server.connection >= 0);
}

static void the_hosts_file_comes_first(void **state) {
    (void)state;
    result r;
    look_up(&r, "Hosts.Test");
    assert_int_equal(r.status, 0);
    assert_int_equal(r.n, 1);
    assert_string_equal(r.first, "192.0.2.77");
    assert_int_equal(server.questions, 0);
}

static void addresses_are_bounded(void **state) {
    (void)state;
    result r;
    look_up(&r, "many.test");
    assert_int_equal(r.status, 0);
    assert_int_equal(r.n, MG_DNS_ADDRESSES);
}

static void remembered_names_are_bounded(void **state) {
    (void)state;
    open_dns(5000, 1, 2);
    result r;
    look_up(&r, "n01.test");
    look_up(&r, "n02.test");
    look_up(&r, "n03.test"); // the first makes room
    assert_int_equal(server.questions, 6);
    look_up(&r, "n02.test");
    look_up(&r, "n03.test");
    assert_int_equal(server.questions, 6);
    look_up(&r, "n01.test");
    assert_int_equal(server.questions, 8);
}

static void literals_and_localhost_need_no_nameserver(void **state) {
    (void)state;
    result r;
    look_up(&r, "192.0.2.200");
    assert_int_equal(r.status, 0);
    assert_string_equal(r.first, "192.0.2.200");
    look_up(&r, "2001:db8::5");
    assert_string_equal(r.first, "2001:db8::5");
    static const char *const names[] = {"localhost", "LOCALHOST.", "app.localhost"};
    for (size_t i = 0; i < 3; i++) {
        look_up(&r, names[i]);
        assert_int_equal(r.status, 0);
        assert_int_equal(r.n, 2);
        assert_true(strcmp(r.first, "127.0.0.1") == 0 || strcmp(r.first, "::1") == 0);
    }
    assert_int_equal(server.questions, 0);
}

static void what_is_no_name_needs_none_either(void **state) {
    (void)state;
    result r;
    look_up(&r, "a b");
    assert_int_equal(r.status, MG_ESYNTAX);
    assert_int_equal(server.questions, 0);
}

static void who_asks_the_same_shares_the_question(void **state) {
    (void)state;
    result r[3];
    for (size_t i = 0; i < 3; i++) {
        start(&r[i], "one.test");
    }
    mg_dns_cancel(r[0].lookup);
    turn_until(loop, &r[1].done, 1);
    turn_until(loop, &r[2].done, 1);
    turn_times(loop, 3);
    assert_int_equal(r[0].done, 0);
    assert_int_equal(r[1].done, 1);
    assert_string_equal(r[2].first, "192.0.2.1");
    assert_int_equal(server.questions, 2);
}

static void a_cancelled_question_still_teaches(void **state) {
    (void)state;
    result r;
    start(&r, "later.test");
    turn_until(loop, &server.held_n, 2);
    mg_dns_cancel(r.lookup);
    answer_held(2);
    turn_times(loop, 5);
    assert_int_equal(r.done, 0);
    look_up(&r, "later.test");
    assert_string_equal(r.first, "192.0.2.5");
    assert_int_equal(server.questions, 2);
}

static void a_call_may_cancel_its_neighbour(void **state) {
    (void)state;
    result r[2];
    start(&r[0], "192.0.2.1");
    start(&r[1], "192.0.2.2");
    to_cancel = r[1].lookup;
    turn_until(loop, &r[0].done, 1);
    turn_times(loop, 3);
    assert_int_equal(r[1].done, 0);
}

static void freed_under_way_nobody_is_called(void **state) {
    (void)state;
    result r[3];
    start(&r[0], "later.test");
    start(&r[1], "192.0.2.1");
    turn_until(loop, &server.held_n, 2);
    start(&r[2], "192.0.2.1");
    start(&r[1], "one.test");
    mg_dns_free(dns);
    dns = NULL;
    turn_times(loop, 5);
    assert_int_equal(r[0].done + r[1].done + r[2].done, 0);
}

static void a_call_may_free_everything(void **state) {
    (void)state;
    result r[3];
    start(&r[0], "192.0.2.1");
    start(&r[1], "192.0.2.2");
    start(&r[2], "later.test");
    to_free = dns;
    dns = NULL;
    turn_until(loop, &r[0].done, 1);
    turn_times(loop, 5);
    assert_int_equal(r[1].done + r[2].done, 0);
}

// The search list stands for the whole file: its nameservers would need port 53.
static void a_new_resolv_conf_is_heeded(void **state) {
    (void)state;
    write_resolv_conf("nameserver 127.0.0.1\nsearch before\n");
    open_dns(30000, 1, 0);
    result r, old, fresh;
    look_up(&r, "host");
    assert_string_equal(r.first, "192.0.2.10");
    start(&old, "later.test");
    turn_until(loop, &server.held_n, 2);
    write_resolv_conf("nameserver 127.0.0.1\nsearch after\n");
    do {
        look_up(&r, "host");
        assert_int_equal(r.status, 0);
    } while (strcmp(r.first, "192.0.2.10") == 0);
    assert_string_equal(r.first, "192.0.2.20");
    assert_int_equal(old.done, 0);
    start(&fresh, "later.test"); // does not join the old question
    turn_until(loop, &server.held_n, 4);
    answer_held(2);
    turn_until(loop, &old.done, 1);
    assert_string_equal(old.first, "192.0.2.5");
    start(&r, "later.test"); // what the old channel learned is not trusted
    turn_times(loop, 3);
    assert_int_equal(r.done, 0);
    answer_held(2);
    turn_until(loop, &r.done, 1);
    assert_int_equal(fresh.done, 1);
}

static void each_way_of_failing_has_its_own_words(void **state) {
    (void)state;
    static const char *const all[][2] = {
        {"fail.test", "the nameserver failed to answer for fail.test (SERVFAIL)"},
        {"fail.test.", "the nameserver failed to answer for fail.test. (SERVFAIL)"},
        {"Unwilling.test", "the nameserver refuses to answer for unwilling.test (REFUSED)"},
        {"simple.test", "the nameserver does not know how to answer for simple.test (NOTIMP)"},
        {"missing.test", "no such host: missing.test"},
    };
    result r;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        look_up(&r, all[i][0]);
        assert_string_equal(r.text, all[i][1]);
    }
}

// RFC 8305 section 3.
static void the_other_family_is_waited_for_50_ms(void **state) {
    (void)state;
    result r;
    start(&r, "half4.test");
    while (server.questions < 2) {
        mg_loop_turn(loop, true, false, 0);
    }
    turn_times(loop, 10);
    mg_loop_set_now(loop, 49);
    turn_times(loop, 10);
    assert_int_equal(server.questions, 2);
    mg_loop_set_now(loop, 50);
    while (r.done == 0) {
        mg_loop_turn(loop, true, false, 0);
    }
    assert_int_equal(server.questions, 3); // that family alone
    assert_string_equal(r.first, "192.0.2.8");
}

static void while_there_is_none_nobody_is_asked_again(void **state) {
    (void)state;
    result r;
    start(&r, "silent.test");
    while (server.questions < 2) {
        mg_loop_turn(loop, true, false, 0);
    }
    mg_loop_set_now(loop, 10000);
    turn_times(loop, 10);
    assert_int_equal(server.questions, 2);
}

static void one_family_alone_will_do_if_the_other_stays_unanswered(void **state) {
    (void)state;
    result r;
    family_ms = 1;
    open_dns(30000, 1, 0);
    look_up(&r, "half4.test");
    assert_int_equal(r.status, 0);
    assert_int_equal(r.n, 1);
    assert_string_equal(r.first, "192.0.2.8");
    look_up(&r, "half6.test");
    assert_string_equal(r.first, "2001:db8::8");
    look_up(&r, "half6.test"); // remembered, for a short while
    assert_string_equal(r.first, "2001:db8::8");
    look_up(&r, "both.test"); // nothing is lost where both answer
    assert_int_equal(r.n, 2);
}

static void questions_at_once_are_bounded(void **state) {
    (void)state;
    result *r = mg_calloc(4097, sizeof *r);
    for (size_t i = 0; i < 4097; i++) {
        char name[32];
        snprintf(name, sizeof name, "n0%zu.test", i);
        start(&r[i], name);
    }
    turn_until(loop, &r[4096].done, 1);
    assert_int_equal(r[4096].status, MG_ELIMIT);
    mg_dns_free(dns);
    dns = NULL;
    mg_free(r);
}

static void bad_nameservers_are_refused(void **state) {
    (void)state;
    mg_dns *d;
    mg_dns_options o = {.nameservers = "not an address"};
    assert_true(mg_dns_new(&d, loop, &o) < 0);
}

static int make_folder(void **state) {
    (void)state;
    folder = new_folder();
    snprintf(resolv_conf, sizeof resolv_conf, "%s/resolv.conf", folder);
    snprintf(hosts, sizeof hosts, "%s/hosts", folder);
    FILE *f = fopen(hosts, "w");
    assert_non_null(f);
    fputs("192.0.2.77 hosts.test\n", f);
    fclose(f);
    return 0;
}

static int drop_folder(void **state) {
    (void)state;
    remove_folder(folder);
    return 0;
}

#define EACH(f)         cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define EACH_VIRTUAL(f) cmocka_unit_test_setup_teardown(f, set_up_virtual, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(a_name_is_asked_once_while_its_ttl_lasts),
        EACH(both_families_are_in_one_answer),
        EACH(a_ttl_of_zero_is_not_remembered),
        EACH(a_name_is_asked_again_when_its_ttl_has_ended),
        EACH(a_chain_lasts_as_long_as_its_shortest_link),
        EACH(what_does_not_exist_is_remembered),
        EACH(silence_ends_and_is_not_remembered),
        EACH(a_lost_question_is_asked_again),
        EACH(a_failing_nameserver_is_no_missing_name),
        EACH(a_nameserver_that_is_not_there_fails_the_question),
        EACH(nonsense_fails_the_question),
        EACH(a_truncated_answer_is_asked_for_over_tcp),
        EACH(the_hosts_file_comes_first),
        EACH(addresses_are_bounded),
        EACH(remembered_names_are_bounded),
        EACH(literals_and_localhost_need_no_nameserver),
        EACH(what_is_no_name_needs_none_either),
        EACH(who_asks_the_same_shares_the_question),
        EACH(a_cancelled_question_still_teaches),
        EACH(a_call_may_cancel_its_neighbour),
        EACH(freed_under_way_nobody_is_called),
        EACH(a_call_may_free_everything),
        EACH(a_new_resolv_conf_is_heeded),
        EACH(each_way_of_failing_has_its_own_words),
        EACH_VIRTUAL(the_other_family_is_waited_for_50_ms),
        EACH_VIRTUAL(while_there_is_none_nobody_is_asked_again),
        EACH(one_family_alone_will_do_if_the_other_stays_unanswered),
        EACH(questions_at_once_are_bounded),
        EACH(bad_nameservers_are_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
