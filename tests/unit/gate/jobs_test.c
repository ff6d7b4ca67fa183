#include "gate/jobs.h"

#include "unit.h"

#include <stdio.h>

static mg_loop *loop;
static mg_shm *shm;
static mg_jobs jobs, others; // of two workers
static mg_vm vm, newer;      // of two generations of the first one
static char told[300];
static int told_count;

static int set_up(void **state) {
    mg_error err;
    (void)state;
    told_count = 0;
    assert_int_equal(mg_loop_new(&loop, &(mg_loop_options){.virtual_clock = true}), MG_OK);
    assert_int_equal(mg_shm_new(&shm, 0, &err), MG_OK);
    mg_jobs_init(&jobs, shm, 0);
    mg_jobs_init(&others, shm, 1);
    vm = newer = (mg_vm){.loop = loop};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_jobs_deinit(&jobs);
    mg_jobs_deinit(&others);
    mg_shm_free(shm);
    return mg_loop_free(loop);
}

static void pass(uint64_t ms) {
    mg_loop_set_now(loop, mg_loop_now_ms(loop) + ms);
}

static bool begin(mg_jobs *j, const mg_vm *of, const char *name, bool each_worker) {
    const mg_vm_job job = {.name = mg_str_of(name),
                           .where = MG_STR("lua/app.lua:7"),
                           .each_worker = each_worker,
                           .seconds = 2};
    return mg_jobs_seam.begin(j, of, &job);
}

static int wait_ms(const mg_vm *of, double seconds) {
    return (int)(mg_jobs_seam.wait(&jobs, of, MG_STR("a"), seconds) * 1000 + 0.5);
}

static void on_late(void *arg, const char *text) {
    assert_ptr_equal(arg, &told_count);
    told_count++;
    snprintf(told, sizeof told, "%s", text);
}

static void look(void) {
    mg_jobs_look(&jobs, mg_loop_now_ms(loop), on_late, &told_count);
}

static void a_job_runs_once_at_a_time(void **state) {
    (void)state;
    assert_true(begin(&jobs, &vm, "a", false));
    assert_false(begin(&jobs, &newer, "a", false));
    assert_false(begin(&others, &vm, "a", false));
    assert_true(begin(&jobs, &vm, "b", true));
    assert_true(begin(&others, &vm, "b", true));
    mg_jobs_seam.end(&jobs, &vm, MG_STR("a"));
    assert_true(begin(&jobs, &newer, "a", false));
    mg_jobs_forget(&jobs, &newer);
    assert_true(begin(&jobs, &vm, "a", false));
}

static void the_next_tick_outlives_a_reload(void **state) {
    (void)state;
    assert_int_equal(wait_ms(&vm, 1), 1000);
    pass(700);
    assert_int_equal(wait_ms(&newer, 1), 300);
    pass(300);
    assert_int_equal(wait_ms(&newer, 1), 1000); // it has ticked
    pass(400);
    assert_int_equal(wait_ms(&vm, 0.5), 500); // a shorter period holds at once
    pass(900);
    assert_int_equal(wait_ms(&newer, 0.5), 0); // it was due meanwhile
    mg_jobs_forget(&jobs, &newer);
    assert_int_equal(wait_ms(&vm, 1), 1000); // nobody declared it
}

static void a_run_that_does_not_end_is_told(void **state) {
    (void)state;
    mg_cell_job cells[MG_CELL_JOBS];
    begin(&jobs, &vm, "sweep", false);
    pass(5999);
    look();
    assert_int_equal(told_count, 0);
    pass(1);
    look();
    assert_int_equal(told_count, 1);
    assert_string_equal(told, "job sweep (lua/app.lua:7) has run for 6.0 s and does not tick "
                              "meanwhile: its period is 2 s");
    pass(5999);
    look();
    assert_int_equal(told_count, 1);
    pass(1);
    look();
    assert_int_equal(told_count, 2);
    mg_jobs_show(&jobs, cells);
    assert_string_equal(cells[0].name, "sweep");
    assert_int_equal(mg_loop_now_ms(loop) - cells[0].since_ms, 12000);
    assert_string_equal(cells[1].name, "");
    mg_jobs_seam.end(&jobs, &vm, MG_STR("sweep"));
    mg_jobs_show(&jobs, cells);
    assert_string_equal(cells[0].name, "");
}

static void there_is_room_for_some(void **state) {
    (void)state;
    mg_cell_job cells[MG_CELL_JOBS];
    char name[100];
    for (int i = 0; i < 2 * MG_CELL_JOBS; i++) {
        snprintf(name, sizeof name, "%070d", i);
        assert_true(begin(&jobs, &vm, name, true));
    }
    mg_jobs_show(&jobs, cells);
    assert_int_equal(strlen(cells[MG_CELL_JOBS - 1].name), MG_CELL_NAME - 1);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_job_runs_once_at_a_time),
        TEST(the_next_tick_outlives_a_reload),
        TEST(a_run_that_does_not_end_is_told),
        TEST(there_is_room_for_some),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
