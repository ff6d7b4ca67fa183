#include "gate/job_leases.h"

#include "../store/redis_rig.h"

static mg_redis *redis;
static mg_job_leases leases;
static bool ours, running;
static char told[400];
static int told_count;
static const int old_scripts = 1;
static const int new_scripts = 2;

static bool is_ours(void *arg, mg_str name) {
    assert_ptr_equal(arg, &leases);
    assert_true(name.n > 0);
    return ours;
}

static bool is_running(void *arg, mg_str name) {
    (void)arg;
    return running && mg_str_eq(name, MG_STR("report"));
}

static void on_news(void *arg, const char *text) {
    (void)arg;
    told_count++;
    snprintf(told, sizeof told, "%s", text);
}

static int set_up(void **state) {
    mg_error err;
    rig_open(state);
    ours = true;
    running = false;
    told_count = 0;
    const mg_redis_options o = {.url = MG_STR("redis://h?resp=2&client_name=&prefix=p:")};
    assert_int_equal(mg_redis_open(&redis, rig_loop, &o, &err), MG_OK);
    mg_job_leases_init(&leases, is_ours, &leases);
    return 0;
}

static int tear_down(void **state) {
    mg_redis_free(redis);
    mg_job_leases_deinit(&leases);
    rig_settle();
    return rig_close(state);
}

static void claim(const char *name, const void *owner) {
    mg_job_leases_claim(&leases, rig_loop, redis, mg_str_of(name), owner);
    rig_settle();
}

static bool has(void) {
    return mg_job_leases_has(&leases, MG_STR("report"));
}

// What is said for that job: "take", "release", "".
static const char *said(void) {
    const char *got = rig_got(0);
    if (got[0] == '\0') {
        return "";
    }
    assert_non_null(strstr(got, " 1 p:~job:report "));
    assert_non_null(strstr(got, leases.token));
    assert_null(strchr(got, '|'));
    return strstr(got, "'del'") != NULL ? "release" : "take";
}

static void who_gets_the_lease_may_run(void **state) {
    (void)state;
    claim("report", &new_scripts);
    assert_string_equal(said(), "take");
    assert_false(has());
    rig_say(0, ":1\r\n");
    assert_true(has());
    assert_true(mg_job_leases_has(&leases, MG_STR("not claimed")));
}

static void who_does_not_asks_again(void **state) {
    (void)state;
    claim("report", &new_scripts);
    said();
    rig_say(0, ":0\r\n");
    assert_false(has());
    rig_pass(1000);
    assert_string_equal(said(), "take");
    rig_say(0, ":1\r\n");
    assert_true(has());
}

static void a_lease_is_renewed_and_ends_without_that(void **state) {
    (void)state;
    claim("report", &new_scripts);
    said();
    rig_say(0, ":1\r\n");
    rig_pass(2000);
    assert_string_equal(said(), "");
    rig_pass(1000);
    assert_string_equal(said(), "take");
    rig_say(0, ":1\r\n");
    rig_pass(6400); // of the 10 s, since it was asked
    assert_true(has());
    rig_pass(9500);
    assert_false(has());
}

static void a_lease_that_another_took_is_lost(void **state) {
    (void)state;
    claim("report", &new_scripts);
    said();
    rig_say(0, ":1\r\n");
    rig_pass(3000);
    said();
    rig_say(0, ":0\r\n");
    assert_false(has());
}

static void one_worker_of_a_node_asks(void **state) {
    (void)state;
    ours = false;
    claim("report", &new_scripts);
    rig_pass(3000);
    assert_int_equal(rig_count, 0);
    ours = true; // the other one is dead
    rig_pass(1000);
    assert_string_equal(said(), "take");
}

static void nothing_runs_while_nobody_knows_and_that_is_told_once(void **state) {
    (void)state;
    rig_refuse = true;
    claim("report", &new_scripts);
    rig_pass(100);
    mg_job_leases_tell(&leases, on_news, NULL);
    assert_int_equal(told_count, 0); // it has not been its turn
    assert_false(has());
    mg_job_leases_tell(&leases, on_news, NULL);
    assert_false(has());
    mg_job_leases_tell(&leases, on_news, NULL);
    assert_int_equal(told_count, 1);
    assert_non_null(strstr(told, "job report does not run: whether another node runs it is not "
                                 "known while Redis cannot be asked: redis://h:6379: refused"));
    rig_refuse = false;
    for (int i = 0; i < 10 && !has(); i++) {
        rig_pass(1000);
        if (rig_count > 0 && strcmp(said(), "take") == 0) {
            rig_say(0, ":1\r\n");
        }
    }
    assert_true(has());
}

static void scripts_that_go_give_back_what_newer_ones_do_not_want(void **state) {
    (void)state;
    claim("report", &old_scripts);
    said();
    rig_say(0, ":1\r\n");
    claim("report", &new_scripts);
    mg_job_leases_forget(&leases, &old_scripts);
    assert_string_equal(said(), "");
    assert_true(has());
    mg_job_leases_forget(&leases, &new_scripts);
    assert_string_equal(said(), "release");
    rig_say(0, ":1\r\n");
    assert_true(mg_link_alone(&leases.leaving));
}

static void what_nobody_has_answered_yet_is_given_back(void **state) {
    (void)state;
    claim("report", &new_scripts);
    assert_string_equal(said(), "take");
    mg_job_leases_give_back(&leases, MG_STR("report"));
    assert_string_equal(said(), "release"); // it may have been taken
    rig_say(0, ":1\r\n:1\r\n");
    assert_true(mg_link_alone(&leases.leaving));
    claim("report", &new_scripts);
    said();
    rig_say(0, ":0\r\n");
    mg_job_leases_give_back(&leases, MG_STR("report"));
    assert_string_equal(said(), ""); // another one has it
}

static void a_worker_that_stops_gives_back_all_but_what_runs(void **state) {
    (void)state;
    claim("report", &new_scripts);
    said();
    rig_say(0, ":1\r\n");
    running = true;
    mg_job_leases_retire(&leases, is_running);
    assert_string_equal(said(), "");
    assert_false(has()); // no other run begins
    mg_job_leases_give_back(&leases, MG_STR("report"));
    assert_string_equal(said(), "release");
    claim("report", &new_scripts);
    assert_string_equal(said(), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        CASE(who_gets_the_lease_may_run),
        CASE(who_does_not_asks_again),
        CASE(a_lease_is_renewed_and_ends_without_that),
        CASE(a_lease_that_another_took_is_lost),
        CASE(one_worker_of_a_node_asks),
        CASE(nothing_runs_while_nobody_knows_and_that_is_told_once),
        CASE(scripts_that_go_give_back_what_newer_ones_do_not_want),
        CASE(what_nobody_has_answered_yet_is_given_back),
        CASE(a_worker_that_stops_gives_back_all_but_what_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
