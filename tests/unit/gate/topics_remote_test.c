#include "gate/topics_remote.h"

#include "../live/listener.h"
#include "../store/redis_rig.h"

enum { NODE = 7, OTHER = 8 };

static mg_redis *redis;
static mg_topics *topics;
static mg_topics_redis *remote;
static char warned[1024];

static void on_warning(void *arg, const char *text) {
    size_t n = strlen(warned);
    (void)arg;
    snprintf(warned + n, sizeof warned - n, "%s\n", text);
}

static int open_with(const char *url) {
    mg_error err;
    warned[0] = '\0';
    const mg_redis_options o = {.url = mg_str_of(url)};
    assert_int_equal(mg_redis_open(&redis, rig_loop, &o, &err), MG_OK);
    topics =
        mg_topics_new(&(mg_topics_options){.topics = 40, .subscribed = 3, .message_bytes = 100});
    remote = mg_topics_redis_new(
        rig_loop, &(mg_topics_redis_options){
                      .topics = topics, .redis = redis, .node = NODE, .on_warning = on_warning});
    return 0;
}

static int set_up(void **state) {
    rig_open(state);
    return open_with("redis://h?resp=2&client_name=&connections=1&prefix=p:");
}

static int tear_down(void **state) {
    mg_topics_redis_free(remote);
    mg_topics_free(topics);
    mg_redis_free(redis);
    rig_settle();
    return rig_close(state);
}

// What came of another node: its number, kind and lengths, then all the rest.
static void say_message(int server, int node, const char *topic, const char *text) {
    mg_buf b = {0};
    char head[13] = {(char)node};
    mg_buf_printf(&b, "*3\r\n$7\r\nmessage\r\n$%zu\r\n%s\r\n$%zu\r\n", strlen(topic), topic,
                  sizeof head + strlen(text));
    mg_buf_append(&b, head, sizeof head);
    mg_buf_printf(&b, "%s\r\n", text);
    const struct iovec v = {b.p, b.n};
    mg_stream_write(&rig_servers[server].stream, &v, 1);
    mg_buf_deinit(&b);
    rig_settle();
}

static const char subscribed[] = "*3\r\n$9\r\nsubscribe\r\n$13\r\np:~topic:room\r\n:1\r\n";

static void what_is_published_here_goes_out(void **state) {
    (void)state;
    publish(topics, "room", "hello", NULL);
    rig_settle();
    mg_str got = mg_buf_str(&rig_servers[0].got);
    static const char wanted[] = "*3\r\n$7\r\nPUBLISH\r\n$13\r\np:~topic:room\r\n$18\r\n"
                                 "\7\0\0\0\0\0\0\0\0\0\0\0\0hello\r\n";
    assert_true(mg_str_eq(got, (mg_str){wanted, sizeof wanted - 1}));
    rig_got(0);
    rig_say(0, ":1\r\n");
    assert_string_equal(warned, "");
}

static void what_others_publish_comes_in_and_ones_own_does_not(void **state) {
    listener l = {0};
    (void)state;
    listener_join(&l, topics, "room");
    rig_settle();
    assert_string_equal(rig_got(0), "SUBSCRIBE p:~topic:room");
    rig_say(0, subscribed);
    say_message(0, OTHER, "p:~topic:room", "one ");
    say_message(0, NODE, "p:~topic:room", "echo ");
    say_message(0, OTHER, "p:~topic:room", "two");
    rig_say(0, "*3\r\n$7\r\nmessage\r\n$13\r\np:~topic:room\r\n$5\r\nshort\r\n");
    assert_heard(&l, "one two");
    listener_end(&l);
    assert_int_equal(mg_topics_names(topics), 0);
}

static void a_loss_is_told(void **state) {
    listener l = {0};
    (void)state;
    listener_join(&l, topics, "room");
    rig_settle();
    rig_got(0);
    rig_say(0, subscribed);
    rig_pass(1001);
    rig_hang_up(0);
    rig_pass(100);
    assert_string_equal(rig_got(1), "SUBSCRIBE p:~topic:room");
    rig_say(1, subscribed);
    assert_string_equal(warned, "topics: messages of other nodes may have been missed: the "
                                "connection to Redis was lost\n");
    say_message(1, OTHER, "p:~topic:room", "on");
    assert_heard(&l, "on");
    listener_end(&l);
}

static void what_cannot_be_sent_is_told_once_in_a_while(void **state) {
    (void)state;
    rig_refuse = true;
    for (int i = 0; i < 5; i++) {
        publish(topics, "room", "x", NULL);
        rig_pass(100);
    }
    assert_string_equal(warned,
                        "topics: messages do not reach other nodes: redis://h:6379: refused\n");
}

static void what_is_on_its_way_is_forgotten_at_the_end(void **state) {
    listener l = {0};
    (void)state;
    listener_join(&l, topics, "room");
    publish(topics, "room", "x", NULL);
    mg_topics_redis_free(remote);
    remote = NULL;
    publish(topics, "room", "y", NULL);
    assert_heard(&l, "xy");
    listener_end(&l);
}

static void one_that_is_refused_may_end_later(void **state) {
    listener l = {0};
    (void)state;
    listener_join(&l, topics, "room");
    rig_settle();
    rig_got(0);
    rig_say(0, "-NOPERM no\r\n");
    assert_non_null(strstr(warned, "topics: messages of other nodes do not come: "));
    listener_end(&l);
    listener_join(&l, topics, "room"); // is asked for anew
    rig_settle();
    assert_non_null(strstr(rig_got(rig_count - 1), "SUBSCRIBE p:~topic:room"));
    listener_end(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        CASE(what_is_published_here_goes_out),
        CASE(what_others_publish_comes_in_and_ones_own_does_not),
        CASE(a_loss_is_told),
        CASE(what_cannot_be_sent_is_told_once_in_a_while),
        CASE(one_that_is_refused_may_end_later),
        CASE(what_is_on_its_way_is_forgotten_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
