#include "gate/generation.h"

#include "snapshots.h"

static mg_loop *loop;
static mg_generation *g;
static const mg_config_overrides no_overrides;
static int readies, gone;
static char fault[400];

static int set_up(void **state) {
    (void)state;
    g = NULL;
    readies = gone = 0;
    return mg_loop_new(&loop, &(mg_loop_options){.virtual_clock = true});
}

// A leak of handles or memory would be found here: whatever was loaded is gone.
static int tear_down(void **state) {
    (void)state;
    mg_generation_free(g);
    return mg_loop_free(loop);
}

static void on_ready(void *arg, mg_generation *of, const char *text) {
    assert_ptr_equal(arg, &readies);
    assert_ptr_equal(of, g);
    readies++;
    snprintf(fault, sizeof fault, "%s", text != NULL ? text : "");
}

static void on_gone(void *arg, mg_generation *of) {
    assert_ptr_equal(arg, &gone);
    assert_ptr_equal(of, g);
    gone++;
    mg_generation_free(of); // allowed in its own events
    g = NULL;
}

static int begin(const char *json, const char *app) {
    mg_snapshot *s = snapshot_of(json, app);
    mg_generation_options o = {
        .number = 3, .snapshot = s, .conf = SNAPSHOT_CONF, .overrides = &no_overrides};
    int rc = mg_generation_load(&g, loop, &o, on_ready, &readies);
    mg_snapshot_unref(s);
    return rc;
}

// Until its thread is back and nothing more happens without time.
static void settle(void) {
    while (mg_loop_turn(loop, true, true, mg_loop_now_ms(loop)) != MG_LOOP_IDLE) {
    }
}

static void load(const char *app) {
    assert_int_equal(begin("{}", app), MG_OK);
    assert_int_equal(g->state, MG_GENERATION_LOADING);
    settle();
    assert_int_equal(readies, 1);
}

static void only_what_is_drawn_may_happen(void **state) {
    static const char *const allowed[] = {
        // to: LOADING, STARTING, FAILED, READY, SERVING, RETIRED, GONE
        [MG_GENERATION_LOADING] = "0110000", [MG_GENERATION_STARTING] = "0011000",
        [MG_GENERATION_FAILED] = "0000000",  [MG_GENERATION_READY] = "0000100",
        [MG_GENERATION_SERVING] = "0000010", [MG_GENERATION_RETIRED] = "0000001",
        [MG_GENERATION_GONE] = "0000000",
    };
    (void)state;
    for (mg_generation_state from = MG_GENERATION_LOADING; from <= MG_GENERATION_GONE; from++) {
        for (mg_generation_state to = MG_GENERATION_LOADING; to <= MG_GENERATION_GONE; to++) {
            assert_int_equal(mg_generation_may_become(from, to), allowed[from][to] == '1');
        }
    }
}

static void it_is_loaded_serves_retires_and_is_gone(void **state) {
    (void)state;
    load(APP(""));
    assert_string_equal(fault, "");
    assert_int_equal(g->state, MG_GENERATION_READY);
    mg_generation_commit(g);
    assert_int_equal(g->state, MG_GENERATION_SERVING);
    settle();
    mg_generation_retire(g, on_gone, &gone);
    assert_int_equal(g->state, MG_GENERATION_RETIRED);
    mg_loop_set_now(loop, 1); // later than this turn
    settle();
    assert_int_equal(gone, 1);
    assert_int_equal(readies, 1);
}

static void it_is_ready_when_on_start_has_ended(void **state) {
    (void)state;
    assert_int_equal(begin("{}", APP("app:on_start(function() moongate.sleep(2):await() end)")),
                     MG_OK);
    settle();
    assert_int_equal(g->state, MG_GENERATION_STARTING);
    assert_int_equal(readies, 0);
    mg_loop_set_now(loop, 2000);
    settle();
    assert_int_equal(g->state, MG_GENERATION_READY);
    assert_int_equal(readies, 1);
}

static void a_fault_of_the_scripts_is_told(void **state) {
    (void)state;
    load("local x = \n");
    assert_int_equal(g->state, MG_GENERATION_FAILED);
    assert_non_null(strstr(fault, "lua/app.lua:"));
    assert_non_null(strstr(fault, "unexpected symbol"));
}

static void a_fault_of_on_start_is_told(void **state) {
    (void)state;
    load(APP("app:on_start(function() error('no luck') end)"));
    assert_int_equal(g->state, MG_GENERATION_FAILED);
    assert_non_null(strstr(fault, "lua/app.lua:3: no luck"));
}

static void nothing_comes_of_one_that_is_freed_while_it_loads(void **state) {
    (void)state;
    assert_int_equal(begin("{}", APP("")), MG_OK);
    mg_generation_free(g);
    g = NULL;
    settle();
    assert_int_equal(readies, 0);
}

static void a_load_that_does_not_end_is_given_up(void **state) {
    (void)state;
    assert_int_equal(begin("{}", "while true do end\n"), MG_OK);
    mg_generation_free(g);
    g = NULL;
    settle();
    assert_int_equal(readies, 0);
}

static void nothing_comes_of_one_that_is_freed_while_it_starts(void **state) {
    (void)state;
    assert_int_equal(begin("{}", APP("app:on_start(function() moongate.sleep(2):await() end)")),
                     MG_OK);
    settle();
    mg_generation_free(g);
    g = NULL;
    mg_loop_set_now(loop, 2000);
    settle();
    assert_int_equal(readies, 0);
}

static void one_that_serves_may_be_freed_at_once(void **state) {
    (void)state;
    load(APP("app:every('sweep', 5, function() end)"));
    mg_generation_commit(g);
    mg_generation_free(g);
    g = NULL;
    settle();
}

static void a_configuration_that_is_wrong_loads_nothing(void **state) {
    (void)state;
    assert_int_equal(begin("{\"worker\":1}", APP("")), MG_ECONFIG);
    assert_null(g);
    assert_int_equal(begin("{\"trusted_proxies\":[\"nobody\"]}", APP("")), MG_ECONFIG);
    assert_null(g);
    settle();
    assert_int_equal(readies, 0);
}

static void a_snapshot_says_how_it_was_configured(void **state) {
    mg_snapshot *s = snapshot_of("{\"workers\":3,\"http\":{\"ca\":\"lua/app.lua\"}}", "text");
    const char *listen[] = {"127.0.0.1:1"};
    const mg_config_overrides o = {.listen = listen, .listen_count = 1};
    mg_config c;
    mg_error err;
    (void)state;
    assert_int_equal(mg_config_of_snapshot(&c, s, SNAPSHOT_CONF, &o, &err), MG_OK);
    assert_int_equal(c.workers, 3);
    assert_string_equal(c.root, "/srv");
    assert_int_equal(c.listen.n, 1);
    assert_text("text", c.http.ca.text); // what the snapshot holds, whatever the disk does
    mg_config_deinit(&c);
    mg_snapshot_unref(s);
}

static void faults_of_a_snapshots_configuration_are_told_together(void **state) {
    mg_snapshot *s = snapshot_of("{\"worker\":1,\"app\":2}", "");
    mg_config c;
    mg_error err;
    (void)state;
    assert_int_equal(mg_config_of_snapshot(&c, s, SNAPSHOT_CONF, &no_overrides, &err), MG_ECONFIG);
    assert_non_null(strstr(err.text, SNAPSHOT_CONF ": worker: "));
    assert_non_null(strstr(err.text, "\n" SNAPSHOT_CONF ": app: "));
    assert_int_not_equal(err.text[strlen(err.text) - 1], '\n');
    mg_config_deinit(&c);
    mg_snapshot_unref(s);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_drawn_may_happen),
        TEST(it_is_loaded_serves_retires_and_is_gone),
        TEST(it_is_ready_when_on_start_has_ended),
        TEST(a_fault_of_the_scripts_is_told),
        TEST(a_fault_of_on_start_is_told),
        TEST(nothing_comes_of_one_that_is_freed_while_it_loads),
        TEST(a_load_that_does_not_end_is_given_up),
        TEST(nothing_comes_of_one_that_is_freed_while_it_starts),
        TEST(one_that_serves_may_be_freed_at_once),
        TEST(a_configuration_that_is_wrong_loads_nothing),
        TEST(a_snapshot_says_how_it_was_configured),
        TEST(faults_of_a_snapshots_configuration_are_told_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
