#include "store/redis_conn.h"

#include "redis_rig.h"

typedef struct asked {
    mg_redis_call call;
    char said[256]; // replies, or the fault
    bool over, sent;
} asked;

static mg_redis_login login;
static mg_redis_conn *conn;
static asked calls[16];
static int ready, lost;
static char pushed[128];
static char why_lost[256];

static void on_ready(void *arg, mg_redis_conn *c) {
    (void)arg;
    (void)c;
    ready++;
}

static void on_lost(void *arg, mg_redis_conn *c, const mg_redis_fault *f) {
    (void)arg;
    (void)c;
    lost++;
    snprintf(why_lost, sizeof why_lost, "%s: %s", f->code, f->text);
}

static void show(char *out, size_t size, const mg_redis_reply *r) {
    size_t n = strlen(out);
    for (uint32_t i = 0; i < r->count; i++) {
        const mg_redis_value *v = &r->values[i];
        mg_str text = mg_redis_is_text(v) ? mg_redis_text(r, v) : MG_STR("");
        n += (size_t)snprintf(out + n, size - n, "%.*s;", (int)text.n, text.p);
    }
    if (r->count == 0) {
        snprintf(out + n, size - n, "lost;");
    }
}

static void on_push(void *arg, mg_redis_conn *c, const mg_redis_reply *r) {
    (void)arg;
    (void)c;
    show(pushed, sizeof pushed, r);
}

static const mg_redis_conn_events events = {
    .on_ready = on_ready, .on_lost = on_lost, .on_push = on_push};

static void on_reply(mg_redis_call *c, const mg_redis_reply *r, uint32_t left) {
    asked *a = MG_OF(c, asked, call);
    show(a->said, sizeof a->said, r);
    a->over = left == 0;
}

static void on_fault(mg_redis_call *c, const mg_redis_fault *f) {
    asked *a = MG_OF(c, asked, call);
    snprintf(a->said, sizeof a->said, "%s: %s", f->code, f->text);
    a->sent = f->sent;
    a->over = true;
}

static int open_rig(void **state) {
    login = (mg_redis_login){0};
    ready = lost = 0;
    pushed[0] = why_lost[0] = '\0';
    return rig_open(state);
}

static mg_redis_conn_options options(void) {
    return (mg_redis_conn_options){
        .connect = {.host = "h", .port = 6379},
        .login = &login,
        .name = "redis://h",
        .limits = {1000, 100},
        .connect_ms = 2000,
        .backoff_ms = 1000,
        .queue = 4,
        .queue_bytes = 1000,
        .events = &events,
    };
}

static void open_conn(void) {
    mg_redis_conn_options o = options();
    conn = mg_redis_conn_new(rig_loop, &o);
}

static int close_rig(void **state) {
    mg_redis_conn_close(conn);
    rig_settle();
    return rig_close(state);
}

static int ask(int i, const char *key, uint32_t timeout_ms) {
    mg_buf b = {0};
    calls[i] =
        (asked){.call = {.on_reply = on_reply, .on_fault = on_fault, .timeout_ms = timeout_ms}};
    mg_redis_write(&b, (const mg_str[]){MG_STR("GET"), mg_str_of(key)}, 2);
    int rc = mg_redis_conn_send(conn, &calls[i].call, mg_buf_str(&b), 1);
    mg_buf_deinit(&b);
    mg_loop_turn_soon(rig_loop);
    return rc;
}

static void calls_wait_for_the_greeting_and_go_out_together(void **state) {
    (void)state;
    open_conn();
    assert_int_equal(ask(0, "a", 1000), MG_OK);
    assert_int_equal(ask(1, "b", 1000), MG_OK);
    assert_string_equal(rig_got(0), "HELLO 3");
    rig_say(0, "%1\r\n+proto\r\n:3\r\n");
    assert_int_equal(ready, 1);
    assert_true(mg_redis_conn_is_resp3(conn));
    assert_string_equal(rig_got(0), "GET a|GET b");
    rig_say(0, "$1\r\nA\r\n>2\r\n+news\r\n+x\r\n+B\r\n");
    assert_string_equal(calls[0].said, "A;");
    assert_string_equal(calls[1].said, "B;");
    assert_string_equal(pushed, ";news;x;");
    assert_int_equal(mg_redis_conn_waiting(conn), 0);
}

static int give_password(const void *arg, mg_buf *out, mg_error *err) {
    (void)err;
    mg_buf_append(out, arg, strlen(arg) + 1);
    return MG_OK;
}

static void who_we_are_is_said_first(void **state) {
    (void)state;
    const mg_redis_command more = {(const mg_str[]){MG_STR("CLIENT"), MG_STR("X")}, 2};
    login = (mg_redis_login){
        .user = "bob",
        .password = give_password,
        .arg = "pw",
        .database = 3,
        .client_name = "me",
        .greetings = &more,
        .greeting_count = 1,
    };
    open_conn();
    ask(0, "a", 1000);
    assert_string_equal(rig_got(0), "HELLO 3 AUTH bob pw");
    rig_say(0, "%1\r\n+proto\r\n:3\r\n");
    assert_string_equal(rig_got(0), "SELECT 3|CLIENT SETNAME me|CLIENT X");
    rig_say(0, "+OK\r\n-NOPERM for a name\r\n");
    assert_int_equal(ready, 0);
    rig_say(0, "+OK\r\n");
    assert_string_equal(rig_got(0), "GET a");
}

static void an_old_server_is_spoken_to_in_resp2(void **state) {
    (void)state;
    login = (mg_redis_login){.password = give_password, .arg = "pw"};
    open_conn();
    ask(0, "a", 1000);
    assert_string_equal(rig_got(0), "HELLO 3 AUTH default pw");
    rig_say(0, "-ERR unknown command `HELLO`, with args beginning with:\r\n");
    assert_string_equal(rig_got(0), "AUTH pw");
    rig_say(0, "+OK\r\n");
    assert_string_equal(rig_got(0), "GET a");
    assert_false(mg_redis_conn_is_resp3(conn));
}

static void a_refused_login_is_told_and_tried_again_later(void **state) {
    (void)state;
    open_conn();
    ask(0, "a", 1000);
    rig_got(0);
    rig_say(0, "-NOAUTH HELLO must be called with the client already authenticated\r\n");
    assert_string_equal(calls[0].said, "auth: redis://h: it says: NOAUTH HELLO must be called "
                                       "with the client already authenticated");
    assert_false(calls[0].sent);
    assert_int_equal(ask(1, "a", 1000), MG_ECLOSED);
    rig_pass(20);
    assert_int_equal(rig_count, 2);
    rig_greet(1);
    assert_int_equal(ask(1, "a", 1000), MG_OK);
}

static void a_late_reply_is_nobodys(void **state) {
    (void)state;
    open_conn();
    ask(0, "a", 100);
    rig_greet(0);
    ask(1, "b", 1000);
    rig_pass(50);
    rig_say(0, ">1\r\n+alive\r\n"); // so it is not stuck
    rig_pass(60);
    assert_string_equal(calls[0].said, "timeout: redis://h has not answered within 0.1 s");
    assert_true(calls[0].sent);
    assert_false(calls[1].over);
    rig_say(0, "+late\r\n+B\r\n");
    assert_string_equal(calls[1].said, "B;");
}

static void a_server_that_says_nothing_is_left(void **state) {
    (void)state;
    open_conn();
    ask(0, "a", 100);
    rig_greet(0);
    ask(1, "b", 1000);
    rig_pass(101);
    assert_string_equal(calls[1].said, "timeout: redis://h: it has stopped answering");
    assert_true(calls[1].sent);
    assert_int_equal(ask(2, "c", 1000), MG_ECLOSED);
    // The next ones find nobody who greets, and calls fail at once meanwhile.
    rig_pass(1500);
    assert_true(rig_count > 1);
    assert_int_equal(ask(2, "c", 1000), MG_ECLOSED);
    assert_false(mg_redis_conn_usable(conn));
}

static void who_has_waited_for_a_greeting_in_vain_spares_the_next_ones(void **state) {
    (void)state;
    mg_deadlines shared;
    mg_deadlines_init(&shared, rig_loop, 300, mg_redis_call_late);
    mg_redis_conn_options o = options();
    o.deadlines = &shared;
    conn = mg_redis_conn_new(rig_loop, &o);
    ask(0, "short", 100);
    ask(1, "a", 300);
    rig_pass(101);
    assert_true(mg_redis_conn_usable(conn)); // it was told to wait less than others
    rig_pass(200);
    assert_string_equal(calls[1].said, "timeout: redis://h could not be asked within 0.3 s");
    assert_int_equal(ask(2, "b", 300), MG_ECLOSED);
    assert_string_equal(mg_redis_conn_why(conn), "redis://h: it does not answer");
    rig_greet(0);
    assert_int_equal(ask(2, "c", 300), MG_OK);
    assert_string_equal(rig_got(0), "GET c");
    rig_say(0, "+C\r\n");
    assert_string_equal(calls[2].said, "C;");
    mg_redis_conn_close(conn);
    conn = NULL;
    rig_settle();
    mg_deadlines_deinit(&shared);
}

static void what_is_not_sent_in_time_never_is(void **state) {
    (void)state;
    open_conn();
    ask(0, "a", 100);
    ask(1, "b", 1000);
    ask(2, "c", 1000);
    rig_pass(150);
    assert_string_equal(calls[0].said, "timeout: redis://h could not be asked within 0.1 s");
    assert_false(calls[0].sent);
    mg_redis_call_cancel(&calls[2].call);
    rig_greet(0);
    assert_string_equal(rig_got(0), "GET b");
    rig_say(0, "+B\r\n");
    assert_string_equal(calls[1].said, "B;");
    assert_false(calls[2].over);
}

static void a_loss_is_told_and_nothing_is_repeated(void **state) {
    (void)state;
    open_conn();
    ask(0, "a", 1000);
    rig_greet(0);
    rig_say(0, "+A\r\n");
    rig_pass(2000);
    ask(1, "b", 1000);
    rig_settle();
    rig_hang_up(0);
    assert_string_equal(calls[1].said, "closed: redis://h: it has closed the connection");
    assert_true(calls[1].sent);
    // It was a good connection: the next one is made at once, and calls wait for it.
    assert_int_equal(ask(2, "c", 1000), MG_OK);
    rig_settle();
    rig_greet(1);
    assert_string_equal(rig_got(1), "GET c");
}

static void the_queue_has_an_end(void **state) {
    (void)state;
    open_conn();
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ask(i, "k", 1000), MG_OK);
    }
    assert_int_equal(ask(4, "k", 1000), MG_ELIMIT);
    mg_redis_conn_options o = options();
    o.queue_bytes = 30;
    mg_redis_conn_close(conn);
    conn = mg_redis_conn_new(rig_loop, &o);
    assert_int_equal(ask(0, "k", 1000), MG_OK);
    assert_int_equal(ask(1, "k", 1000), MG_ELIMIT);
    o.queue_bytes = 10; // less than one alone, which is let through
    mg_redis_conn_close(conn);
    conn = mg_redis_conn_new(rig_loop, &o);
    assert_int_equal(ask(0, "k", 1000), MG_OK);
    assert_int_equal(ask(1, "k", 1000), MG_ELIMIT);
}

static void a_reply_beyond_the_limits_harms_no_other(void **state) {
    (void)state;
    char large[1100];
    open_conn();
    ask(0, "a", 1000);
    ask(1, "b", 1000);
    rig_greet(0);
    memset(large, 'x', sizeof large);
    memcpy(large, "+", 1);
    memcpy(large + sizeof large - 3, "\r\n", 3);
    rig_say(0, large);
    rig_say(0, "+B\r\n");
    assert_string_equal(calls[0].said, "lost;");
    assert_string_equal(calls[1].said, "B;");
}

static void what_is_no_redis_is_told(void **state) {
    (void)state;
    open_conn();
    ask(0, "a", 1000);
    rig_got(0);
    rig_say(0, "HTTP/1.1 400 Bad Request\r\n");
    assert_string_equal(calls[0].said, "protocol: redis://h: no answer of Redis: it begins with no "
                                       "type of RESP");
    rig_pass(20);
    rig_greet(1);
    rig_say(1, "+who asked?\r\n");
    assert_string_equal(why_lost, "protocol: redis://h: a reply came that nobody had asked for");
}

static void it_comes_back_when_the_server_does(void **state) {
    (void)state;
    rig_refuse = true;
    open_conn();
    ask(0, "a", 1000);
    rig_pass(10);
    assert_string_equal(calls[0].said, "connect: redis://h: refused");
    assert_int_equal(mg_redis_conn_state(conn), MG_REDIS_DOWN);
    rig_pass(5000);
    assert_int_equal(ask(0, "a", 1000), MG_ECLOSED);
    rig_refuse = false;
    rig_pass(1000);
    rig_greet(0);
    assert_int_equal(ask(0, "a", 1000), MG_OK);
    assert_string_equal(rig_got(0), "GET a");
}

static void nobody_asks_for_ever_for_nobody(void **state) {
    (void)state;
    rig_refuse = true;
    open_conn();
    ask(0, "a", 1000);
    rig_pass(10 * 60 * 1000);
    assert_int_equal(mg_redis_conn_state(conn), MG_REDIS_DOWN);
    rig_refuse = false;
    rig_pass(60 * 1000);
    assert_int_equal(rig_count, 0);
    assert_int_equal(ask(0, "a", 1000), MG_ECLOSED);
    rig_settle();
    assert_int_equal(rig_count, 1);
}

static void a_connection_of_one_holder_stays_lost(void **state) {
    (void)state;
    mg_redis_conn_options o = options();
    o.once = true;
    conn = mg_redis_conn_new(rig_loop, &o);
    ask(0, "a", 1000);
    rig_greet(0);
    rig_pass(2000);
    assert_int_equal(ask(0, "a", 1000), MG_ECLOSED);
    rig_pass(2000);
    assert_int_equal(rig_count, 1);
}

static void a_role_is_looked_at(void **state) {
    (void)state;
    login.role = "master";
    open_conn();
    ask(0, "a", 1000);
    rig_greet(0);
    assert_string_equal(rig_got(0), "ROLE");
    rig_say(0, "*2\r\n+slave\r\n:0\r\n");
    assert_string_equal(calls[0].said, "connect: redis://h: it is no master");
    rig_pass(20);
    rig_greet(1);
    assert_string_equal(rig_got(1), "ROLE");
    rig_say(1, "*2\r\n+master\r\n:0\r\n");
    assert_int_equal(ready, 1);
}

static void a_server_that_never_connects_is_given_up(void **state) {
    (void)state;
    rig_silent = true;
    open_conn();
    ask(0, "a", 60000);
    rig_pass(2001);
    assert_string_equal(calls[0].said, "timeout: redis://h: connecting took longer than 2.0 s");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, open_rig, close_rig)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(calls_wait_for_the_greeting_and_go_out_together),
        CASE(who_we_are_is_said_first),
        CASE(an_old_server_is_spoken_to_in_resp2),
        CASE(a_refused_login_is_told_and_tried_again_later),
        CASE(a_late_reply_is_nobodys),
        CASE(a_server_that_says_nothing_is_left),
        CASE(who_has_waited_for_a_greeting_in_vain_spares_the_next_ones),
        CASE(what_is_not_sent_in_time_never_is),
        CASE(a_loss_is_told_and_nothing_is_repeated),
        CASE(the_queue_has_an_end),
        CASE(a_reply_beyond_the_limits_harms_no_other),
        CASE(what_is_no_redis_is_told),
        CASE(it_comes_back_when_the_server_does),
        CASE(nobody_asks_for_ever_for_nobody),
        CASE(a_connection_of_one_holder_stays_lost),
        CASE(a_role_is_looked_at),
        CASE(a_server_that_never_connects_is_given_up),
    };
    return cmocka_run_group_tests_name("store/redis_conn", tests, NULL, NULL);
}
