// Streamed responses.
#include "rig.h"

#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static void stream(caller *c) {
    prepare(c, "GET", "/x");
    c->options.stream = true;
    start_call(c);
    expect_request(0, "/x");
}

static void a_stream_is_told_piece_by_piece(void **state) {
    (void)state;
    caller c;
    stream(&c);
    says(0, CHUNKED "2\r\nhi\r\n");
    UNTIL(c.changes == 1);
    assert_int_equal(mg_call_state_of(c.call), MG_CALL_BODY);
    assert_text("hi", mg_call_content(c.call));
    mg_call_take(c.call, 1);
    assert_text("i", mg_call_content(c.call));
    says(0, "2\r\nyo\r\n");
    UNTIL(c.changes == 2);
    assert_text("iyo", mg_call_content(c.call));
    says(0, "0\r\n\r\n");
    expect_content(&c, 200, "iyo");
    assert_int_equal(stats().idle, 1);
}

static void a_stream_that_rests_too_long_is_left(void **state) {
    (void)state;
    caller c;
    stream(&c);
    says(0, CHUNKED "2\r\nhi\r\n");
    UNTIL(c.changes == 1);
    pass_ms(2999);
    says(0, "1\r\nx\r\n");
    UNTIL(c.changes == 2);
    pass_ms(2999); // far beyond the total time by now, which ended with the head
    says(0, "1\r\nx\r\n");
    UNTIL(c.changes == 3);
    pass_ms(2999);
    assert_int_equal(c.changes, 3);
    pass_ms(1);
    expect_fault(&c, "timeout", false);
    UNTIL(peers[0].ended);
}

enum { LARGE = 32 * 1024 * 1024 };

static void send_large(int i) {
    char *body = calloc(1, LARGE);
    char head[64];
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", LARGE);
    says(i, head);
    const struct iovec v = {body, LARGE};
    assert_int_equal(mg_stream_write(&peers[i].s, &v, 1), 0);
    free(body);
}

// Many more turns than the whole of it would need.
static void let_flow(void) {
    turns(4 * LARGE / MG_STREAM_READ_BYTES);
}

static void a_reader_that_is_behind_stalls_the_server(void **state) {
    (void)state;
    caller c;
    stream(&c);
    send_large(0);
    UNTIL(mg_call_state_of(c.call) == MG_CALL_BODY);
    let_flow();
    assert_true(peers[0].s.queued > 0);
    assert_true(mg_call_content(c.call).n < 512 * 1024);
    pass_ms(60000); // it is not the server who is slow
    assert_false(is_over(&c));
    size_t total = 0;
    UNTIL((total += mg_call_content(c.call).n, mg_call_take(c.call, mg_call_content(c.call).n),
           is_over(&c)));
    total += mg_call_content(c.call).n;
    assert_int_equal(total, LARGE);
    assert_int_equal(mg_call_state_of(c.call), MG_CALL_DONE);
    mg_call_close(c.call);
    assert_int_equal(stats().idle, 1);
    get(&c, "/y");
    expect_request(0, "/y");
    says(0, OK_HI);
    expect_content(&c, 200, "hi");
}

static void a_closed_stream_closes_its_connection(void **state) {
    (void)state;
    caller c;
    stream(&c);
    send_large(0);
    UNTIL(mg_call_state_of(c.call) == MG_CALL_BODY);
    let_flow();
    int changes = c.changes;
    mg_call_close(c.call);
    UNTIL(peers[0].ended);
    assert_int_equal(c.changes, changes);
}

// --- told further as it comes ---

typedef struct relay {
    caller c;
    mg_buf got; // "103 Link=a|head 200|hi|end T=u"
    bool pause_in_piece, close_in_piece, close_in_interim;
} relay;

static void note(relay *r, const char *what, const mg_fields *fields) {
    mg_buf_append_str(&r->got, mg_str_of(what));
    for (uint32_t i = 0; i < fields->count; i++) {
        mg_buf_printf(&r->got, " %.*s=%.*s", (int)fields->at[i].name.n, fields->at[i].name.p,
                      (int)fields->at[i].value.n, fields->at[i].value.p);
    }
    mg_buf_append_char(&r->got, '|');
}

static void close_relay(relay *r) {
    mg_call_close(r->c.call);
    r->c.call = NULL;
}

static void on_relay_change(void *arg, mg_call *call) {
    static const mg_fields none;
    relay *r = arg;
    switch (mg_call_state_of(call)) {
    case MG_CALL_BODY:
        note(r, "head", &none);
        break;
    case MG_CALL_DONE:
        note(r, "end", mg_call_trailers(call));
        break;
    default:
        note(r, mg_call_fault_of(call)->code, &none);
    }
}

static void on_relay_interim(void *arg, mg_call *call, const mg_response *response) {
    relay *r = arg;
    char status[8];
    assert_ptr_equal(call, r->c.call);
    snprintf(status, sizeof status, "%d", response->status);
    note(r, status, &response->head.fields);
    if (r->close_in_interim) {
        close_relay(r);
    }
}

static void on_relay_piece(void *arg, mg_call *call, mg_str piece) {
    relay *r = arg;
    mg_buf_append_str(&r->got, piece);
    mg_buf_append_char(&r->got, '|');
    assert_int_equal(mg_call_content(call).n, 0);
    if (r->pause_in_piece) {
        mg_call_pause(call);
    }
    if (r->close_in_piece) {
        close_relay(r);
    }
}

static const mg_call_events relay_events = {on_relay_change, on_relay_interim, on_relay_piece};

static void start_relay(relay *r) {
    *r = (relay){0};
    prepare(&r->c, "GET", "/x");
    r->c.options.stream = true;
    assert_int_equal(mg_call_start(&r->c.call, client, &r->c.options, &relay_events, r), MG_OK);
    expect_request(accepted > 0 ? accepted - 1 : 0, "/x");
}

static bool has_told(const relay *r, const char *text) {
    return mg_str_eq(mg_buf_str(&r->got), mg_str_of(text));
}

static void end_relay(relay *r) {
    mg_call_close(r->c.call);
    mg_buf_deinit(&r->got);
}

static void interims_pieces_and_trailers_are_told_as_they_come(void **state) {
    (void)state;
    relay r;
    start_relay(&r);
    says(0, "HTTP/1.1 103 x\r\nLink: a\r\n\r\nHTTP/1.1 100 x\r\n\r\n");
    UNTIL(has_told(&r, "103 Link=a|100|"));
    says(0, CHUNKED);
    UNTIL(has_told(&r, "103 Link=a|100|head|"));
    says(0, "2\r\nhi\r\n1\r\nx\r\n");
    UNTIL(has_told(&r, "103 Link=a|100|head|hi|x|"));
    says(0, "0\r\nT: u\r\nV: w\r\n\r\n");
    UNTIL(has_told(&r, "103 Link=a|100|head|hi|x|end T=u V=w|"));
    assert_int_equal(stats().idle, 1);
    end_relay(&r);
}

static void a_relay_that_pauses_gets_no_piece_until_it_resumes(void **state) {
    (void)state;
    relay r;
    start_relay(&r);
    r.pause_in_piece = true;
    says(0, CHUNKED "2\r\nhi\r\n1\r\nx\r\n1\r\ny\r\n0\r\n\r\n");
    UNTIL(has_told(&r, "head|hi|"));
    pass_ms(60000); // it is not the server who is slow
    assert_true(has_told(&r, "head|hi|"));
    mg_call_resume(r.c.call);
    assert_true(has_told(&r, "head|hi|")); // never inside
    UNTIL(has_told(&r, "head|hi|x|"));
    r.pause_in_piece = false;
    mg_call_resume(r.c.call);
    UNTIL(has_told(&r, "head|hi|x|y|end|"));
    assert_int_equal(stats().idle, 1);
    end_relay(&r);
}

// Rests behind "hi" and what is said besides.
static void rest_within(relay *r, const char *said) {
    start_relay(r);
    r->pause_in_piece = true;
    says(0, said);
    UNTIL(has_told(r, "head|hi|"));
    r->pause_in_piece = false;
}

static void what_came_meanwhile_is_told_at_once_on_wish(void **state) {
    (void)state;
    relay r;
    rest_within(&r, CHUNKED "2\r\nhi\r\n1\r\nx\r\n");
    says(0, "1\r\ny\r\n0\r\n\r\n");
    turns(4);
    assert_true(has_told(&r, "head|hi|"));
    mg_call_resume_now(r.c.call);
    assert_true(has_told(&r, "head|hi|x|y|end|"));
    assert_int_equal(stats().idle, 1);
    end_relay(&r);
}

static void a_connection_that_ended_meanwhile_is_not_used_again(void **state) {
    (void)state;
    relay r;
    rest_within(&r, CHUNKED "2\r\nhi\r\n1\r\nx\r\n0\r\n\r\n");
    mg_stream_shutdown(&peers[0].s);
    turns(4);
    mg_call_resume_now(r.c.call);
    assert_true(has_told(&r, "head|hi|x|end|"));
    assert_int_equal(stats().idle, 0);
    end_relay(&r);
}

static void a_paused_relay_stalls_the_server(void **state) {
    (void)state;
    relay r;
    start_relay(&r);
    r.pause_in_piece = true;
    send_large(0);
    UNTIL(r.got.n > 5);
    let_flow();
    assert_true(peers[0].s.queued > 0);
    assert_true(r.got.n < 512 * 1024);
    r.pause_in_piece = false;
    mg_call_resume(r.c.call);
    UNTIL(is_over(&r.c));
    assert_true(r.got.n > LARGE);
    end_relay(&r);
}

static void a_relay_may_be_closed_in_the_middle(void **state) {
    (void)state;
    relay r;
    start_relay(&r);
    r.close_in_piece = true;
    says(0, CHUNKED "2\r\nhi\r\n1\r\nx\r\n0\r\n\r\n");
    UNTIL(peers[0].ended);
    assert_true(has_told(&r, "head|hi|"));
    end_relay(&r);
    prepare(&r.c, "GET", "/x");
    r = (relay){.c = r.c, .close_in_interim = true};
    r.c.options.stream = true;
    assert_int_equal(mg_call_start(&r.c.call, client, &r.c.options, &relay_events, &r), MG_OK);
    expect_request(1, "/x");
    says(1, "HTTP/1.1 103 x\r\n\r\n" OK_HI);
    UNTIL(peers[1].ended);
    assert_true(has_told(&r, "103|"));
    end_relay(&r);
}

static void the_limit_holds_for_what_is_relayed(void **state) {
    (void)state;
    relay r = {0};
    prepare(&r.c, "GET", "/x");
    r.c.options.stream = true;
    r.c.options.max_bytes = 2;
    assert_int_equal(mg_call_start(&r.c.call, client, &r.c.options, &relay_events, &r), MG_OK);
    expect_request(0, "/x");
    says(0, CHUNKED "2\r\nhi\r\n1\r\nx\r\n");
    UNTIL(has_told(&r, "head|hi|limit|"));
    end_relay(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(a_stream_is_told_piece_by_piece),
        EACH(a_stream_that_rests_too_long_is_left),
        EACH(a_reader_that_is_behind_stalls_the_server),
        EACH(a_closed_stream_closes_its_connection),
        EACH(interims_pieces_and_trailers_are_told_as_they_come),
        EACH(a_relay_that_pauses_gets_no_piece_until_it_resumes),
        EACH(what_came_meanwhile_is_told_at_once_on_wish),
        EACH(a_connection_that_ended_meanwhile_is_not_used_again),
        EACH(a_paused_relay_stalls_the_server),
        EACH(a_relay_may_be_closed_in_the_middle),
        EACH(the_limit_holds_for_what_is_relayed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
