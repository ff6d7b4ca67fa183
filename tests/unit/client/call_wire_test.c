// A wire of its own, which carries many calls over one connection, proves that calls know nothing
// of what carries them. It speaks lines: "1 GET /a" and "1 + piece", "1 ." go out; "1 103", "1
// 200", "1 hi", "1 ." (the end) and "x" (no further calls here) come in.
#include "client/call_inside.h"

#include "rig.h"

#include "base/mem.h"

#define UNTIL_GOT(text) UNTIL(mg_str_eq(mg_buf_str(&peers[0].got), mg_str_of(text)))

enum { PLACES = 2 };

typedef struct session session;
typedef struct line_call { // a call's stream
    session *s;
    mg_call *call;
    unsigned number;
} line_call;

struct session {
    mg_outbound *c;
    line_call calls[PLACES]; // call NULL: free
    unsigned last;
    mg_buf in;
    bool full; // no further calls
};

static int opened, closed;

static void open_session(mg_outbound *c) {
    session *s = mg_calloc(1, sizeof *s);
    s->c = c;
    c->session = s;
    opened++;
}

static void close_session(mg_outbound *c) {
    session *s = c->session;
    assert_null(s->calls[0].call);
    assert_null(s->calls[1].call);
    mg_buf_deinit(&s->in);
    mg_free(s);
    closed++;
}

static line_call *find(session *s, unsigned number) {
    for (size_t i = 0; i < PLACES; i++) {
        if (s->calls[i].call != NULL ? s->calls[i].number == number : number == 0) {
            return &s->calls[i];
        }
    }
    return NULL;
}

static bool has_place(const mg_outbound *c, bool repeatable) {
    (void)repeatable;
    session *s = c->session;
    return !s->full && find(s, 0) != NULL;
}

static int write_line(const line_call *l, const char *text, mg_str piece) {
    char line[128];
    int n = snprintf(line, sizeof line, "%u %s%.*s\n", l->number, text, (int)piece.n,
                     piece.n > 0 ? piece.p : "");
    const struct iovec v = {line, (size_t)n};
    return mg_stream_write(&l->s->c->stream, &v, 1);
}

static int begin(mg_call *call) {
    session *s = mg_call_outbound(call)->session;
    const mg_call_options *o = mg_call_wanted(call);
    line_call *l = find(s, 0);
    *l = (line_call){s, call, ++s->last};
    *mg_call_stream(call) = l;
    char text[64];
    snprintf(text, sizeof text, "%.*s ", (int)o->method.n, o->method.p);
    return write_line(l, text, o->target);
}

static int send_piece(mg_call *call, mg_str piece, const mg_fields *trailers) {
    (void)trailers; // of lines there are none
    const line_call *l = *mg_call_stream(call);
    return piece.n > 0 ? write_line(l, "+ ", piece) : write_line(l, ".", piece);
}

static size_t backlog(const mg_call *call) {
    return mg_call_outbound(call)->stream.queued;
}

static void resume(mg_call *call) {
    (void)call;
}

static bool leave(mg_call *call, bool whole) {
    line_call *l = *mg_call_stream(call);
    session *s = l->s;
    if (!whole) {
        write_line(l, "reset", (mg_str){0});
    }
    l->call = NULL;
    return !s->full;
}

static void take_line(session *s, char *line) {
    unsigned number = (unsigned)strtoul(line, &line, 10);
    line_call *l = number > 0 ? find(s, number) : NULL;
    if (l == NULL) {
        s->full |= line[0] == 'x';
        return;
    }
    static const mg_fields none;
    mg_response r = {.status = atoi(line + 1), .head = {.framing = MG_FRAMING_CLOSE}};
    if (r.status > 0) {
        mg_call_heard(l->call);
        mg_call_take_head(l->call, &r);
    } else if (strcmp(line, " .") == 0) {
        mg_call_take_end(l->call, &none);
    } else {
        mg_call *call = l->call;
        mg_call_take_piece(call, mg_str_of(line + 1));
        if (l->call == call) {
            mg_call_progress(call);
        }
    }
}

static void on_read(mg_outbound *c, const char *data, size_t n) {
    session *s = c->session;
    char *end;
    mg_buf_append(&s->in, data, n);
    while (s->in.n > 0 && (end = memchr(s->in.p, '\n', s->in.n)) != NULL) {
        *end = '\0';
        take_line(s, s->in.p);
        mg_buf_consume(&s->in, (size_t)(end + 1 - s->in.p));
    }
}

static void on_ended(mg_outbound *c, int status) {
    session *s = c->session;
    bool any = false;
    for (size_t i = 0; i < PLACES; i++) {
        if (s->calls[i].call != NULL) {
            any = true;
            s->full = true;
            mg_call_lost(s->calls[i].call, status);
        }
    }
    if (!any) {
        mg_outbound_close(c);
    }
}

static void drained(mg_outbound *c) {
    session *s = c->session;
    for (size_t i = 0; i < PLACES; i++) {
        if (s->calls[i].call != NULL) {
            mg_call_drained(s->calls[i].call);
        }
    }
}

static const mg_call_wire line_wire = {
    .open = open_session,
    .close = close_session,
    .has_place = has_place,
    .read = on_read,
    .ended = on_ended,
    .drained = drained,
    .begin = begin,
    .send = send_piece,
    .backlog = backlog,
    .untaken = backlog,
    .resume = resume,
    .leave = leave,
};

// --- the tests ---

static void new_line_client(uint32_t connections) {
    opened = closed = 0;
    new_client_of(&(mg_client_options){.connections = connections, .wire = &line_wire});
}

// One connection, with a call of which nothing but its request is known yet.
static void begin_first(caller *a) {
    new_line_client(1);
    get(a, "/a");
    UNTIL_GOT("1 GET /a\n");
}

static void two_calls_share_a_connection_and_end_in_any_order(void **state) {
    (void)state;
    caller a;
    caller b;
    begin_first(&a);
    get(&b, "/b");
    UNTIL_GOT("1 GET /a\n2 GET /b\n");
    says(0, "2 200\n1 201\n2 yo\n1 h\n2 .\n");
    expect_content(&b, 200, "yo");
    assert_false(is_over(&a));
    says(0, "1 i\n1 .\n");
    expect_content(&a, 201, "hi");
    assert_int_equal(accepted, 1);
    assert_int_equal(stats().dialled, 1);
    assert_int_equal(stats().idle, 1);
    assert_int_equal(opened, 1);
}

static void who_finds_no_place_waits_for_one(void **state) {
    (void)state;
    caller a;
    caller b;
    caller c;
    begin_first(&a);
    get(&b, "/b");
    get(&c, "/c");
    UNTIL_GOT("1 GET /a\n2 GET /b\n");
    turns(5);
    assert_int_equal(stats().waiting, 1);
    says(0, "1 204\n1 .\n");
    expect_content(&a, 204, "");
    UNTIL_GOT("1 GET /a\n2 GET /b\n3 GET /c\n");
    says(0, "3 200\n3 c\n3 .\n2 200\n2 .\n");
    expect_content(&c, 200, "c");
    expect_content(&b, 200, "");
    assert_int_equal(accepted, 1);
}

static void a_call_that_goes_leaves_the_others_alone(void **state) {
    (void)state;
    caller a;
    caller b;
    begin_first(&a);
    get(&b, "/b");
    UNTIL_GOT("1 GET /a\n2 GET /b\n");
    mg_call_close(a.call);
    UNTIL_GOT("1 GET /a\n2 GET /b\n1 reset\n");
    pass_ms(1);
    says(0, "1 200\n2 200\n2 yo\n2 .\n"); // what comes for it is of no interest
    expect_content(&b, 200, "yo");
    assert_int_equal(stats().idle, 1);
    assert_false(peers[0].ended);
}

static void a_late_call_fails_alone(void **state) {
    (void)state;
    caller a;
    caller b;
    begin_first(&a);
    pass_ms(4000);
    get(&b, "/b");
    pass_ms(1000);
    expect_fault(&a, "timeout", false);
    says(0, "2 200\n2 .\n");
    expect_content(&b, 200, "");
}

static void all_calls_of_a_connection_hear_of_its_end(void **state) {
    (void)state;
    caller a;
    caller b;
    begin_first(&a);
    get(&b, "/b");
    UNTIL_GOT("1 GET /a\n2 GET /b\n");
    hangs_up(0);
    expect_fault(&a, "closed", false);
    expect_fault(&b, "closed", false);
    UNTIL(closed == 1);
    assert_int_equal(stats().connections, 0);
}

static void calls_on_a_stale_connection_go_again_together(void **state) {
    (void)state;
    caller a;
    caller b;
    begin_first(&a);
    says(0, "1 204\n1 .\n");
    expect_content(&a, 204, "");
    get(&a, "/c");
    get(&b, "/d");
    UNTIL_GOT("1 GET /a\n2 GET /c\n3 GET /d\n");
    hangs_up(0);
    UNTIL(accepted == 2 && has_got(1, "GET /c") && has_got(1, "GET /d"));
    says(1, has_got(1, "1 GET /c") ? "1 200\n1 c\n1 .\n2 200\n2 d\n2 .\n"
                                   : "1 200\n1 d\n1 .\n2 200\n2 c\n2 .\n");
    expect_content(&a, 200, "c");
    expect_content(&b, 200, "d");
}

static void a_connection_that_takes_no_more_calls_closes_after_its_last(void **state) {
    (void)state;
    caller a;
    caller b;
    new_line_client(2);
    get(&a, "/a");
    UNTIL_GOT("1 GET /a\n");
    says(0, "x\n");
    turns(3);
    get(&b, "/b");
    UNTIL(has_got(1, "1 GET /b\n"));
    says(0, "1 200\n1 .\n");
    expect_content(&a, 200, "");
    UNTIL(peers[0].ended);
    says(1, "1 200\n1 .\n");
    expect_content(&b, 200, "");
    assert_int_equal(stats().idle, 1);
}

static void an_upload_goes_out_in_pieces(void **state) {
    (void)state;
    caller a;
    new_line_client(1);
    prepare(&a, "POST", "/up");
    a.options.upload = true;
    a.options.length = -1;
    start_call(&a);
    assert_int_equal(mg_call_send(a.call, "hi", 2), MG_OK);
    UNTIL_GOT("1 POST /up\n1 + hi\n");
    assert_int_equal(mg_call_send(a.call, "yo", 2), MG_OK);
    assert_int_equal(mg_call_send(a.call, NULL, 0), MG_OK);
    UNTIL_GOT("1 POST /up\n1 + hi\n1 + yo\n1 .\n");
    says(0, "1 100\n1 200\n1 ok\n1 .\n");
    expect_content(&a, 200, "ok");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(two_calls_share_a_connection_and_end_in_any_order),
        EACH(who_finds_no_place_waits_for_one),
        EACH(a_call_that_goes_leaves_the_others_alone),
        EACH(a_late_call_fails_alone),
        EACH(all_calls_of_a_connection_hear_of_its_end),
        EACH(calls_on_a_stale_connection_go_again_together),
        EACH(a_connection_that_takes_no_more_calls_closes_after_its_last),
        EACH(an_upload_goes_out_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
