#include "server/answer.h"

#include "base/mem.h"

#include "asked.h"
#include "field_list.h"

#include <errno.h>

#define REQUEST(method, minor) method " /a HTTP/1." minor "\r\nHost: h\r\n\r\n"

enum { LARGE = 300000 };

static mg_arena arena;

static int tear_down_all(void **state) {
    int rc = tear_down(state);
    mg_arena_deinit(&arena);
    arena = (mg_arena){0};
    return rc;
}

// --- complete answers ---

static void an_answer_has_its_type_and_fields(void **state) {
    (void)state;
    mg_answer a = {
        .status = 201,
        .content_type = MG_STR("text/plain"),
        .fields = FIELD_LIST(&arena, "Location", "/b", "X", "y"),
    };
    mg_exchange_respond(ask(REQUEST("POST", "1")), &a, MG_STR("made"));
    rig_settle(&r);
    assert_got(&p, "HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n"
                   "Location: /b\r\nX: y\r\n\r\nmade");
    assert_log(&r, "POST /a 201 4\n");
}

static void an_answer_has_one_date(void **state) {
    (void)state;
    mg_answer a = {.status = 200, .fields = FIELD_LIST(&arena, "Date", "mine")};
    mg_exchange_respond(ask(REQUEST("GET", "1")), &a, MG_STR(""));
    rig_settle(&r);
    assert_text("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: mine\r\n\r\n", mg_buf_str(&p.got));
    mg_buf_clear(&p.got);
    mg_exchange_respond(ask(REQUEST("GET", "1")), &rig_ok, MG_STR(""));
    rig_settle(&r);
    assert_true(mg_str_starts(mg_buf_str(&p.got), MG_STR("HTTP/1.1 200 OK\r\nDate: ")));
    mg_buf_consume(&p.got, 48);
    assert_text(" GMT\r\nContent-Length: 0\r\n\r\n", mg_buf_str(&p.got));
}

static void head_has_the_length_but_no_content(void **state) {
    (void)state;
    mg_exchange_respond(ask(REQUEST("HEAD", "1")), &rig_ok, MG_STR("hello"));
    rig_settle(&r);
    assert_got(&p, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    assert_log(&r, "HEAD /a 200 0\n");
}

static void some_statuses_have_no_content(void **state) {
    (void)state;
    mg_answer none = {.status = 204};
    mg_answer same = {.status = 304, .fields = FIELD_LIST(&arena, "ETag", "\"1\"")};
    mg_exchange_respond(ask(REQUEST("GET", "1")), &none, MG_STR("hello"));
    mg_exchange_respond(ask(REQUEST("GET", "1")), &same, MG_STR("hello"));
    rig_settle(&r);
    assert_got(&p, "HTTP/1.1 204 No Content\r\n\r\n"
                   "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n");
    assert_int_equal(p.ends, 0);
}

// --- streamed answers ---

static void a_stream_of_known_length_keeps_to_it(void **state) {
    (void)state;
    mg_exchange *x = ask(REQUEST("GET", "1"));
    mg_exchange_begin(x, &rig_ok, 5);
    assert_int_equal(mg_exchange_write(x, MG_STR("abc")), MG_OK);
    assert_int_equal(mg_exchange_write(x, MG_STR("def")), MG_ELIMIT);
    assert_int_equal(mg_exchange_write(x, MG_STR("de")), MG_OK);
    assert_int_equal(mg_exchange_write(x, MG_STR("f")), MG_ELIMIT);
    mg_exchange_end(x, NULL);
    rig_settle(&r);
    assert_got(&p, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde");
    assert_int_equal(c->state, MG_CONN_IDLE);
}

static void a_stream_that_is_too_short_is_broken_off(void **state) {
    (void)state;
    mg_exchange *x = ask(REQUEST("GET", "1"));
    mg_exchange_begin(x, &rig_ok, 5);
    mg_exchange_write(x, MG_STR("abc"));
    mg_exchange_end(x, NULL);
    rig_settle(&r);
    assert_int_equal(r.server->stats.connections, 0);
    assert_int_equal(p.ends, 1);
    assert_int_equal(r.gone, 0); // the app did it itself
    assert_log(&r, "GET /a 200 3 aborted\n");
}

static void streams_without_content_send_none(void **state) {
    (void)state;
    mg_answer none = {.status = 204};
    mg_exchange *x = ask(REQUEST("HEAD", "1"));
    mg_exchange_begin(x, &rig_ok, 5);
    assert_int_equal(mg_exchange_write(x, MG_STR("abc")), MG_OK);
    mg_exchange_end(x, NULL);
    x = ask(REQUEST("HEAD", "1"));
    mg_exchange_begin(x, &rig_ok, -1);
    assert_int_equal(mg_exchange_write(x, MG_STR("abc")), MG_OK);
    mg_fields trailers = FIELD_LIST(&arena, "Sum", "1");
    mg_exchange_end(x, &trailers);
    x = ask(REQUEST("GET", "1"));
    mg_exchange_begin(x, &none, -1);
    assert_int_equal(mg_exchange_write(x, MG_STR("abc")), MG_OK);
    mg_exchange_end(x, NULL);
    rig_settle(&r);
    assert_got(&p, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
                   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "HTTP/1.1 204 No Content\r\n\r\n");
    assert_int_equal(c->state, MG_CONN_IDLE);
    assert_log(&r, "HEAD /a 200 0\nHEAD /a 200 0\nGET /a 204 0\n");
}

// --- backpressure ---

static void writing_to_a_peer_that_has_left_says_so(void **state) {
    (void)state;
    mg_exchange *x = ask(REQUEST("GET", "1"));
    char *large = mg_calloc(1, LARGE);
    mg_exchange_begin(x, &rig_ok, -1);
    mg_stream_close(&p.s, true);
    int rc = MG_OK;
    for (int i = 0; i < 10 && rc == MG_OK; i++) {
        rc = mg_exchange_write(x, (mg_str){large, LARGE});
    }
    assert_int_equal(rc, MG_ECLOSED);
    assert_int_equal(r.gone, 0);
    rig_settle(&r);
    assert_int_equal(r.gone, 1);
    assert_int_equal(r.why, MG_GONE_CLIENT);
    mg_free(large);
}

// --- refusals ---

static void an_answer_that_lasts_gives_its_request_back(void **state) {
    (void)state;
    mg_exchange *x = ask("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
    mg_exchange_begin(x, &rig_ok, -1);
    mg_exchange_drop_request(x); // of which something is to come
    assert_text("/a", x->head.target_text);
    peer_send(&r, &p, "ab");
    mg_exchange_drop_request(x);
    assert_null(x->arena.newest);
    assert_int_equal(x->head.target_text.n, 0);
    assert_null(mg_fields_find(&x->head.fields, MG_FIELD_HOST));
    mg_buf_clear(&p.got);
    mg_exchange_write(x, MG_STR("more"));
    mg_exchange_end(x, NULL);
    rig_settle(&r);
    assert_got(&p, "4\r\nmore\r\n0\r\n\r\n");
    assert_non_null(ask("GET /b HTTP/1.1\r\nHost: a\r\n\r\n")); // the next one
}

static void a_refusal_is_a_problem_document(void **state) {
    (void)state;
    mg_exchange_refuse(ask(REQUEST("GET", "1")), (mg_refusal){503, "too busy", 0});
    rig_settle(&r);
    assert_got(&p, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
                   "Content-Length: 86\r\nConnection: close\r\n\r\n"
                   "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,"
                   "\"detail\":\"too busy\"}\n");
    assert_int_equal(p.ends, 1);
}

// --- conditions ---

static int met_status(const char *text, int status, const char *name, const char *value) {
    mg_answer a = {
        .status = status,
        .content_type = MG_STR("text/plain"),
        .fields = FIELD_LIST(&arena, name, value),
    };
    mg_exchange *x = ask(text);
    bool met = mg_exchange_meet_conditions(x, &a);
    assert_int_equal(met, a.status != status);
    assert_int_equal(met, a.content_type.n == 0);
    mg_exchange_respond(x, &a, (mg_str){NULL, 0});
    return a.status;
}

#define GET_IF(field) "GET /a HTTP/1.1\r\nHost: h\r\n" field "\r\n\r\n"
#define PUT_IF(field) "PUT /a HTTP/1.1\r\nHost: h\r\n" field "\r\n\r\n"
#define DATE          "Sun, 06 Nov 1994 08:49:37 GMT"

static void an_answer_meets_the_conditions_on_it(void **state) {
    (void)state;
    assert_int_equal(304, met_status(GET_IF("If-None-Match: \"a\""), 200, "ETag", "\"a\""));
    assert_int_equal(200, met_status(GET_IF("If-None-Match: \"b\""), 200, "ETag", "\"a\""));
    assert_int_equal(412, met_status(GET_IF("If-Match: \"b\""), 200, "ETag", "\"a\""));
    assert_int_equal(304,
                     met_status(GET_IF("If-Modified-Since: " DATE), 200, "Last-Modified", DATE));
    assert_int_equal(200,
                     met_status(GET_IF("If-Modified-Since: " DATE), 200, "Last-Modified", "now"));
    assert_int_equal(200, met_status(GET_IF("If-None-Match: *"), 200, "X", "y"));
    assert_int_equal(404, met_status(GET_IF("If-None-Match: \"a\""), 404, "ETag", "\"a\""));
    assert_int_equal(200, met_status(PUT_IF("If-Match: \"b\""), 200, "ETag", "\"a\""));
}

int main(void) {

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        TEST(an_answer_has_its_type_and_fields),
        TEST(an_answer_has_one_date),
        TEST(head_has_the_length_but_no_content),
        TEST(some_statuses_have_no_content),
        TEST(a_stream_of_known_length_keeps_to_it),
        TEST(a_stream_that_is_too_short_is_broken_off),
        TEST(streams_without_content_send_none),
        TEST(writing_to_a_peer_that_has_left_says_so),
        TEST(an_answer_that_lasts_gives_its_request_back),
        TEST(a_refusal_is_a_problem_document),
        TEST(an_answer_meets_the_conditions_on_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
