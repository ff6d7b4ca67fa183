// What names of servers mean, as a hosts file says it on a virtual clock. A nameserver's times are
// for tests/integration/upstream_servers_spec.lua.
#include "proxy/names.h"

#include "../unit.h"

#include "base/error.h"
#include "event/timer.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <unistd.h>

enum { UNSAID_MS = 5000, FAILED_MS = 2000 };

static char path[64];
static mg_loop *loop;
static mg_dns *dns;
static mg_names *names;
static int changes;
static mg_name_watch *to_end; // inside of the next change

static void on_change(mg_name_watch *w) {
    (void)w;
    changes++;
    if (to_end != NULL) {
        mg_name_watch_end(to_end);
        to_end = NULL;
    }
}

static void write_hosts(const char *text) {
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
    const mg_loop_options o = {.virtual_clock = true};
    strcpy(path, "/tmp/moongate-names-XXXXXX");
    close(mkstemp(path));
    assert_int_equal(mg_loop_new(&loop, &o), MG_OK);
    // Nobody answers there: what no line has cannot be known.
    const mg_dns_options of_dns = {
        .nameservers = "127.0.0.1:9", .hosts = path, .timeout_ms = 50, .tries = 1};
    assert_int_equal(mg_dns_new(&dns, loop, &of_dns), MG_OK);
    names = mg_names_new(loop, dns);
    changes = 0;
    to_end = NULL;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_names_free(names);
    mg_dns_free(dns);
    unlink(path);
    return mg_loop_free(loop);
}

static void on_time(mg_timer *t) {
    (void)t; // only there so that the clock gets that far, whatever is waited for
}

static void run_until_ms(uint64_t at_ms) {
    mg_timer until = {0};
    mg_timer_start(loop, &until, at_ms - mg_loop_now_ms(loop), 0, on_time);
    while (mg_loop_now_ms(loop) < at_ms) {
        mg_loop_turn(loop, true, true, at_ms);
    }
}

static void run_until_changes(int n) {
    while (changes < n) {
        mg_loop_turn(loop, true, true, UINT64_MAX);
    }
}

static void assert_means(const mg_name_watch *w, const char *wanted) {
    char got[256] = "";
    size_t n;
    const struct sockaddr_storage *a = mg_name_addresses(w, &n);
    for (size_t i = 0; i < n; i++) {
        char ip[INET_ADDRSTRLEN];
        inet_ntop(AF_INET, &((const struct sockaddr_in *)&a[i])->sin_addr, ip, sizeof ip);
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s ", ip);
    }
    assert_string_equal(got, wanted);
}

static void a_name_is_known_once_it_was_looked_up(void **state) {
    (void)state;
    mg_name_watch w;
    write_hosts("127.0.0.2 shop.test\n127.0.0.1 shop.test\n");
    mg_name_watch_begin(&w, names, "shop.test", on_change);
    assert_means(&w, "");
    run_until_changes(1);
    assert_means(&w, "127.0.0.1 127.0.0.2 ");
    mg_name_watch_end(&w);
    mg_name_watch_end(&w); // does no harm
    assert_means(&w, "");
}

static void it_is_asked_again_when_its_time_is_over(void **state) {
    (void)state;
    mg_name_watch w;
    write_hosts("127.0.0.1 shop.test\n");
    mg_name_watch_begin(&w, names, "shop.test", on_change);
    run_until_changes(1);
    run_until_ms(mg_loop_now_ms(loop) + 3 * UNSAID_MS);
    assert_int_equal(changes, 1); // the same is no change
    write_hosts("127.0.0.3 shop.test\n");
    run_until_changes(2);
    assert_means(&w, "127.0.0.3 ");
    mg_name_watch_end(&w);
}

static void what_was_known_holds_while_nobody_answers(void **state) {
    (void)state;
    mg_name_watch w;
    write_hosts("127.0.0.1 shop.test\n");
    mg_name_watch_begin(&w, names, "shop.test", on_change);
    run_until_changes(1);
    write_hosts("");
    run_until_ms(mg_loop_now_ms(loop) + UNSAID_MS + 3 * FAILED_MS);
    assert_means(&w, "127.0.0.1 ");
    assert_int_equal(changes, 1);
    write_hosts("127.0.0.2 shop.test\n");
    run_until_changes(2);
    assert_means(&w, "127.0.0.2 ");
    mg_name_watch_end(&w);
}

static void who_watches_one_name_shares_it(void **state) {
    (void)state;
    mg_name_watch a;
    mg_name_watch b;
    mg_name_watch late;
    write_hosts("127.0.0.1 shop.test\n");
    mg_name_watch_begin(&a, names, "shop.test", on_change);
    mg_name_watch_begin(&b, names, "shop.test", on_change);
    run_until_changes(2);
    mg_name_watch_begin(&late, names, "shop.test", on_change);
    assert_means(&late, "127.0.0.1 "); // at once
    write_hosts("127.0.0.2 shop.test\n");
    to_end = &b; // the first that is told ends another one
    run_until_changes(4);
    assert_means(&a, "127.0.0.2 ");
    assert_means(&late, "127.0.0.2 ");
    mg_name_watch_end(&a);
    mg_name_watch_end(&late);
}

static void a_lookup_ends_with_the_last_watch(void **state) {
    (void)state;
    mg_name_watch w;
    write_hosts("");
    mg_name_watch_begin(&w, names, "nobody.test", on_change);
    mg_name_watch_end(&w); // it is under way; tear_down finds nothing left
    assert_int_equal(changes, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_name_is_known_once_it_was_looked_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_asked_again_when_its_time_is_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_known_holds_while_nobody_answers, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_watches_one_name_shares_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lookup_ends_with_the_last_watch, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
