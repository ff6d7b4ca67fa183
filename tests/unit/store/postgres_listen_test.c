#include "postgres_rig.h"
#include "store/database_listen.h"

#include <errno.h>

// What a listener was told: "listens; note a; missed; " ...
typedef struct ear {
    mg_buf heard;
    int calls;
    mg_db_listener *listener;
} ear;

static void on_note(void *arg, const mg_db_note *note) {
    static const char *const names[] = {
        [MG_DB_LISTENS] = "listens",
        [MG_DB_NOTE] = "note ",
        [MG_DB_MISSED] = "missed",
        [MG_DB_DEAF] = "deaf",
    };
    ear *e = arg;
    assert_false(inside_start);
    e->calls++;
    mg_buf_printf(&e->heard, "%s", names[note->news]);
    if (note->news == MG_DB_NOTE) {
        assert_true(note->pid > 0);
        mg_buf_append_str(&e->heard, note->text);
    }
    mg_buf_printf(&e->heard, "; ");
}

static void listen_to(ear *e, const char *channel) {
    *e = (ear){0};
    inside_start = true;
    assert_int_equal(mg_database_listen(&e->listener, db, mg_str_of(channel), on_note, e), MG_OK);
    inside_start = false;
}

static void await_calls(const ear *e, int n) {
    mg_timer guard = {0};
    mg_timer_start(loop, &guard, 20000, 0, on_guard);
    while (e->calls < n) {
        mg_loop_turn(loop, true, true, UINT64_MAX);
    }
    mg_timer_stop(&guard);
}

static void stop(ear *e, const char *want) {
    mg_database_unlisten(e->listener);
    assert_text(want, mg_buf_str(&e->heard));
    mg_buf_deinit(&e->heard);
}

static void everybody_hears_what_is_told_on_a_channel(void **state) {
    (void)state;
    ear a;
    ear b;
    ear other;
    listen_to(&a, "News \"1\"");
    listen_to(&b, "News \"1\"");
    listen_to(&other, "other");
    await_calls(&a, 1);
    await_calls(&b, 1);
    await_calls(&other, 1);
    do_sql("NOTIFY \"News \"\"1\"\"\", 'one'");
    expect(NULL, "SELECT pg_notify('News \"1\"', '')", "('')");
    await_calls(&a, 3);
    await_calls(&b, 3);
    stop(&a, "listens; note one; note ; ");
    stop(&b, "listens; note one; note ; ");
    stop(&other, "listens; ");
}

static void who_comes_later_is_told_too_and_who_leaves_is_not(void **state) {
    (void)state;
    ear a;
    ear b;
    listen_to(&a, "c");
    await_calls(&a, 1);
    listen_to(&b, "c");
    await_calls(&b, 1);
    stop(&a, "listens; ");
    do_sql("NOTIFY c, 'x'");
    await_calls(&b, 2);
    stop(&b, "listens; note x; ");
    // The channel is left at the server as well.
    listen_to(&a, "d");
    await_calls(&a, 1);
    do_sql("NOTIFY c, 'y'");
    do_sql("NOTIFY d, 'z'");
    await_calls(&a, 2);
    stop(&a, "listens; note z; ");
}

static void all_share_a_connection_that_is_none_of_the_pools(void **state) {
    (void)state;
    reopen("?pool=1&idle=1");
    ear ears[8];
    for (int i = 0; i < 8; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        listen_to(&ears[i], name);
    }
    mg_db_session *s = begin(true); // which takes the pool's only one
    for (int i = 0; i < 8; i++) {
        await_calls(&ears[i], 1);
    }
    assert_int_equal(connections(), 2);
    end(s, false);
    for (int i = 0; i < 8; i++) {
        stop(&ears[i], "listens; ");
    }
    while (connections() > 0) { // idle ones go
        mg_loop_turn(loop, true, true, UINT64_MAX);
    }
}

static void a_lost_connection_is_opened_again_and_told(void **state) {
    (void)state;
    ear a;
    listen_to(&a, "c");
    await_calls(&a, 1);
    server_does("stop", "immediate");
    for (int i = 0; i < 20; i++) {
        mg_loop_turn(loop, false, false, 0);
    }
    start_server();
    await_calls(&a, 2);
    do_sql("NOTIFY c, 'x'");
    await_calls(&a, 3);
    stop(&a, "listens; missed; note x; ");
}

static void a_server_that_says_no_is_told(void **state) {
    (void)state;
    char url[128];
    mg_error err;
    mg_database_free(db);
    snprintf(url, sizeof url, "postgres://moongate@127.0.0.1:%d/missing", server_port);
    assert_int_equal(mg_postgres_open(&db, loop, &(mg_postgres_options){.url = url}, &err), MG_OK);
    ear a;
    listen_to(&a, "c");
    await_calls(&a, 1);
    stop(&a, "deaf; ");
}

static void it_ends_with_its_database(void **state) {
    (void)state;
    ear a;
    listen_to(&a, "c");
    reopen("");
    listen_to(&a, "c");
    await_calls(&a, 1);
    reopen("");
    mg_buf_deinit(&a.heard);
}

static void sqlite_has_no_channels(void **state) {
    (void)state;
    mg_error err;
    mg_database *sqlite = NULL;
    mg_db_listener *l = NULL;
    const mg_sqlite_options options = {.path = ":memory:"};
    assert_true(mg_database_has_channels(db));
    assert_int_equal(mg_sqlite_open(&sqlite, loop, &options, &err), MG_OK);
    assert_false(mg_database_has_channels(sqlite));
    assert_int_equal(mg_database_listen(&l, sqlite, MG_STR("c"), on_note, NULL), -ENOTSUP);
    mg_database_free(sqlite);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(everybody_hears_what_is_told_on_a_channel),
        TEST(who_comes_later_is_told_too_and_who_leaves_is_not),
        TEST(all_share_a_connection_that_is_none_of_the_pools),
        TEST(a_lost_connection_is_opened_again_and_told),
        TEST(a_server_that_says_no_is_told),
        TEST(it_ends_with_its_database),
        TEST(sqlite_has_no_channels),
    };
    return cmocka_run_group_tests_name("store/postgres_listen", tests, set_up_server,
                                       tear_down_server);
}
