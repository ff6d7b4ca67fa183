#include "h2_peer.h"

#include "server/filter.h"

enum { WINDOW = 256 * 1024 };

static rig r;
static h2_peer p;

static int set_up(void **state) {
    (void)state;
    rig_open(&r);
    r.echo = false;
    h2_open(&r, &p, WINDOW);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    h2_close(&r, &p);
    rig_close(&r);
    return 0;
}

static mg_str field(const mg_fields *l, const char *name) {
    const mg_field *f = mg_fields_find_name(l, mg_str_of(name));
    return f != NULL ? f->value : (mg_str){NULL, 0};
}

static h2_call *post(const char *path) {
    return h2_request(&r, &p, &(h2_ask){.method = "POST", .path = path, .open = true});
}

// --- answers ---

static void an_answer_says_its_length(void **state) {
    (void)state;
    h2_call *a = h2_get(&r, &p, "/a");
    mg_answer answer = {.status = 201, .content_type = MG_STR("text/plain")};
    mg_exchange_respond(rig_take(&r), &answer, MG_STR("hello"));
    h2_settle(&r, &p);
    assert_answer(a, 201, "hello");
    assert_text("5", field(&a->fields, "content-length"));
    assert_text("text/plain", field(&a->fields, "content-type"));
    assert_int_equal(field(&a->fields, "date").n, 29);
}

static void content_that_must_not_come_does_not(void **state) {
    (void)state;
    h2_call *a = h2_request(&r, &p, &(h2_ask){.method = "HEAD", .path = "/a"});
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("hello"));
    h2_call *b = h2_get(&r, &p, "/b");
    mg_exchange_respond(rig_take(&r), &(mg_answer){.status = 304}, MG_STR(""));
    h2_settle(&r, &p);
    assert_answer(a, 200, "");
    assert_text("5", field(&a->fields, "content-length"));
    assert_answer(b, 304, "");
    assert_int_equal(field(&b->fields, "content-length").n, 0);
}

static void interim_answers_go_before_the_head(void **state) {
    (void)state;
    h2_call *a = h2_get(&r, &p, "/a");
    mg_exchange *x = rig_take(&r);
    mg_exchange_inform(x, 103, NULL);
    mg_exchange_respond(x, &rig_ok, MG_STR("1"));
    h2_settle(&r, &p);
    assert_int_equal(a->interim, 103);
    assert_answer(a, 200, "1");
}

static void trailers_end_a_stream(void **state) {
    (void)state;
    h2_call *a = h2_get(&r, &p, "/a");
    mg_exchange *x = rig_take(&r);
    mg_fields trailers;
    mg_fields_init(&trailers, &x->arena);
    mg_fields_add(&trailers, MG_STR("X-Sum"), MG_STR("7"));
    mg_exchange_begin(x, &rig_ok, -1);
    mg_exchange_write(x, MG_STR("ab"));
    mg_exchange_write(x, MG_STR("cd"));
    mg_exchange_end(x, &trailers);
    h2_settle(&r, &p);
    assert_answer(a, 200, "abcd");
    assert_text("7", field(&a->trailers, "x-sum"));
}

static void an_answer_broken_off_is_a_reset(void **state) {
    (void)state;
    h2_call *a = h2_get(&r, &p, "/a");
    h2_call *b = h2_get(&r, &p, "/b");
    mg_exchange *x = rig_take(&r);
    mg_exchange_begin(x, &rig_ok, 10);
    mg_exchange_write(x, MG_STR("ab"));
    mg_exchange_end(x, NULL); // less than was announced
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("b"));
    h2_settle(&r, &p);
    assert_true(a->reset);
    assert_int_equal(a->code, MG_H2_INTERNAL_ERROR);
    assert_answer(b, 200, "b");
    assert_log(&r, "GET /a 200 2 aborted\nGET /b 200 1\n");
}

// --- the request's body ---

static void a_body_comes_with_its_end(void **state) {
    (void)state;
    h2_call *a = post("/a");
    mg_exchange *x = rig_take(&r);
    mg_exchange_want_body(x, false);
    h2_send(&r, &p, a, MG_STR("ab"), false);
    h2_send(&r, &p, a, MG_STR("cd"), true);
    assert_int_equal(r.bodies, 2);
    assert_text("abcd", mg_exchange_content(x));
    assert_true(mg_exchange_body_complete(x));
    mg_exchange_respond(x, &rig_ok, MG_STR("1"));
    h2_settle(&r, &p);
    assert_answer(a, 200, "1");
}

static void trailers_come_with_the_end(void **state) {
    (void)state;
    h2_call *a = post("/a");
    mg_exchange *x = rig_take(&r);
    mg_fields trailers;
    mg_fields_init(&trailers, &a->arena);
    mg_fields_add(&trailers, MG_STR("x-sum"), MG_STR("7"));
    mg_exchange_want_body(x, false);
    mg_h2_send_end(&p.h2, &a->stream, &p.out, &trailers);
    h2_settle(&r, &p);
    assert_true(mg_exchange_body_complete(x));
    assert_text("7", field(&x->trailers, "X-Sum"));
    mg_exchange_respond(x, &rig_ok, MG_STR(""));
}

// Sends as much of `total` as the windows allow now; returns how much that was.
static size_t push(h2_call *c, size_t total) {
    static char block[16384];
    size_t sent = 0;
    for (size_t room; sent < total && (room = mg_h2_room(&p.h2, &c->stream)) > 0;) {
        size_t n = room < total - sent ? room : total - sent;
        n = n < sizeof block ? n : sizeof block;
        h2_send(&r, &p, c, (mg_str){block, n}, false);
        sent += n;
    }
    return sent;
}

static void the_window_is_what_the_handler_has_not_read(void **state) {
    (void)state;
    h2_call *a = post("/a");
    mg_exchange *x = rig_take(&r);
    mg_exchange_limit_body(x, 1 << 20);
    mg_exchange_want_body(x, false);
    size_t first = push(a, 1 << 20);
    assert_int_equal(first, 65536);
    assert_int_equal(mg_exchange_content(x).n, first);
    mg_exchange_take_content(x);
    h2_settle(&r, &p);
    assert_int_equal(push(a, 1 << 20), 65536);
    h2_call *b = h2_get(&r, &p, "/b"); // the connection's window is larger
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("b"));
    h2_settle(&r, &p);
    assert_answer(b, 200, "b");
    mg_exchange_abort(x);
}

static void a_body_in_one_piece_needs_no_reading(void **state) {
    (void)state;
    h2_call *a = post("/a");
    mg_exchange *x = rig_take(&r);
    mg_exchange_limit_body(x, 1 << 20);
    size_t before = push(a, 300000);
    assert_int_equal(before, 65536);
    mg_exchange_want_body(x, true);
    h2_settle(&r, &p);
    size_t n = before + push(a, 300000 - before);
    assert_int_equal(n, 300000);
    assert_int_equal(mg_exchange_content(x).n, n);
    mg_exchange_take_content(x);
    mg_exchange_abort(x);
}

static void unread_content_is_given_back_to_the_connection(void **state) {
    (void)state;
    for (int i = 0; i < 40; i++) { // more than the connection's window
        h2_call *a = post("/a");
        mg_exchange *x = rig_take(&r);
        assert_int_equal(push(a, 60000), 60000);
        mg_exchange_respond(x, &rig_ok, MG_STR(""));
        h2_cancel(&r, &p, a);
    }
    assert_int_equal(p.goaways, 0);
}

static void a_body_beyond_its_limit_is_refused(void **state) {
    (void)state;
    h2_call *a = post("/a");
    mg_exchange *x = rig_take(&r);
    mg_exchange_limit_body(x, 10);
    mg_exchange_want_body(x, false);
    h2_send(&r, &p, a, MG_STR("12345678901"), false);
    assert_int_equal(x->body_refusal.status, 413);
    mg_exchange_respond(x, &(mg_answer){.status = 413}, MG_STR("no"));
    h2_settle(&r, &p);
    assert_int_equal(a->status, 413);
    assert_text("no", mg_buf_str(&a->body));
    assert_true(a->reset);
    assert_int_equal(a->code, MG_H2_NO_ERROR);
    h2_call *b = h2_get(&r, &p, "/b"); // the connection goes on
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("b"));
    h2_settle(&r, &p);
    assert_answer(b, 200, "b");
}

static void an_unread_body_is_read_away_up_to_a_limit(void **state) {
    (void)state;
    h2_call *a = post("/a");
    h2_call *b = post("/b");
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("a"));
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("b"));
    h2_settle(&r, &p);
    assert_answer(a, 200, "a");
    h2_send(&r, &p, a, MG_STR("little"), true);
    assert_false(a->reset);
    assert_int_equal(p.conn->state, MG_CONN_BUSY);
    push(b, 2000); // 1000 are read away
    assert_true(b->reset);
    assert_int_equal(b->code, MG_H2_NO_ERROR);
    assert_int_equal(p.conn->state, MG_CONN_IDLE);
}

static void a_body_that_nobody_asked_for_is_not_waited_for(void **state) {
    (void)state;
    const h2_ask ask = {
        .method = "POST", .path = "/a", .open = true, .name = "expect", .value = "100-continue"};
    h2_call *a = h2_request(&r, &p, &ask);
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("a"));
    h2_settle(&r, &p);
    assert_int_equal(a->interim, 0);
    assert_true(a->reset);
    assert_int_equal(a->code, MG_H2_NO_ERROR);
    h2_call *b = h2_request(&r, &p, &ask);
    mg_exchange *x = rig_take(&r);
    mg_exchange_want_body(x, true);
    h2_settle(&r, &p);
    assert_int_equal(b->interim, 100);
    h2_send(&r, &p, b, MG_STR("x"), true);
    mg_exchange_respond(x, &rig_ok, MG_STR("b"));
    h2_settle(&r, &p);
    assert_answer(b, 200, "b");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_answer_says_its_length),
        TEST(content_that_must_not_come_does_not),
        TEST(interim_answers_go_before_the_head),
        TEST(trailers_end_a_stream),
        TEST(an_answer_broken_off_is_a_reset),
        TEST(a_body_comes_with_its_end),
        TEST(trailers_come_with_the_end),
        TEST(the_window_is_what_the_handler_has_not_read),
        TEST(a_body_in_one_piece_needs_no_reading),
        TEST(unread_content_is_given_back_to_the_connection),
        TEST(a_body_beyond_its_limit_is_refused),
        TEST(an_unread_body_is_read_away_up_to_a_limit),
        TEST(a_body_that_nobody_asked_for_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
