#include "server/wire.h"

#include "field_list.h"
#include "rig.h"
#include "server/file_answer.h"
#include "server/requester.h"
#include "server/tunnel.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

// A wire that is neither HTTP/1.1 nor has a stream: several exchanges share a connection that is
// nothing but counters, and what goes out is a log.
typedef struct memory_exchange {
    mg_exchange x; // first
    mg_buf out;
    size_t window;  // content that the peer still takes; what is beyond waits
    size_t waiting; // for it
    size_t credit;
    int pauses, resumes, stops, closes;
    bool gone; // the peer; nobody has been told yet
    bool over;
} memory_exchange;

static rig r;
static mg_exchange_pool pool;
static memory_exchange *m;

static memory_exchange *of(const mg_exchange *x) {
    return (memory_exchange *)(uintptr_t)x;
}

// --- the wire ---

static void put_fields(mg_exchange *x, const mg_fields *l) {
    for (uint32_t i = 0; l != NULL && i < l->count; i++) {
        mg_buf_append_char(&of(x)->out, ' ');
        mg_buf_append_str(&of(x)->out, l->at[i].name);
        mg_buf_append_char(&of(x)->out, '=');
        mg_buf_append_str(&of(x)->out, l->at[i].value);
    }
    mg_buf_append_char(&of(x)->out, '\n');
}

static void interim(mg_exchange *x, int status, const mg_fields *fields) {
    mg_buf_printf(&of(x)->out, "interim %d", status);
    put_fields(x, fields);
}

static void head(mg_exchange *x, const mg_answer *a) {
    mg_buf_printf(&of(x)->out, "head %d length %d%s\n", a->status, (int)x->length_left,
                  x->bodyless ? " bodyless" : "");
}

static int content(mg_exchange *x, mg_str data) {
    memory_exchange *e = of(x);
    if (e->gone) {
        return MG_ECLOSED;
    }
    mg_buf_printf(&e->out, "content %.*s\n", (int)data.n, data.p);
    size_t now = data.n < e->window ? data.n : e->window;
    e->window -= now;
    e->waiting += data.n - now;
    return e->waiting > 0 ? MG_EAGAIN : MG_OK;
}

static void end(mg_exchange *x, const mg_fields *trailers) {
    mg_buf_append_str(&of(x)->out, MG_STR("end"));
    put_fields(x, trailers);
    of(x)->over = true;
    if (!x->body_complete) {
        mg_exchange_discard_body(x);
    }
}

static void abort_it(mg_exchange *x) {
    mg_buf_append_str(&of(x)->out, MG_STR("abort\n"));
    of(x)->over = true;
    mg_exchange_lost(x, MG_GONE_STOP);
}

static size_t backlog(const mg_exchange *x) {
    return of(x)->waiting;
}

static void pause_it(mg_exchange *x) {
    of(x)->pauses++;
}

static void resume_it(mg_exchange *x) {
    of(x)->resumes++;
}

static void credit(mg_exchange *x, size_t bytes) {
    of(x)->credit += bytes;
}

static void stop_body(mg_exchange *x) {
    of(x)->stops++;
}

static void peer(const mg_exchange *x, mg_peer *out) {
    (void)x;
    *out = (mg_peer){.connection = 7, .requests = 3};
}

static int address(const mg_exchange *x, struct sockaddr_storage *out) {
    (void)x;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(443)};
    inet_pton(AF_INET, "192.0.2.1", &in.sin_addr);
    memcpy(out, &in, sizeof in);
    return 0;
}

static void close_it(mg_exchange *x) {
    of(x)->closes++;
}

static const char *may_take_over(const mg_exchange *x, mg_str protocol) {
    return x->head.method == MG_METHOD_CONNECT && protocol.n == 0 ? NULL : "no CONNECT";
}

// The exchange's log goes on as the tunnel's.
static int tunnel_write(mg_tunnel *t, mg_str data) {
    return content(t->carrier, data);
}

static size_t tunnel_backlog(const mg_tunnel *t) {
    return backlog(t->carrier);
}

static void tunnel_pause(mg_tunnel *t) {
    pause_it(t->carrier);
}

static void tunnel_resume(mg_tunnel *t) {
    resume_it(t->carrier);
}

static void tunnel_shutdown(mg_tunnel *t) {
    mg_buf_append_str(&of(t->carrier)->out, MG_STR("shutdown\n"));
}

static void tunnel_close(mg_tunnel *t) {
    mg_buf_append_str(&of(t->carrier)->out, MG_STR("close\n"));
}

static const mg_tunnel_ops memory_tunnel = {
    tunnel_write,    tunnel_backlog, tunnel_pause, tunnel_resume,
    tunnel_shutdown, tunnel_close,   tunnel_close,
};

static void take_over(mg_exchange *x, const mg_answer *a, mg_str protocol, mg_tunnel *t) {
    (void)protocol;
    head(x, a);
    t->ops = &memory_tunnel;
    t->carrier = x;
    t->events->on_read(t, MG_STR("behind the head"));
}

static const mg_wire memory_wire = {
    .exchange_bytes = sizeof(memory_exchange),
    .interim = interim,
    .head = head,
    .content = content,
    .end = end,
    .abort = abort_it,
    .backlog = backlog,
    .pause = pause_it,
    .resume = resume_it,
    .credit = credit,
    .stop_body = stop_body,
    .peer = peer,
    .address = address,
    .came_to = address,
    .may_take_over = may_take_over,
    .take_over = take_over,
    .close = close_it,
};

// --- its requests ---

static memory_exchange *prepare(mg_method method, const char *path) {
    memory_exchange *e = of(mg_exchange_take(&pool, r.server, &memory_wire));
    e->window = SIZE_MAX;
    e->x.app = r.server->apps[MG_APP_MAIN];
    e->x.protocol = MG_STR("HTTP/9.0");
    e->x.head.method = method;
    e->x.head.method_text = mg_method_name(method);
    e->x.head.target.path = e->x.head.target_text = mg_str_of(path);
    return e;
}

// A request without content.
static memory_exchange *ask(mg_method method, const char *path) {
    memory_exchange *e = prepare(method, path);
    e->x.body_complete = true;
    mg_exchange_start(&e->x);
    return e;
}

// One whose content has not come; `ahead` of it is announced.
static memory_exchange *post(const char *path, uint64_t ahead) {
    memory_exchange *e = prepare(MG_METHOD_POST, path);
    e->x.body_ahead = ahead;
    mg_exchange_start(&e->x);
    assert_ptr_equal(rig_take(&r), &e->x);
    assert_int_equal(mg_exchange_limit_body(&e->x, e->x.body_limit), MG_OK);
    return e;
}

static bool bring(memory_exchange *e, mg_str piece) {
    e->x.body_ahead -= piece.n < e->x.body_ahead ? piece.n : e->x.body_ahead;
    return mg_exchange_take_piece(&e->x, piece) && mg_exchange_body_progress(&e->x);
}

static void complete(memory_exchange *e) {
    e->x.body_complete = true;
    assert_true(mg_exchange_body_progress(&e->x));
}

static void recycle(memory_exchange *e) {
    mg_buf_deinit(&e->out);
    mg_exchange_give(&pool, &e->x);
}

static void assert_out(memory_exchange *e, const char *want) {
    assert_text(want, mg_buf_str(&e->out));
    mg_buf_clear(&e->out);
}

static int set_up(void **state) {
    (void)state;
    rig_open(&r);
    r.echo = false;
    m = NULL;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    if (m != NULL) {
        recycle(m);
    }
    mg_exchange_pool_deinit(&pool);
    rig_close(&r);
    return 0;
}

// --- answers ---

static void an_answer_is_head_content_and_end(void **state) {
    (void)state;
    m = ask(MG_METHOD_GET, "/a");
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("hello"));
    assert_out(m, "head 200 length 5\ncontent hello\nend\n");
    assert_log(&r, "GET /a 200 5\n");
}

static void content_that_must_not_come_does_not(void **state) {
    (void)state;
    mg_answer none = {.status = 204};
    m = ask(MG_METHOD_HEAD, "/a");
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("hello"));
    assert_out(m, "head 200 length 5 bodyless\nend\n");
    recycle(m);
    m = ask(MG_METHOD_GET, "/a");
    mg_exchange_begin(rig_take(&r), &none, -1);
    assert_int_equal(mg_exchange_write(&m->x, MG_STR("x")), MG_OK);
    mg_fields trailers = FIELD_LIST(&m->x.arena, "A", "b");
    mg_exchange_end(&m->x, &trailers);
    assert_out(m, "head 204 length -1 bodyless\nend A=b\n");
}

static void exchanges_of_one_connection_are_answered_in_any_order(void **state) {
    (void)state;
    memory_exchange *first = ask(MG_METHOD_GET, "/1");
    memory_exchange *second = ask(MG_METHOD_GET, "/2");
    mg_exchange *x = rig_take(&r);
    mg_exchange *y = rig_take(&r);
    mg_exchange_begin(x, &rig_ok, -1);
    mg_exchange_begin(y, &rig_ok, -1);
    mg_exchange_write(x, MG_STR("1"));
    mg_exchange_write(y, MG_STR("2"));
    mg_exchange_abort(x);
    mg_exchange_end(y, NULL);
    assert_out(first, "head 200 length -1\ncontent 1\nabort\n");
    assert_out(second, "head 200 length -1\ncontent 2\nend\n");
    assert_log(&r, "GET /1 200 1 aborted\nGET /2 200 1\n");
    recycle(first);
    recycle(second);
}

static void a_stream_waits_for_its_peer(void **state) {
    (void)state;
    m = ask(MG_METHOD_GET, "/a");
    m->window = 3;
    mg_exchange_begin(rig_take(&r), &rig_ok, -1);
    assert_int_equal(mg_exchange_write(&m->x, MG_STR("ab")), MG_OK);
    assert_int_equal(mg_exchange_backlog(&m->x), 0);
    assert_int_equal(mg_exchange_write(&m->x, MG_STR("cd")), MG_EAGAIN);
    assert_int_equal(mg_exchange_backlog(&m->x), 1);
    assert_int_equal(r.writables, 0);
    m->waiting = 0;
    mg_exchange_writable(&m->x);
    assert_int_equal(r.writables, 1);
    mg_fields trailers = FIELD_LIST(&m->x.arena, "T", "1");
    mg_exchange_end(&m->x, &trailers);
    assert_out(m, "head 200 length -1\ncontent ab\ncontent cd\nend T=1\n");
    mg_exchange_writable(&m->x); // of what came last; nobody waits any more
    assert_int_equal(r.writables, 1);
}

static void a_stream_keeps_to_its_length(void **state) {
    (void)state;
    m = ask(MG_METHOD_GET, "/a");
    mg_exchange_begin(rig_take(&r), &rig_ok, 3);
    assert_int_equal(mg_exchange_write(&m->x, MG_STR("abcd")), MG_ELIMIT);
    assert_int_equal(mg_exchange_write(&m->x, MG_STR("ab")), MG_OK);
    mg_exchange_end(&m->x, NULL);
    assert_out(m, "head 200 length 3\ncontent ab\nabort\n");
    assert_int_equal(r.gone, 0); // the app gave it up itself
}

static void what_is_written_behind_the_peer_is_told(void **state) {
    (void)state;
    m = ask(MG_METHOD_GET, "/a");
    mg_exchange_begin(rig_take(&r), &rig_ok, -1);
    m->gone = true;
    assert_int_equal(mg_exchange_write(&m->x, MG_STR("ab")), MG_ECLOSED);
    assert_int_equal(m->x.body_bytes_out, 0);
    mg_exchange_lost(&m->x, MG_GONE_CLIENT);
    assert_int_equal(r.gone, 1);
    assert_int_equal(r.why, MG_GONE_CLIENT);
    assert_log(&r, "GET /a 200 0 aborted\n");
}

static void interim_answers_go_before_the_head(void **state) {
    (void)state;
    m = ask(MG_METHOD_GET, "/a");
    mg_exchange *x = rig_take(&r);
    mg_fields link = FIELD_LIST(&x->arena, "Link", "</a.css>");
    mg_exchange_inform(x, 103, &link);
    mg_exchange_respond(x, &rig_ok, MG_STR(""));
    assert_out(m, "interim 103 Link=</a.css>\nhead 200 length 0\nend\n");
}

static void a_refusal_is_an_answer_and_ends_the_body(void **state) {
    (void)state;
    m = post("/a", 10);
    mg_exchange_refuse(&m->x, (mg_refusal){503, "not now", 2});
    assert_non_null(memmem(m->out.p, m->out.n, "\"detail\":\"not now\"", 18));
    assert_true(mg_str_starts(mg_buf_str(&m->out), MG_STR("head 503 length ")));
    assert_int_equal(m->stops, 1);
    assert_int_equal(r.gone, 0);
}

static void on_file_done(void *arg, int status) {
    *(int *)arg = status;
}

static void settle_with_threads(void) {
    while (mg_loop_turn(r.loop, true, false, 0) == MG_LOOP_MOVED ||
           mg_loop_has_outside_work(r.loop)) {
    }
}

static void a_file_is_read_no_faster_than_the_peer_takes_it(void **state) {
    (void)state;
    char path[] = "/tmp/moongate-wire-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(ftruncate(fd, 100000), 0);
    m = ask(MG_METHOD_GET, "/a");
    m->window = 10;
    int done = 1;
    const mg_file_answer_options o = {.path = path, .on_done = on_file_done, .arg = &done};
    mg_file_answer_start(rig_take(&r), &rig_ok, &o);
    settle_with_threads();
    assert_int_equal(m->x.body_bytes_out, 65536);
    assert_int_equal(done, 1);
    m->waiting = 0;
    mg_exchange_writable(&m->x);
    settle_with_threads();
    assert_int_equal(m->x.body_bytes_out, 100000);
    assert_int_equal(done, 0);
    assert_true(m->over);
    close(fd);
    unlink(path);
}

static mg_buf tunnel_in;

static void on_tunnel_read(mg_tunnel *t, mg_str data) {
    (void)t;
    mg_buf_append_str(&tunnel_in, data);
}

static void a_tunnel_needs_no_connection_of_its_own(void **state) {
    (void)state;
    static const mg_tunnel_events events = {.on_read = on_tunnel_read};
    mg_tunnel t = {.events = &events};
    m = ask(MG_METHOD_CONNECT, "");
    mg_exchange *x = rig_take(&r);
    assert_non_null(mg_exchange_may_take_over(x, MG_STR("echo")));
    assert_null(mg_exchange_may_take_over(x, (mg_str){NULL, 0}));
    mg_exchange_take_over(x, &rig_ok, (mg_str){NULL, 0}, &t);
    assert_text("behind the head", mg_buf_str(&tunnel_in));
    m->window = 2;
    assert_int_equal(mg_tunnel_write(&t, MG_STR("ab")), MG_OK);
    assert_int_equal(mg_tunnel_write(&t, MG_STR("c")), MG_EAGAIN);
    assert_int_equal(mg_tunnel_backlog(&t), 1);
    mg_tunnel_pause(&t);
    mg_tunnel_resume(&t);
    assert_int_equal(m->pauses + m->resumes, 2);
    mg_tunnel_shutdown(&t);
    mg_tunnel_close(&t);
    assert_out(m, "head 200 length 0\ncontent ab\ncontent c\nshutdown\nclose\n");
    assert_log(&r, "CONNECT  200 0\n");
    assert_int_equal(r.gone, 0);
    mg_buf_deinit(&tunnel_in);
}

// --- the request's body ---

static void content_waits_for_the_handler_and_gives_credit_when_taken(void **state) {
    (void)state;
    char large[70000];
    memset(large, 'x', sizeof large);
    m = post("/a", sizeof large + 1);
    mg_exchange_want_body(&m->x, false);
    assert_true(bring(m, (mg_str){large, 1000}));
    assert_int_equal(r.bodies, 1);
    assert_int_equal(m->pauses, 0);
    assert_true(bring(m, (mg_str){large, 69000}));
    assert_int_equal(m->pauses, 1);
    assert_int_equal(m->credit, 0);
    mg_exchange_take_content(&m->x);
    assert_int_equal(m->resumes, 1);
    assert_int_equal(m->credit, 70000);
    bring(m, MG_STR("y"));
    complete(m);
    assert_text("y", mg_exchange_content(&m->x));
    assert_true(mg_exchange_body_complete(&m->x));
    mg_exchange_respond(&m->x, &rig_ok, MG_STR(""));
}

static void a_body_is_asked_for_if_the_peer_waits(void **state) {
    (void)state;
    m = prepare(MG_METHOD_POST, "/a");
    m->x.body_ahead = 1;
    m->x.head.expect_continue = true;
    mg_exchange_start(&m->x);
    mg_exchange_want_body(rig_take(&r), true);
    assert_out(m, "interim 100\n");
    bring(m, MG_STR("y"));
    complete(m);
    mg_exchange_respond(&m->x, &rig_ok, MG_STR(""));
}

static void trailers_come_with_the_end(void **state) {
    (void)state;
    m = post("/a", 0);
    mg_fields_init(&m->x.trailers, &m->x.arena);
    mg_fields_add(&m->x.trailers, MG_STR("T"), MG_STR("1"));
    mg_exchange_want_body(&m->x, false);
    complete(m);
    assert_int_equal(r.bodies, 1);
    assert_int_equal(m->x.trailers.count, 1);
    mg_exchange_respond(&m->x, &rig_ok, MG_STR(""));
}

static void what_is_announced_beyond_the_limit_is_refused_at_once(void **state) {
    (void)state;
    m = post("/a", 0);
    mg_exchange_want_body(&m->x, false);
    assert_int_equal(mg_exchange_limit_body(&m->x, 10), MG_OK);
    m->x.body_ahead = 11; // a frame that says how long it is
    assert_false(mg_exchange_body_progress(&m->x));
    assert_int_equal(m->x.body_refusal.status, 413);
    assert_int_equal(m->stops, 1);
    assert_int_equal(r.bodies, 1);
    mg_exchange_respond(&m->x, &(mg_answer){.status = 413}, MG_STR(""));
}

static void an_unread_body_is_read_away_with_credit_up_to_a_limit(void **state) {
    (void)state;
    char piece[400] = {0};
    m = post("/a", 0);
    bring(m, (mg_str){piece, sizeof piece});
    mg_exchange_respond(&m->x, &rig_ok, MG_STR(""));
    assert_int_equal(m->credit, 400);
    assert_int_equal(m->resumes, 1);
    assert_true(bring(m, (mg_str){piece, sizeof piece}));
    assert_true(bring(m, (mg_str){piece, sizeof piece}));
    assert_int_equal(m->credit, 1200);
    assert_int_equal(m->stops, 0);
    assert_false(bring(m, (mg_str){piece, sizeof piece})); // 1000 are read away
    assert_int_equal(m->stops, 1);
}

static void a_slow_body_is_told_to_the_app(void **state) {
    (void)state;
    m = post("/a", 10);
    mg_exchange_want_body(&m->x, false);
    rig_pass(&r, 20001);
    assert_int_equal(m->x.body_refusal.status, 408);
    assert_int_equal(m->stops, 1);
    assert_int_equal(r.bodies, 1);
    mg_exchange_respond(&m->x, &(mg_answer){.status = 408}, MG_STR(""));
}

// --- time, and what is known of the peer ---

static void a_handler_has_its_deadline(void **state) {
    (void)state;
    m = ask(MG_METHOD_GET, "/a");
    mg_exchange *x = rig_take(&r);
    rig_pass(&r, 30001);
    assert_int_equal(r.deadlines, 1);
    mg_exchange_set_deadline(x, 10);
    rig_pass(&r, 11);
    assert_int_equal(r.deadlines, 2);
    mg_exchange_respond(x, &(mg_answer){.status = 504}, MG_STR(""));
    assert_log(&r, "GET /a 504 0\n");
}

static void the_wire_tells_who_the_peer_is(void **state) {
    (void)state;
    m = ask(MG_METHOD_GET, "/a");
    mg_exchange *x = rig_take(&r);
    mg_peer p;
    mg_exchange_peer(x, &p);
    assert_int_equal(p.connection, 7);
    assert_int_equal(p.requests, 3);
    assert_text("192.0.2.1:443", mg_exchange_peer_name(x));
    mg_exchange_close(x);
    assert_int_equal(m->closes, 1);
    mg_exchange_respond(x, &rig_ok, MG_STR(""));
}

static mg_buf protocols;

static void note_protocol(void *arg, const mg_access_record *a) {
    (void)arg;
    mg_buf_append_str(&protocols, a->protocol);
}

static void the_log_names_the_protocol(void **state) {
    (void)state;
    r.server->on_access = note_protocol;
    m = ask(MG_METHOD_GET, "/a");
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR(""));
    assert_text("HTTP/9.0", mg_buf_str(&protocols));
    mg_buf_deinit(&protocols);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_answer_is_head_content_and_end),
        TEST(content_that_must_not_come_does_not),
        TEST(exchanges_of_one_connection_are_answered_in_any_order),
        TEST(a_stream_waits_for_its_peer),
        TEST(a_stream_keeps_to_its_length),
        TEST(what_is_written_behind_the_peer_is_told),
        TEST(interim_answers_go_before_the_head),
        TEST(a_refusal_is_an_answer_and_ends_the_body),
        TEST(a_file_is_read_no_faster_than_the_peer_takes_it),
        TEST(a_tunnel_needs_no_connection_of_its_own),
        TEST(content_waits_for_the_handler_and_gives_credit_when_taken),
        TEST(a_body_is_asked_for_if_the_peer_waits),
        TEST(trailers_come_with_the_end),
        TEST(what_is_announced_beyond_the_limit_is_refused_at_once),
        TEST(an_unread_body_is_read_away_with_credit_up_to_a_limit),
        TEST(a_slow_body_is_told_to_the_app),
        TEST(a_handler_has_its_deadline),
        TEST(the_wire_tells_who_the_peer_is),
        TEST(the_log_names_the_protocol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
