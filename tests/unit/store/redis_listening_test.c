#include "redis_cluster_rig.h"

typedef struct listener {
    mg_redis_subscription s;
    char said[256];
} listener;

static listener ears;

static void on_message(mg_redis_subscription *s, mg_str channel, mg_str message) {
    listener *l = MG_OF(s, listener, s);
    size_t n = strlen(l->said);
    (void)channel;
    snprintf(l->said + n, sizeof l->said - n, "%.*s ", (int)message.n, message.p);
}

static void on_listening(mg_redis_subscription *s, bool again) {
    listener *l = MG_OF(s, listener, s);
    size_t n = strlen(l->said);
    snprintf(l->said + n, sizeof l->said - n, "%s ", again ? "[again]" : "[on]");
}

static void on_refused(mg_redis_subscription *s, const mg_redis_fault *f) {
    snprintf(MG_OF(s, listener, s)->said, 256, "refused %s", f->text);
}

static void listen_to(const char *name, uint32_t kind) {
    ears = (listener){.s = {.on_message = on_message,
                            .on_listening = on_listening,
                            .on_fault = on_refused,
                            .name = name,
                            .kind = kind}};
    assert_int_equal(mg_redis_subscribe(redis, &ears.s, NULL), MG_OK);
    rig_settle();
}

static void a_sharded_channel_is_listened_to_where_it_is(void **state) {
    (void)state;
    open_cluster();
    listen_to("bar", MG_REDIS_SHARDED);
    int c = rig_count - 1;
    assert_int_equal(rig_servers[c].port, 1);
    greet(c);
    assert_string_equal(rig_got(c), "SSUBSCRIBE bar");
    rig_say(c, ">3\r\n+ssubscribe\r\n+bar\r\n:1\r\n>3\r\n+smessage\r\n+bar\r\n+hello\r\n");
    assert_string_equal(ears.said, "[on] hello ");
    // It moves: the server says so.
    rig_pass(1000);
    rig_say(c, ">3\r\n+sunsubscribe\r\n+bar\r\n:0\r\n");
    rig_pass(200);
    give_map("*1\r\n" RANGE("0", "16383", SERVER("b", "2"), "3"));
    rig_settle();
    int d = rig_count - 1;
    assert_int_equal(rig_servers[d].port, 2);
    greet(d);
    assert_string_equal(rig_got(d), "SSUBSCRIBE bar");
    rig_say(d, ">3\r\n+ssubscribe\r\n+bar\r\n:1\r\n");
    assert_string_equal(ears.said, "[on] hello [again] ");
    mg_redis_unsubscribe(redis, &ears.s);
}

static void a_sharded_channel_that_is_elsewhere_is_followed(void **state) {
    (void)state;
    open_cluster();
    rig_pass(1000);
    listen_to("bar", MG_REDIS_SHARDED);
    int c = rig_count - 1;
    greet(c);
    rig_got(c);
    rig_say(c, "-MOVED 5061 b:2\r\n");
    rig_pass(200);
    give_map("*1\r\n" RANGE("0", "16383", SERVER("b", "2"), "3"));
    rig_settle();
    greet(rig_count - 1);
    assert_string_equal(rig_got(rig_count - 1), "SSUBSCRIBE bar");
    rig_say(rig_count - 1, ">3\r\n+ssubscribe\r\n+bar\r\n:1\r\n");
    assert_string_equal(ears.said, "[on] ");
}

static void another_channel_is_heard_of_any_server(void **state) {
    (void)state;
    open_cluster();
    listen_to("news", MG_REDIS_CHANNEL);
    int c = rig_count - 1;
    greet(c);
    assert_string_equal(rig_got(c), "SUBSCRIBE news");
    rig_say(c, ">3\r\n+subscribe\r\n+news\r\n:1\r\n");
    rig_pass(1001);
    rig_hang_up(c);
    rig_pass(500);
    assert_true(rig_count - 1 > c);
    assert_int_not_equal(rig_servers[rig_count - 1].port, rig_servers[c].port);
    greet(rig_count - 1);
    assert_string_equal(rig_got(rig_count - 1), "SUBSCRIBE news");
    rig_say(rig_count - 1, ">3\r\n+subscribe\r\n+news\r\n:1\r\n");
    assert_string_equal(ears.said, "[on] [again] ");
    mg_redis_unsubscribe(redis, &ears.s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_open, close_rig)
        CASE(a_sharded_channel_is_listened_to_where_it_is),
        CASE(a_sharded_channel_that_is_elsewhere_is_followed),
        CASE(another_channel_is_heard_of_any_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
