#include "gate/master_inside.h"

#include "gate/worker_inside.h"
#include "snapshots.h"

// Of no process: either the worker lives in this one, or none can be started.

static mg_loop *loop;
static mg_master m;
static mg_cli cli;
static char *arguments[] = {"moongate", "run", NULL};

#define CONFIG                                                                                     \
    "{\"cache\":false,\"log\":{\"file\":\"/dev/"                                                   \
    "null\",\"access\":false},\"timeouts\":{\"drain\":5,"                                          \
    "\"stall_warn\":0,\"stall_abort\":0,\"stall_kill\":0}}"

static int set_up(void **state) {
    mg_error err;
    (void)state;
    alarm(60);
    cli = (mg_cli){.conf = SNAPSHOT_CONF, .command = MG_COMMAND_RUN};
    assert_int_equal(mg_loop_new(&loop, &(mg_loop_options){.virtual_clock = true}), MG_OK);
    m = (mg_master){.cli = &cli,
                    .self = "/nowhere/at/all",
                    .argc = 2,
                    .argv = arguments,
                    .loop = loop,
                    .generation = 1,
                    .wanted = 1};
    mg_lending_init(&m.lending);
    assert_int_equal(mg_processes_open(&m.processes, loop), MG_OK);
    assert_int_equal(mg_shm_new(&m.shm, 0, &err), MG_OK);
    assert_int_equal(mg_log_open(&m.logs.error, &(mg_log_options){.target = "/dev/null"}, &err),
                     MG_OK);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_places_free(&m);
    mg_processes_close(m.processes);
    mg_snapshot_unref(m.snapshot);
    mg_shm_free(m.shm);
    mg_logs_close(&m.logs);
    return mg_loop_free(loop);
}

static void pass(uint64_t ms) {
    mg_loop_set_now(loop, mg_loop_now_ms(loop) + ms);
    for (int i = 0; i < 50; i++) {
        mg_loop_turn(loop, false, true, mg_loop_now_ms(loop));
    }
}

static mg_place *start_inside(const char *app) {
    m.alone = true;
    m.snapshot = snapshot_of(CONFIG, app);
    mg_place *p = mg_place_at(&m, 0);
    mg_place_start(p, m.snapshot, 1, (mg_str){0});
    return p;
}

static void wait_until(const mg_place *p, mg_place_state state) {
    while (p->life.state != state) {
        mg_loop_turn(loop, true, true, mg_loop_now_ms(loop));
    }
}

// --- a worker in this process ---

static void one_that_is_ready_is_told_to_serve(void **state) {
    (void)state;
    const mg_place *p = start_inside(APP(""));
    assert_int_equal(p->life.state, MG_PLACE_STARTING);
    wait_until(p, MG_PLACE_SERVING);
    assert_int_equal(p->ready, 1);
    pass(0);
    assert_int_equal(p->inside->state, MG_WORKER_SERVING);
    assert_true(mg_places_alive(&m));
}

static void one_that_is_told_to_stop_drains_and_leaves(void **state) {
    (void)state;
    mg_place *p = start_inside(APP(""));
    wait_until(p, MG_PLACE_SERVING);
    mg_place_stop(p, false);
    assert_int_equal(p->life.state, MG_PLACE_STOPPING);
    wait_until(p, MG_PLACE_EMPTY);
    assert_int_equal(p->inside->state, MG_WORKER_ENDED);
    assert_false(mg_places_alive(&m));
}

static void one_whose_scripts_fail_leaves(void **state) {
    (void)state;
    const mg_place *p = start_inside("error('no luck')");
    wait_until(p, MG_PLACE_EMPTY);
    assert_non_null(strstr(p->fault, "no luck"));
    assert_false(mg_places_alive(&m));
}

static void one_that_serves_accepts_for_one_that_does_not(void **state) {
    (void)state;
    const mg_place *p = start_inside(APP(""));
    wait_until(p, MG_PLACE_SERVING);
    mg_place_at(&m, 3); // with nobody in it
    mg_places_lend(&m);
    pass(0);
    assert_int_equal(p->inside->accepting.lent[0], 1 << 3);
}

// --- a process that cannot be started ---

static void one_that_cannot_be_started_is_tried_again_later_each_time(void **state) {
    (void)state;
    mg_place *p = mg_place_at(&m, 0);
    m.snapshot = snapshot_of(CONFIG, APP(""));
    mg_place_start(p, m.snapshot, 1, (mg_str){0});
    assert_int_equal(p->life.state, MG_PLACE_WAITING);
    assert_int_equal(p->life.backoff_ms, 100);
    pass(99);
    assert_int_equal(p->life.restarts, 0);
    pass(1);
    assert_int_equal(p->life.restarts, 1);
    assert_int_equal(p->life.backoff_ms, 200);
    pass(200);
    assert_int_equal(p->life.restarts, 2);
    assert_int_equal(p->life.backoff_ms, 400);
    assert_null(p->channel);
    assert_null(p->process);
}

static void a_stop_ends_the_trying(void **state) {
    (void)state;
    mg_place *p = mg_place_at(&m, 0);
    m.snapshot = snapshot_of(CONFIG, APP(""));
    mg_place_start(p, m.snapshot, 1, (mg_str){0});
    mg_place_stop(p, true);
    assert_int_equal(p->life.state, MG_PLACE_EMPTY);
    pass(1000);
    assert_int_equal(p->life.restarts, 0);
    assert_false(mg_places_alive(&m));
}

static void one_that_is_not_wanted_is_not_tried_again(void **state) {
    (void)state;
    mg_place *p = mg_place_at(&m, 5); // beyond what is wanted
    m.snapshot = snapshot_of(CONFIG, APP(""));
    mg_place_start(p, m.snapshot, 1, (mg_str){0});
    assert_int_equal(p->life.state, MG_PLACE_EMPTY);
}

static void what_a_dead_worker_held_is_free(void **state) {
    (void)state;
    mg_place *p = mg_place_at(&m, 0);
    m.snapshot = snapshot_of(CONFIG, APP(""));
    assert_true(mg_lease_take(m.shm, MG_STR("sweep"), 1));
    mg_shm_cell(m.shm, 0)->generation = 1;
    mg_place_start(p, m.snapshot, 1, (mg_str){0});
    assert_true(mg_lease_take(m.shm, MG_STR("sweep"), 2));
    assert_int_equal(mg_shm_cell(m.shm, 0)->generation, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_that_is_ready_is_told_to_serve),
        TEST(one_that_is_told_to_stop_drains_and_leaves),
        TEST(one_whose_scripts_fail_leaves),
        TEST(one_that_serves_accepts_for_one_that_does_not),
        TEST(one_that_cannot_be_started_is_tried_again_later_each_time),
        TEST(a_stop_ends_the_trying),
        TEST(one_that_is_not_wanted_is_not_tried_again),
        TEST(what_a_dead_worker_held_is_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
