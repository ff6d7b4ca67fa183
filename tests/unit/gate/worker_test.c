#include "gate/worker.h"

#include "gate/worker_inside.h"

#include "server/peer.h"
#include "snapshots.h"

enum { SLOT = 2, DRAIN_MS = 5000 };

#define CONFIG                                                                                     \
    "\"cache\":false,\"log\":{\"file\":\"%s\",\"access\":false},"                                  \
    "\"timeouts\":{\"drain\":5,\"stall_warn\":0,\"stall_abort\":0,\"stall_kill\":0}"

static mg_loop *loop;
static mg_shm *shm;
static mg_channel *master;
static mg_worker *w;
static mg_worker_options options;
static const mg_config_overrides no_overrides;
static char folder[40];
static char log_file[64];
static char config[300];
static mg_buf said; // by the worker
static int ends;

static void on_message(void *arg, mg_message *m) {
    assert_ptr_equal(arg, &said);
    mg_buf_printf(&said, "%s %u%s%.*s\n", m->type == MG_MESSAGE_READY ? "ready" : "failed", m->a,
                  m->text.n > 0 ? ": " : "", (int)m->text.n, m->text.p);
}

static void on_channel_end(void *arg) {
    (void)arg;
}

static const mg_channel_events events = {on_message, on_channel_end};

static void on_end(void *arg) {
    assert_ptr_equal(arg, &ends);
    ends++;
}

static int set_up(void **state) {
    int fds[2];
    mg_error err;
    (void)state;
    ends = 0;
    strcpy(folder, "/tmp/moongate_test.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(log_file, sizeof log_file, "%s/error.log", folder);
    snprintf(config, sizeof config, "{" CONFIG "}", log_file);
    options = (mg_worker_options){.conf = SNAPSHOT_CONF, .overrides = &no_overrides, .alone = true};
    assert_int_equal(mg_loop_new(&loop, &(mg_loop_options){.virtual_clock = true}), MG_OK);
    assert_int_equal(mg_shm_new(&shm, 0, &err), MG_OK);
    assert_int_equal(mg_channel_pair(fds), MG_OK);
    assert_int_equal(mg_channel_open(&master, loop, fds[0], &events, &said), MG_OK);
    assert_int_equal(mg_worker_open(&w, loop, fds[1], &options, on_end, &ends), MG_OK);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_worker_free(w);
    mg_channel_close(master);
    mg_shm_free(shm);
    mg_buf_deinit(&said);
    unlink(log_file);
    rmdir(folder);
    return mg_loop_free(loop);
}

// All that happens without time and threads.
static void settle(void) {
    for (int i = 0; i < 50; i++) {
        mg_loop_turn(loop, false, true, mg_loop_now_ms(loop));
    }
}

static void pass(uint64_t ms) {
    mg_loop_set_now(loop, mg_loop_now_ms(loop) + ms);
    settle();
}

static void tell(mg_message_type type, uint32_t a) {
    mg_channel_tell(master, type, a, 0);
    settle();
}

static void begin(void) {
    mg_channel_send(master, &(mg_message){MG_MESSAGE_BEGIN, SLOT, 0, mg_shm_fd(shm), {0}});
    settle();
}

// Waits for the thread that loads; returns what the worker said.
static const char *prepare_as(uint32_t number, const char *json, const char *app,
                              const char *fault) {
    mg_snapshot *s = snapshot_of(json, app);
    mg_buf_clear(&said);
    mg_channel_send(
        master, &(mg_message){MG_MESSAGE_PREPARE, number, 0, mg_snapshot_fd(s), mg_str_of(fault)});
    while (said.n == 0) {
        mg_loop_turn(loop, true, true, mg_loop_now_ms(loop));
    }
    settle();
    mg_snapshot_unref(s);
    mg_buf_append_char(&said, '\0');
    return said.p;
}

static const char *prepare(uint32_t number, const char *app) {
    return prepare_as(number, config, app, "");
}

static void serve(const char *app) {
    begin();
    assert_string_equal(prepare(1, app), "ready 1\n");
    tell(MG_MESSAGE_COMMIT, 1);
    assert_int_equal(w->state, MG_WORKER_SERVING);
}

// What the app answers.
static void assert_body(const char *want) {
    rig r = {.loop = loop, .server = w->server};
    peer p;
    peer_open(&r, &p, 1 << 16);
    peer_write(&p, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 46);
    settle();
    size_t n = strlen(want);
    assert_true(p.got.n > n);
    assert_memory_equal(p.got.p + p.got.n - n, want, n);
    mg_stream_close(&p.s, false);
    settle();
    mg_buf_deinit(&p.got);
}

static const char *logged(void) {
    static char text[4000];
    assert_int_equal(mg_log_flush(w->logs.error, 60000), MG_OK);
    FILE *f = fopen(log_file, "re");
    size_t n = f != NULL ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = '\0';
    if (f != NULL) {
        fclose(f);
    }
    return text;
}

// --- life ---

static void only_what_is_drawn_may_happen(void **state) {
    static const char *const allowed[] = {
        // to: NEW, BEGUN, SERVING, DRAINING, LEAVING, ENDED
        [MG_WORKER_NEW] = "010001",     [MG_WORKER_BEGUN] = "001001",
        [MG_WORKER_SERVING] = "000100", [MG_WORKER_DRAINING] = "000010",
        [MG_WORKER_LEAVING] = "000001", [MG_WORKER_ENDED] = "000000",
    };
    (void)state;
    for (mg_worker_state from = MG_WORKER_NEW; from <= MG_WORKER_ENDED; from++) {
        for (mg_worker_state to = MG_WORKER_NEW; to <= MG_WORKER_ENDED; to++) {
            assert_int_equal(mg_worker_may_become(from, to), allowed[from][to] == '1');
        }
    }
}

static void nothing_is_done_before_it_knows_its_place(void **state) {
    (void)state;
    tell(MG_MESSAGE_COMMIT, 1);
    tell(MG_MESSAGE_STOP, 0);
    assert_int_equal(w->state, MG_WORKER_NEW);
    begin();
    assert_int_equal(w->state, MG_WORKER_BEGUN);
    assert_int_equal(mg_shm_cell(shm, SLOT)->pid, getpid());
}

static void a_second_place_ends_it(void **state) {
    (void)state;
    begin();
    begin();
    assert_int_equal(w->state, MG_WORKER_ENDED);
    assert_int_equal(ends, 1);
}

static void it_loads_is_ready_and_serves(void **state) {
    (void)state;
    serve(APP(""));
    assert_int_equal(mg_shm_cell(shm, SLOT)->generation, 1);
    assert_int_equal(mg_shm_cell(shm, SLOT)->generations[0].number, 1);
    assert_body("hello");
    assert_int_equal(mg_shm_cell(shm, SLOT)->traffic.requests, 1);
}

static void what_others_have_not_prepared_is_not_committed(void **state) {
    (void)state;
    begin();
    prepare(1, APP(""));
    tell(MG_MESSAGE_COMMIT, 2);
    assert_int_equal(w->state, MG_WORKER_BEGUN);
    tell(MG_MESSAGE_ABANDON, 1);
    tell(MG_MESSAGE_COMMIT, 1);
    assert_int_equal(w->state, MG_WORKER_BEGUN);
}

// --- reloads ---

static void the_next_generation_serves_and_the_old_one_goes(void **state) {
    (void)state;
    serve(APP(""));
    assert_string_equal(prepare(2, "local a = require('moongate').app()\n"
                                   "a:get('/', function() return 'world' end)\nreturn a\n"),
                        "ready 2\n");
    assert_body("hello");
    tell(MG_MESSAGE_COMMIT, 2);
    assert_body("world");
    pass(1);
    assert_true(mg_link_alone(&w->retired));
    assert_int_equal(mg_shm_cell(shm, SLOT)->generations[0].number, 2);
    assert_int_equal(mg_shm_cell(shm, SLOT)->generations[1].number, 0);
    assert_non_null(strstr(logged(), "worker 3: generation 1 is over"));
}

static void scripts_that_fail_change_nothing(void **state) {
    (void)state;
    serve(APP(""));
    const char *text = prepare(2, "error('no luck')");
    assert_non_null(strstr(text, "failed 2: "));
    assert_non_null(strstr(text, "lua/app.lua:1: no luck"));
    assert_null(w->next);
    tell(MG_MESSAGE_COMMIT, 2);
    assert_body("hello");
}

static void a_generation_that_is_not_wanted_is_forgotten(void **state) {
    (void)state;
    serve(APP(""));
    prepare(2, APP(""));
    assert_string_equal(prepare(3, APP("")), "ready 3\n"); // instead of 2
    tell(MG_MESSAGE_COMMIT, 2);
    assert_int_equal(w->current->number, 1);
    tell(MG_MESSAGE_COMMIT, 3);
    assert_int_equal(w->current->number, 3);
}

static void logs_follow_the_configuration(void **state) {
    char other[64];
    char json[300];
    (void)state;
    serve(APP(""));
    snprintf(other, sizeof other, "%s/other.log", folder);
    snprintf(json, sizeof json, "{" CONFIG "}", other);
    prepare_as(2, json, APP(""), "");
    assert_non_null(w->next_logs.error);
    tell(MG_MESSAGE_COMMIT, 2);
    assert_null(w->next_logs.error);
    assert_int_equal(access(other, F_OK), 0);
    unlink(other);
}

static void in_development_the_fault_is_what_is_served(void **state) {
    (void)state;
    options.dev = true;
    begin();
    assert_string_equal(prepare_as(1, config, APP(""), "app.lua:1: no luck"), "ready 1\n");
    tell(MG_MESSAGE_COMMIT, 1);
    assert_int_equal(w->state, MG_WORKER_SERVING);
    assert_non_null(strstr(logged(), "app.lua:1: no luck"));
    assert_string_equal(prepare(2, APP("app:on_start(function() error('none') end)")), "ready 2\n");
}

// --- the end ---

static void one_that_does_not_serve_ends_at_once(void **state) {
    (void)state;
    begin();
    tell(MG_MESSAGE_STOP, 0);
    assert_int_equal(ends, 1);
    assert_int_equal(w->state, MG_WORKER_ENDED);
}

static void it_drains_runs_on_stop_and_ends(void **state) {
    rig r = {.loop = NULL};
    peer p;
    (void)state;
    serve(APP("app:on_stop(function() moongate.sleep(2):await() end)\n"
              "app:get('/slow', function() moongate.sleep(1):await() return 'slow' end)"));
    r.loop = loop;
    r.server = w->server;
    peer_open(&r, &p, 1 << 16);
    peer_write(&p, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n", 31);
    settle();
    tell(MG_MESSAGE_STOP, 0);
    assert_int_equal(w->state, MG_WORKER_DRAINING);
    pass(1000);
    assert_non_null(memmem(p.got.p, p.got.n, "slow", 4));
    mg_stream_close(&p.s, false);
    settle();
    assert_int_equal(w->state, MG_WORKER_LEAVING);
    assert_int_equal(ends, 0);
    pass(2000);
    assert_int_equal(w->state, MG_WORKER_ENDED);
    assert_int_equal(ends, 1);
    tell(MG_MESSAGE_STOP, 0);
    assert_int_equal(ends, 1);
    mg_buf_deinit(&p.got);
}

static void requests_that_do_not_end_are_cut_off(void **state) {
    rig r = {.loop = NULL};
    peer p;
    (void)state;
    serve(APP("app:get('/slow', function() moongate.sleep(20):await() return 'slow' end)"));
    r.loop = loop;
    r.server = w->server;
    peer_open(&r, &p, 1 << 16);
    peer_write(&p, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n", 31);
    settle();
    tell(MG_MESSAGE_STOP, 0);
    pass(DRAIN_MS - 1);
    assert_int_equal(w->state, MG_WORKER_DRAINING);
    pass(1);
    pass(0);
    assert_int_equal(w->state, MG_WORKER_ENDED);
    assert_non_null(strstr(logged(), "drain: 1 connections are closed after 5.0 s"));
    mg_stream_close(&p.s, false);
    settle();
    mg_buf_deinit(&p.got);
}

static void an_on_stop_without_end_is_not_waited_for(void **state) {
    (void)state;
    serve(APP("app:on_stop(function() moongate.sleep(60):await() end)"));
    tell(MG_MESSAGE_STOP, 0);
    assert_int_equal(w->state, MG_WORKER_LEAVING);
    pass(DRAIN_MS);
    assert_int_equal(w->state, MG_WORKER_ENDED);
    assert_non_null(strstr(logged(), "on_stop did not come to its end"));
    pass(60000); // it comes after all
    assert_int_equal(ends, 1);
}

static void one_that_stops_loads_nothing_more(void **state) {
    (void)state;
    serve(APP("app:on_stop(function() moongate.sleep(2):await() end)"));
    tell(MG_MESSAGE_STOP, 0);
    assert_string_equal(prepare(2, APP("")), "failed 2: the worker is stopping\n");
}

// tear_down frees it and finds what nobody closed.
static void one_that_ends_while_scripts_load_waits_for_their_thread(void **state) {
    (void)state;
    snprintf(config, sizeof config, "{" CONFIG ",\"database\":\"sqlite::memory:\"}", log_file);
    serve(APP("app:on_start(function() moongate.database():query('SELECT 1'):await() end)"));
    mg_snapshot *s =
        snapshot_of(config, "local begun = os.clock() while os.clock() - begun < 0.02 do end\n"
                            "return require('moongate').app()\n");
    mg_channel_send(master, &(mg_message){MG_MESSAGE_PREPARE, 2, 0, mg_snapshot_fd(s), {0}});
    mg_snapshot_unref(s);
    while (w->next == NULL) {
        mg_loop_turn(loop, false, false, 0);
    }
    assert_int_equal(w->next->state, MG_GENERATION_LOADING);
}

static void one_whose_master_has_gone_drains(void **state) {
    (void)state;
    serve(APP(""));
    mg_channel_close(master);
    master = NULL;
    settle();
    assert_int_equal(w->state, MG_WORKER_ENDED);
    assert_int_equal(ends, 1);
    assert_non_null(strstr(logged(), "worker 3: the master is gone: draining"));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_drawn_may_happen),
        TEST(nothing_is_done_before_it_knows_its_place),
        TEST(a_second_place_ends_it),
        TEST(it_loads_is_ready_and_serves),
        TEST(what_others_have_not_prepared_is_not_committed),
        TEST(the_next_generation_serves_and_the_old_one_goes),
        TEST(scripts_that_fail_change_nothing),
        TEST(a_generation_that_is_not_wanted_is_forgotten),
        TEST(logs_follow_the_configuration),
        TEST(in_development_the_fault_is_what_is_served),
        TEST(one_that_does_not_serve_ends_at_once),
        TEST(it_drains_runs_on_stop_and_ends),
        TEST(requests_that_do_not_end_are_cut_off),
        TEST(an_on_stop_without_end_is_not_waited_for),
        TEST(one_that_stops_loads_nothing_more),
        TEST(one_that_ends_while_scripts_load_waits_for_their_thread),
        TEST(one_whose_master_has_gone_drains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
