#include "gate/reload_inside.h"

#include "base/mem.h"
#include "snapshots.h"

enum { WORKERS = 2, OLD = 4, NEW = 5 };

static mg_loop *loop;
static mg_master m;
static mg_cli cli;
static mg_place places[WORKERS]; // their workers only listen
static mg_channel *workers[WORKERS];
static mg_buf heard[WORKERS];
static mg_buf reply;
static int replies;
static bool good;

static void on_message(void *arg, mg_message *msg) {
    static const char *const names[] = {[MG_MESSAGE_PREPARE] = "prepare",
                                        [MG_MESSAGE_COMMIT] = "commit",
                                        [MG_MESSAGE_ABANDON] = "abandon",
                                        [MG_MESSAGE_ACCEPT] = "accept"};
    assert_int_equal(msg->fd >= 0, msg->type == MG_MESSAGE_PREPARE);
    mg_buf_printf(arg, "%s %u%s%.*s ", names[msg->type], msg->a, msg->text.n > 0 ? ":" : "",
                  (int)msg->text.n, msg->text.p);
}

static void on_end(void *arg) {
    (void)arg;
}

static const mg_channel_events events = {on_message, on_end};

static void on_reply(void *arg, bool ok, mg_str text) {
    assert_ptr_equal(arg, &replies);
    replies++;
    good = ok;
    mg_buf_append_str(&reply, text);
}

static mg_snapshot *snapshot(const char *app) {
    return snapshot_of("{\"workers\":2,\"timeouts\":{\"reload\":3}}", app);
}

static void read_config(mg_config *out, const mg_snapshot *s) {
    mg_error err;
    assert_int_equal(mg_config_of_snapshot(out, s, SNAPSHOT_CONF, &cli.overrides, &err), MG_OK);
}

static void open_place(uint32_t slot) {
    int fds[2];
    places[slot] = (mg_place){.master = &m, .slot = slot, .ready = OLD};
    mg_place_life_start(&places[slot].life);
    mg_place_life_serve(&places[slot].life, 0);
    assert_int_equal(mg_channel_pair(fds), MG_OK);
    assert_int_equal(mg_channel_open(&places[slot].channel, loop, fds[0], &events, NULL), MG_OK);
    assert_int_equal(mg_channel_open(&workers[slot], loop, fds[1], &events, &heard[slot]), MG_OK);
    m.places[slot] = &places[slot];
}

// A master of two workers that serve generation 4.
static int set_up(void **state) {
    mg_error err;
    (void)state;
    replies = 0;
    cli = (mg_cli){.conf = SNAPSHOT_CONF};
    assert_int_equal(mg_loop_new(&loop, &(mg_loop_options){.virtual_clock = true}), MG_OK);
    m = (mg_master){
        .cli = &cli, .loop = loop, .generation = OLD, .last_number = NEW, .wanted = WORKERS};
    m.has_config = true;
    mg_lending_init(&m.lending);
    assert_int_equal(mg_log_open(&m.logs.error, &(mg_log_options){.target = "/dev/null"}, &err),
                     MG_OK);
    m.snapshot = snapshot("return 1\n");
    read_config(&m.config, m.snapshot);
    for (uint32_t slot = 0; slot < WORKERS; slot++) {
        open_place(slot);
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_reload_end(&m);
    for (uint32_t slot = 0; slot < WORKERS; slot++) {
        mg_channel_close(places[slot].channel);
        mg_channel_close(workers[slot]);
        mg_buf_deinit(&heard[slot]);
    }
    mg_buf_deinit(&reply);
    mg_snapshot_unref(m.snapshot);
    mg_config_deinit(&m.config);
    mg_logs_close(&m.logs);
    return mg_loop_free(loop);
}

// A reload whose children have said that all is well.
static mg_reload *begin(bool dry_run) {
    mg_reload *r = mg_calloc(1, sizeof *r);
    r->master = &m;
    r->request = (mg_reload_request){.dry_run = dry_run, .reply = on_reply, .arg = &replies};
    r->phase = MG_RELOAD_PREPARE;
    r->number = NEW;
    r->memfd = -1;
    r->keys_fd = -1;
    r->streams_fd = -1;
    r->snapshot = snapshot("return 2\n");
    read_config(&r->config, r->snapshot);
    r->wanted = WORKERS;
    m.reload = r;
    mg_reload_prepare(r);
    return r;
}

static void ready(uint32_t slot) {
    places[slot].ready = NEW;
    mg_reload_on_ready(&m, &places[slot], NEW);
}

// What worker `slot` + 1 has been told since.
static const char *told(uint32_t slot) {
    static char text[200];
    for (int i = 0; i < 5; i++) {
        mg_loop_turn(loop, false, false, 0);
    }
    snprintf(text, sizeof text, "%.*s", (int)heard[slot].n, heard[slot].p);
    mg_buf_clear(&heard[slot]);
    return text;
}

static void assert_refused(const char *why) {
    assert_int_equal(replies, 1);
    assert_false(good);
    assert_text(why, mg_buf_str(&reply));
    assert_null(m.reload);
    assert_int_equal(m.generation, OLD);
}

static void assert_committed(void) {
    assert_int_equal(replies, 1);
    assert_true(good);
    assert_null(m.reload);
    assert_int_equal(m.generation, NEW);
}

static void all_are_asked_and_serve_when_all_are_ready(void **state) {
    (void)state;
    begin(false);
    assert_string_equal(told(0), "prepare 5 ");
    assert_string_equal(told(1), "prepare 5 ");
    ready(0);
    assert_int_equal(replies, 0);
    assert_string_equal(told(0), "");
    ready(1);
    assert_committed();
    assert_string_equal(told(0), "commit 5 ");
    assert_string_equal(told(1), "commit 5 ");
    assert_true(mg_str_starts(mg_buf_str(&reply), MG_STR("generation 5 in ")));
    assert_non_null(memmem(reply.p, reply.n, "\n  ~ lua/app.lua\n", 17));
}

static void one_that_fails_ends_it_for_all(void **state) {
    (void)state;
    begin(false);
    ready(0);
    mg_reload_on_failed(&m, &places[1], NEW, MG_STR("app.lua:1: no luck\n"));
    assert_refused("app.lua:1: no luck");
    assert_string_equal(told(0), "prepare 5 abandon 5 ");
    assert_string_equal(told(1), "prepare 5 abandon 5 ");
}

static void what_is_said_of_another_generation_is_passed_over(void **state) {
    (void)state;
    begin(false);
    mg_reload_on_failed(&m, &places[1], OLD, MG_STR("late"));
    mg_reload_on_ready(&m, &places[1], OLD);
    assert_int_equal(replies, 0);
}

static void a_dry_run_swaps_nothing(void **state) {
    (void)state;
    begin(true);
    ready(0);
    ready(1);
    assert_int_equal(replies, 1);
    assert_true(good);
    assert_true(mg_str_starts(mg_buf_str(&reply), MG_STR("good: all workers could load it")));
    assert_int_equal(m.generation, OLD);
    assert_string_equal(told(0), "prepare 5 abandon 5 ");
}

static void one_that_is_stuck_is_asked_when_it_has_recovered(void **state) {
    (void)state;
    places[1].life.stuck = true;
    begin(false);
    assert_string_equal(told(1), "");
    ready(0);
    assert_int_equal(replies, 0);
    places[1].life.stuck = false;
    mg_reload_on_serving(&m, &places[1]);
    assert_string_equal(told(1), "prepare 5 ");
    mg_reload_on_serving(&m, &places[1]); // once
    assert_string_equal(told(1), "");
    ready(1);
    assert_committed();
}

static void one_that_dies_while_it_loads_ends_it(void **state) {
    (void)state;
    begin(false);
    ready(0);
    mg_place_life_die(&places[1].life, true, 0);
    mg_reload_on_death(&m, &places[1], "ended by signal 11");
    assert_refused("worker 2 ended by signal 11 while it loaded the scripts");
}

static void one_that_was_stuck_and_killed_is_waited_for(void **state) {
    (void)state;
    begin(false);
    ready(0);
    places[1].life.killed = true;
    mg_place_life_die(&places[1].life, true, 5000); // it had lived: it is replaced at once
    mg_reload_on_death(&m, &places[1], "was stuck");
    assert_int_equal(replies, 0);
    mg_place_life_start(&places[1].life);
    mg_place_life_serve(&places[1].life, 5100);
    mg_reload_on_serving(&m, &places[1]);
    ready(1);
    assert_committed();
}

static void a_crash_loop_is_not_waited_for(void **state) {
    (void)state;
    mg_place_life_die(&places[1].life, true, 1); // young
    begin(false);
    assert_string_equal(told(1), "");
    ready(0);
    assert_committed();
}

static void whoever_is_late_ends_it(void **state) {
    (void)state;
    begin(false);
    ready(1);
    mg_loop_set_now(loop, 3499);
    told(0);
    assert_int_equal(replies, 0);
    mg_loop_set_now(loop, 3500);
    assert_string_equal(told(0), "abandon 5 ");
    assert_refused("worker 1 was not ready after 3.0 s (timeouts.reload): does on_start end?");
}

static void in_development_a_fault_goes_along(void **state) {
    mg_reload *r;
    (void)state;
    places[0].life.stuck = places[1].life.stuck = true;
    r = begin(false);
    mg_buf_append_str(&r->fault, MG_STR("app.lua:1: no"));
    places[0].life.stuck = false;
    mg_reload_on_serving(&m, &places[0]);
    assert_string_equal(told(0), "prepare 5:app.lua:1: no ");
}

static void the_end_of_the_server_ends_it(void **state) {
    (void)state;
    begin(false);
    assert_true(
        mg_reload_queue_add(&m.waiting, &(mg_reload_request){.reply = on_reply, .arg = &replies}));
    mg_reload_end(&m);
    assert_int_equal(replies, 2);
    assert_false(good);
    assert_text("the server is stoppingthe server is stopping", mg_buf_str(&reply));
    assert_null(m.reload);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(all_are_asked_and_serve_when_all_are_ready),
        TEST(one_that_fails_ends_it_for_all),
        TEST(what_is_said_of_another_generation_is_passed_over),
        TEST(a_dry_run_swaps_nothing),
        TEST(one_that_is_stuck_is_asked_when_it_has_recovered),
        TEST(one_that_dies_while_it_loads_ends_it),
        TEST(one_that_was_stuck_and_killed_is_waited_for),
        TEST(a_crash_loop_is_not_waited_for),
        TEST(whoever_is_late_ends_it),
        TEST(in_development_a_fault_goes_along),
        TEST(the_end_of_the_server_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
