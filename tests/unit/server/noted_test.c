#include "server/noted.h"

#include "peer.h"

enum { WINDOW = 4096 };

static rig r;
static peer p;
static int ends, status;
static uint64_t bytes;
static bool broken_off;
static mg_buf fields; // of the line in the access log

static void on_end(mg_exchange *x, bool aborted) {
    ends++;
    status = x->status;
    bytes = x->body_bytes_out;
    broken_off = aborted;
    assert_ptr_equal(x->noted->arg, &ends);
}

static void on_access(void *arg, const mg_access_record *a) {
    (void)arg;
    for (size_t i = 0; a->noted != NULL && i < a->noted->count; i++) {
        mg_str name = a->noted->at[i].name;
        mg_str value = a->noted->at[i].value;
        mg_buf_printf(&fields, "%.*s=%.*s;", (int)name.n, name.p, (int)value.n, value.p);
    }
}

static int set_up(void **state) {
    (void)state;
    ends = status = 0;
    bytes = 0;
    mg_buf_clear(&fields);
    rig_open(&r);
    r.echo = false;
    r.server->on_access = on_access;
    peer_open(&r, &p, WINDOW);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    peer_close(&r, &p, false);
    rig_close(&r);
    mg_buf_deinit(&fields);
    return 0;
}

static mg_exchange *ask(void) {
    peer_send(&r, &p, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    mg_exchange *x = rig_take(&r);
    assert_non_null(x);
    return x;
}

static void listen_to(mg_exchange *x) {
    mg_exchange_noted(x)->on_end = on_end;
    mg_exchange_noted(x)->arg = &ends;
}

static void a_whole_answer_ends_once(void **state) {
    (void)state;
    mg_exchange *x = ask();
    listen_to(x);
    assert_int_equal(ends, 0);
    mg_exchange_respond(x, &rig_ok, MG_STR("abc"));
    rig_settle(&r);
    assert_int_equal(ends, 1);
    assert_int_equal(status, 200);
    assert_int_equal(bytes, 3);
    assert_false(broken_off);
}

static void a_client_that_leaves_breaks_it_off(void **state) {
    (void)state;
    mg_exchange *x = ask();
    listen_to(x);
    mg_exchange_begin(x, &rig_ok, 7);
    mg_exchange_write(x, MG_STR("abc"));
    mg_stream_close(&p.s, true);
    rig_settle(&r);
    assert_int_equal(ends, 1);
    assert_int_equal(bytes, 3);
    assert_true(broken_off);
}

static void the_next_request_has_no_notes(void **state) {
    (void)state;
    mg_exchange *x = ask();
    listen_to(x);
    mg_exchange_respond(x, &rig_ok, MG_STR("abc"));
    rig_settle(&r);
    x = ask();
    assert_null(x->noted);
    mg_exchange_respond(x, &rig_ok, MG_STR("abc"));
    rig_settle(&r);
    assert_int_equal(ends, 1);
    assert_int_equal(fields.n, 0);
}

static void fields_join_the_access_log(void **state) {
    (void)state;
    mg_exchange *x = ask();
    char name[] = "user";
    assert_int_equal(mg_exchange_note_field(x, mg_str_of(name), MG_STR("7")), MG_OK);
    name[0] = 'x'; // it was copied
    assert_int_equal(mg_exchange_note_field(x, MG_STR("plan"), MG_STR("\"a\"")), MG_OK);
    assert_int_equal(mg_exchange_note_field(x, MG_STR("user"), MG_STR("8")), MG_OK);
    assert_int_equal(mg_exchange_note_field(x, MG_STR("a b"), MG_STR("1")), MG_ESYNTAX);
    assert_int_equal(mg_exchange_note_field(x, MG_STR("a"), MG_STR("\n")), MG_ESYNTAX);
    mg_exchange_respond(x, &rig_ok, MG_STR(""));
    rig_settle(&r);
    mg_buf_append_char(&fields, '\0');
    assert_string_equal(fields.p, "user=8;plan=\"a\";");
}

static void fields_have_a_limit(void **state) {
    (void)state;
    mg_exchange *x = ask();
    char value[9000];
    memset(value, '1', sizeof value);
    mg_str large = {value, sizeof value};
    assert_int_equal(mg_exchange_note_field(x, MG_STR("a"), large), MG_ELIMIT);
    mg_exchange_respond(x, &rig_ok, MG_STR(""));
    rig_settle(&r);
    assert_int_equal(fields.n, 0);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_whole_answer_ends_once),      TEST(a_client_that_leaves_breaks_it_off),
        TEST(the_next_request_has_no_notes), TEST(fields_join_the_access_log),
        TEST(fields_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
