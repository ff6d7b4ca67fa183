#include "store/redis.h"

#include "redis_rig.h"

typedef struct asked {
    mg_redis_request q;
    char said[256];
    uint32_t last_index;
    bool over;
} asked;

typedef struct listener {
    mg_redis_subscription s;
    char said[256];
} listener;

static mg_redis *redis;
static asked calls[8];
static listener listeners[4];
static char news[512];

static void on_reply(mg_redis_request *q, uint32_t index, const mg_redis_reply *r, bool last) {
    asked *a = MG_OF(q, asked, q);
    mg_str text = mg_redis_is_text(r->values) ? mg_redis_text(r, r->values) : MG_STR("?");
    size_t n = strlen(a->said);
    snprintf(a->said + n, sizeof a->said - n, "%u=%.*s ", index, (int)text.n, text.p);
    a->over = last;
}

static void on_fault(mg_redis_request *q, const mg_redis_fault *f) {
    asked *a = MG_OF(q, asked, q);
    snprintf(a->said, sizeof a->said, "%s: %s", f->code, f->text);
    a->over = true;
}

static void add_news(const char *mark, const char *text) {
    size_t n = strlen(news);
    snprintf(news + n, sizeof news - n, "%s%s\n", mark, text);
}

static void on_warning(void *arg, const char *text) {
    (void)arg;
    add_news("! ", text);
}

static void on_news(void *arg, const char *text) {
    (void)arg;
    add_news("", text);
}

static void open_redis(const char *url) {
    mg_error err;
    const mg_redis_options o = {
        .url = mg_str_of(url), .on_warning = on_warning, .on_news = on_news};
    news[0] = '\0';
    if (mg_redis_open(&redis, rig_loop, &o, &err) != MG_OK) {
        fail_msg("%s", err.text);
    }
}

static int close_rig(void **state) {
    mg_redis_free(redis);
    redis = NULL;
    rig_settle();
    return rig_close(state);
}

static mg_error refused;

static int ask(int i, const char *verb, const char *key) {
    const mg_str words[] = {mg_str_of(verb), mg_str_of(key)};
    const mg_redis_command command = {words, 2};
    calls[i] = (asked){.q = {.on_reply = on_reply, .on_fault = on_fault}};
    int rc = mg_redis_send(redis, &calls[i].q, &command, 1, &refused);
    mg_loop_turn_soon(rig_loop);
    return rc;
}

static int ask_alone(int i, const char *verb, uint32_t timeout_ms) {
    const mg_str words[] = {mg_str_of(verb), MG_STR("l")};
    const mg_redis_command command = {words, 2};
    calls[i] = (asked){
        .q = {.on_reply = on_reply, .on_fault = on_fault, .timeout_ms = timeout_ms, .alone = true}};
    int rc = mg_redis_send(redis, &calls[i].q, &command, 1, &refused);
    mg_loop_turn_soon(rig_loop);
    return rc;
}

static void commands_of_one_request_stay_together(void **state) {
    (void)state;
    open_redis("redis://h");
    const mg_str get[] = {MG_STR("GET"), MG_STR("a")};
    const mg_str set[] = {MG_STR("SET"), MG_STR("b"), MG_STR("1")};
    const mg_redis_command commands[] = {{get, 2}, {set, 3}};
    calls[0] = (asked){.q = {.on_reply = on_reply, .on_fault = on_fault}};
    assert_int_equal(mg_redis_send(redis, &calls[0].q, commands, 2, NULL), MG_OK);
    assert_string_equal(rig_got(0), "HELLO 3");
    rig_say(0, "%1\r\n+proto\r\n:3\r\n");
    assert_string_equal(rig_got(0), "CLIENT SETNAME moongate");
    rig_say(0, "+OK\r\n");
    assert_string_equal(rig_got(0), "GET a|SET b 1");
    rig_say(0, "+A\r\n");
    assert_false(calls[0].over);
    rig_say(0, "+OK\r\n");
    assert_string_equal(calls[0].said, "0=A 1=OK ");
    assert_true(calls[0].over);
}

static void greet(int server) {
    assert_string_equal(rig_got(server), "HELLO 3");
    rig_say(server, "%1\r\n+proto\r\n:3\r\n");
    rig_got(server);
    rig_say(server, "+OK\r\n");
}

static void a_slow_command_does_not_hold_up_others(void **state) {
    (void)state;
    open_redis("redis://h?connections=2");
    ask(0, "GET", "slow");
    greet(0);
    ask(1, "GET", "with it");
    assert_string_equal(rig_got(0), "GET slow|GET with it");
    assert_int_equal(rig_count, 1);
    rig_pass(30);
    ask(2, "GET", "other");
    rig_settle();
    greet(1);
    assert_string_equal(rig_got(1), "GET other");
}

static void what_is_down_fails_at_once_and_is_told_once(void **state) {
    (void)state;
    rig_refuse = true;
    open_redis("redis://h?connections=2");
    assert_int_equal(ask(0, "GET", "a"), MG_OK);
    rig_settle();
    assert_string_equal(calls[0].said, "connect: redis://h:6379: refused");
    assert_int_equal(ask(0, "GET", "a"), MG_ECLOSED);
    assert_string_equal(refused.text, "redis://h:6379: refused");
    mg_redis_stats stats;
    mg_redis_read_stats(redis, &stats);
    assert_string_equal(stats.state, "down");
    assert_string_equal(stats.why, "redis://h:6379: refused");
    rig_pass(3000);
    rig_refuse = false;
    rig_pass(1001);
    greet(0);
    assert_string_equal(news, "! redis://h:6379: refused\nredis://h:6379: there again\n");
    assert_int_equal(ask(0, "GET", "a"), MG_OK);
    mg_redis_read_stats(redis, &stats);
    assert_string_equal(stats.state, "ready");
}

static void a_lease_is_for_one_and_comes_back(void **state) {
    (void)state;
    mg_error err;
    mg_redis_conn *conn;
    mg_redis_conn *other;
    open_redis("redis://h?leases=1");
    assert_int_equal(mg_redis_lease(redis, MG_STR(""), &conn, &err), MG_OK);
    assert_int_equal(mg_redis_lease(redis, MG_STR(""), &other, &err), MG_ELIMIT);
    assert_string_equal(err.text, "redis://h:6379: all 1 leases are taken");
    mg_redis_conn_dial(conn);
    rig_settle();
    greet(0);
    mg_redis_give_back(redis, conn, true);
    assert_int_equal(mg_redis_lease(redis, MG_STR(""), &other, &err), MG_OK);
    assert_ptr_equal(other, conn);
    mg_redis_give_back(redis, conn, false);
    rig_settle();
    assert_true(rig_servers[0].ended);
    assert_int_equal(mg_redis_lease(redis, MG_STR(""), &conn, &err), MG_OK);
}

static uint32_t leased(void) {
    mg_redis_stats stats;
    mg_redis_read_stats(redis, &stats);
    return stats.leased;
}

static void what_waits_at_the_server_has_a_connection_of_its_own(void **state) {
    (void)state;
    open_redis("redis://h?leases=1&timeout=1");
    ask(0, "GET", "a");
    greet(0);
    rig_got(0);
    rig_say(0, "+A\r\n");
    assert_int_equal(ask_alone(1, "BLPOP", 0), MG_OK);
    greet(1);
    assert_string_equal(rig_got(1), "BLPOP l");
    assert_int_equal(leased(), 1);
    assert_int_equal(ask_alone(2, "BLPOP", 0), MG_ELIMIT);
    ask(2, "GET", "b"); // is held up by nobody
    assert_string_equal(rig_got(0), "GET b");
    rig_say(0, "+B\r\n");
    assert_string_equal(calls[2].said, "0=B ");
    rig_pass(3600 * 1000);
    assert_false(calls[1].over);
    rig_say(1, "+L\r\n");
    assert_string_equal(calls[1].said, "0=L ");
    assert_int_equal(leased(), 0);
    assert_int_equal(ask_alone(1, "BRPOP", 500), MG_OK); // the same one
    assert_string_equal(rig_got(1), "BRPOP l");
    rig_pass(501);
    assert_memory_equal(calls[1].said, "timeout: ", 9);
    assert_int_equal(leased(), 0);
    assert_true(rig_servers[1].ended);
}

static void what_waits_may_be_cancelled(void **state) {
    (void)state;
    open_redis("redis://h");
    assert_int_equal(ask_alone(0, "BLPOP", 0), MG_OK);
    greet(0);
    mg_redis_cancel(&calls[0].q);
    rig_settle();
    assert_true(rig_servers[0].ended);
    assert_int_equal(leased(), 0);
}

// --- listening ---

static void hear(mg_redis_subscription *s, mg_str channel, mg_str message) {
    listener *l = MG_OF(s, listener, s);
    size_t n = strlen(l->said);
    snprintf(l->said + n, sizeof l->said - n, "%.*s:%.*s ", (int)channel.n, channel.p,
             (int)message.n, message.p);
}

static void hear_on(mg_redis_subscription *s, bool again) {
    listener *l = MG_OF(s, listener, s);
    size_t n = strlen(l->said);
    snprintf(l->said + n, sizeof l->said - n, "%s ", again ? "again" : "on");
}

static void hear_fault(mg_redis_subscription *s, const mg_redis_fault *f) {
    listener *l = MG_OF(s, listener, s);
    snprintf(l->said, sizeof l->said, "%s: %s", f->code, f->text);
}

static void listen_to(int i, uint32_t kind, const char *name) {
    listeners[i] = (listener){.s = {.on_message = hear,
                                    .on_listening = hear_on,
                                    .on_fault = hear_fault,
                                    .kind = kind,
                                    .name = name}};
    assert_int_equal(mg_redis_subscribe(redis, &listeners[i].s, NULL), MG_OK);
    mg_loop_turn_soon(rig_loop);
}

static void channels_are_asked_for_once_and_again_when_lost(void **state) {
    (void)state;
    open_redis("redis://h");
    listen_to(0, MG_REDIS_CHANNEL, "a");
    listen_to(1, MG_REDIS_CHANNEL, "a");
    listen_to(2, MG_REDIS_PATTERN, "b*");
    rig_settle();
    greet(0);
    const char *got = rig_got(0);
    assert_true(strcmp(got, "SUBSCRIBE a|PSUBSCRIBE b*") == 0 ||
                strcmp(got, "PSUBSCRIBE b*|SUBSCRIBE a") == 0);
    rig_say(0, strcmp(got, "SUBSCRIBE a|PSUBSCRIBE b*") == 0
                   ? ">3\r\n+subscribe\r\n+a\r\n:1\r\n>3\r\n+psubscribe\r\n+b*\r\n:2\r\n"
                   : ">3\r\n+psubscribe\r\n+b*\r\n:1\r\n>3\r\n+subscribe\r\n+a\r\n:2\r\n");
    rig_say(0, ">3\r\n+message\r\n+a\r\n+1\r\n>4\r\n+pmessage\r\n+b*\r\n+bc\r\n+2\r\n");
    assert_string_equal(listeners[0].said, "on a:1 ");
    assert_string_equal(listeners[1].said, "on a:1 ");
    assert_string_equal(listeners[2].said, "on bc:2 ");
    // One more on a channel that is on: nothing is asked.
    listen_to(3, MG_REDIS_CHANNEL, "a");
    rig_pass(1);
    assert_string_equal(rig_got(0), "");
    assert_string_equal(listeners[3].said, "on ");
    mg_redis_unsubscribe(redis, &listeners[2].s);
    assert_string_equal(rig_got(0), "PUNSUBSCRIBE b*");
    rig_say(0, ">3\r\n+punsubscribe\r\n+b*\r\n:1\r\n");
    rig_pass(2000);
    rig_hang_up(0);
    rig_settle();
    greet(1);
    assert_string_equal(rig_got(1), "SUBSCRIBE a");
    rig_say(1, ">3\r\n+subscribe\r\n+a\r\n:1\r\n");
    assert_string_equal(listeners[0].said, "on a:1 again ");
    for (int i = 0; i < 4; i++) {
        if (i != 2) {
            mg_redis_unsubscribe(redis, &listeners[i].s);
        }
    }
    assert_string_equal(rig_got(1), "UNSUBSCRIBE a");
    rig_say(1, ">3\r\n+unsubscribe\r\n+a\r\n:0\r\n");
    rig_settle();
    assert_true(rig_servers[1].ended); // nobody listens
}

static void a_refused_channel_is_told_and_an_idle_connection_is_asked(void **state) {
    (void)state;
    open_redis("redis://h?resp=2");
    listen_to(0, MG_REDIS_CHANNEL, "secret");
    listen_to(1, MG_REDIS_SHARDED, "mine");
    rig_settle();
    rig_got(0);
    rig_say(0, "+OK\r\n"); // CLIENT SETNAME
    bool first = strcmp(rig_got(0), "SUBSCRIBE secret|SSUBSCRIBE mine") == 0;
    rig_say(0, first ? "-NOPERM no\r\n*3\r\n+ssubscribe\r\n+mine\r\n:1\r\n"
                     : "*3\r\n+ssubscribe\r\n+mine\r\n:1\r\n-NOPERM no\r\n");
    assert_string_equal(listeners[0].said, "refused: redis://h:6379 refuses 'secret': NOPERM no");
    assert_string_equal(listeners[1].said, "on ");
    rig_pass(10001);
    assert_string_equal(rig_got(0), "PING");
    rig_say(0, "*2\r\n+pong\r\n+\r\n*3\r\n+smessage\r\n+mine\r\n+x\r\n");
    assert_string_equal(listeners[1].said, "on mine:x ");
    rig_pass(40000); // it says nothing any more
    assert_true(rig_count > 1);
}

// --- sentinels ---

static void sentinels_say_where_the_master_is(void **state) {
    (void)state;
    open_redis("redis+sentinel://s1,s2/main?connections=1");
    ask(0, "GET", "a");
    rig_settle();
    assert_string_equal(rig_servers[0].host, "s1");
    assert_int_equal(rig_servers[0].port, 26379);
    assert_string_equal(rig_got(0), "CLIENT SETNAME moongate");
    rig_say(0, "+OK\r\n");
    assert_string_equal(rig_got(0), "SENTINEL GET-MASTER-ADDR-BY-NAME main");
    rig_say(0, "*-1\r\n"); // it does not know
    rig_settle();
    rig_pass(0);
    assert_string_equal(rig_servers[1].host, "s2");
    rig_got(1);
    rig_say(1, "+OK\r\n");
    rig_got(1);
    rig_say(1, "*2\r\n$8\r\n10.0.0.1\r\n$4\r\n7000\r\n");
    rig_settle();
    // To the master, and to the sentinel that knew, which is listened to.
    int master = strcmp(rig_servers[2].host, "10.0.0.1") == 0 ? 2 : 3;
    int hears = 5 - master;
    assert_string_equal(rig_servers[master].host, "10.0.0.1");
    assert_int_equal(rig_servers[master].port, 7000);
    assert_string_equal(rig_servers[hears].host, "s2");
    assert_string_equal(rig_got(master), "HELLO 3");
    rig_say(master, "%1\r\n+proto\r\n:3\r\n");
    assert_string_equal(rig_got(master), "CLIENT SETNAME moongate|ROLE");
    rig_say(master, "+OK\r\n*1\r\n+master\r\n");
    assert_string_equal(rig_got(master), "GET a");
    rig_say(master, "+A\r\n");
    assert_string_equal(calls[0].said, "0=A ");
    rig_got(hears);
    rig_say(hears, "+OK\r\n");
    assert_string_equal(rig_got(hears), "SUBSCRIBE +switch-master");
    rig_say(hears, "*3\r\n+subscribe\r\n+$switch\r\n:1\r\n");
    rig_pass(2000);
    rig_say(hears, "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$34\r\n"
                   "main 10.0.0.1 7000 10.0.0.2 7001  \r\n");
    rig_settle();
    ask(1, "GET", "b");
    rig_settle();
    assert_true(rig_servers[master].ended);
    assert_true(rig_count > 4);
}

static void when_no_sentinel_knows_calls_fail(void **state) {
    (void)state;
    rig_refuse = true;
    open_redis("redis+sentinel://s1,s2/main");
    ask(0, "GET", "a");
    rig_pass(10);
    assert_string_equal(calls[0].said, "connect: redis+sentinel://s1:26379,s2:26379/main: the "
                                       "sentinel s2:26379: refused");
    assert_int_equal(ask(0, "GET", "a"), MG_ECLOSED);
}

static void a_wrong_url_is_refused(void **state) {
    (void)state;
    mg_error err;
    const mg_redis_options bad = {.url = MG_STR("redis://u:secret@h?nonsense=1")};
    assert_int_equal(mg_redis_open(&redis, rig_loop, &bad, &err), MG_ECONFIG);
    assert_null(strstr(err.text, "secret"));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_open, close_rig)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(commands_of_one_request_stay_together),
        CASE(a_slow_command_does_not_hold_up_others),
        CASE(what_is_down_fails_at_once_and_is_told_once),
        CASE(a_lease_is_for_one_and_comes_back),
        CASE(what_waits_at_the_server_has_a_connection_of_its_own),
        CASE(what_waits_may_be_cancelled),
        CASE(channels_are_asked_for_once_and_again_when_lost),
        CASE(a_refused_channel_is_told_and_an_idle_connection_is_asked),
        CASE(sentinels_say_where_the_master_is),
        CASE(when_no_sentinel_knows_calls_fail),
        CASE(a_wrong_url_is_refused),
    };
    return cmocka_run_group_tests_name("store/redis_client", tests, NULL, NULL);
}
