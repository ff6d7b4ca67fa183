#include "live/topics.h"

#include "listener.h"

static mg_topics *topics_new(void) {
    return mg_topics_new(&(mg_topics_options){.topics = 40, .subscribed = 3, .message_bytes = 100});
}

static void reach_who_subscribes_but_the_publisher(void **state) {
    (void)state;
    mg_topics *t = topics_new();
    listener a = {0}, b = {0}, c = {0};
    listener_join(&a, t, "room:1");
    listener_join(&b, t, "room:1");
    listener_join(&b, t, "room:1"); // once is enough
    listener_join(&c, t, "room:2");
    publish(t, "room:1", "x", NULL);
    assert_ptr_equal(a.last, b.last); // one for all
    publish(t, "room:1", "y", &a);
    publish(t, "nobody", "z", NULL);
    assert_heard(&a, "x");
    assert_heard(&b, "xy");
    assert_heard(&c, "");
    assert_int_equal(mg_topics_count(t, MG_STR("room:1")), 2);
    assert_true(mg_topics_unsubscribe(&a.subscriber, MG_STR("room:1")));
    assert_false(mg_topics_unsubscribe(&a.subscriber, MG_STR("room:1")));
    assert_false(mg_topics_unsubscribe(&a.subscriber, MG_STR("nobody")));
    assert_int_equal(mg_topics_count(t, MG_STR("room:1")), 1);
    mg_topics_traffic traffic = mg_topics_traffic_of(t);
    assert_int_equal(traffic.published, 3);
    assert_int_equal(traffic.delivered, 3);
    listener_end(&a);
    listener_end(&b);
    listener_end(&c);
    assert_int_equal(mg_topics_names(t), 0);
    mg_topics_free(t);
}

static void who_is_told_may_end_itself_and_others(void **state) {
    (void)state;
    mg_topics *t = topics_new();
    listener all[4] = {0};
    for (int i = 0; i < 4; i++) {
        listener_join(&all[i], t, "room");
    }
    all[0].ends = &all[1]; // the next one
    all[2].ends = &all[2];
    publish(t, "room", "x", NULL);
    assert_heard(&all[0], "x");
    assert_heard(&all[1], "");
    assert_heard(&all[2], "x");
    assert_heard(&all[3], "x");
    all[0].ends = &all[0];
    all[3].ends = &all[3];
    publish(t, "room", "y", NULL); // the topic goes with the last of them
    assert_int_equal(mg_topics_names(t), 0);
    for (int i = 0; i < 4; i++) {
        listener_end(&all[i]);
    }
    mg_topics_free(t);
}

static void limits_hold(void **state) {
    (void)state;
    mg_topics *t = topics_new();
    listener all[14] = {0};
    char name[32];
    mg_error err = {""};
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "topic %d", i);
        listener_join(&all[i / 3], t, name);
    }
    mg_subscriber *last = &all[13].subscriber; // has one
    assert_int_equal(mg_topics_subscribe(last, MG_STR("another"), &err), MG_ELIMIT);
    assert_non_null(strstr(err.text, "limits.topics"));
    assert_int_equal(mg_topics_subscribe(last, MG_STR("topic 0"), &err), MG_OK);
    assert_int_equal(mg_topics_subscribe(last, MG_STR("topic 1"), &err), MG_OK);
    assert_int_equal(mg_topics_subscribe(last, MG_STR("topic 2"), &err), MG_ELIMIT);
    assert_non_null(strstr(err.text, "limits.subscriptions"));
    char large[101] = {0};
    mg_publication m = {.payload = {large, sizeof large}};
    assert_int_equal(mg_topics_publish(t, MG_STR("topic 0"), &m, NULL, &err), MG_ELIMIT);
    assert_non_null(strstr(err.text, "limits.outbox"));
    for (int i = 0; i < 14; i++) {
        listener_end(&all[i]);
    }
    assert_int_equal(mg_topics_names(t), 0);
    mg_topics_free(t);
}

static void names_are_judged(void **state) {
    (void)state;
    char longest[MG_TOPIC_NAME_MAX + 1];
    memset(longest, 'a', sizeof longest);
    assert_null(mg_topic_name_fault(MG_STR("room:1/x y\xc3\xa4")));
    assert_null(mg_topic_name_fault((mg_str){longest, MG_TOPIC_NAME_MAX}));
    assert_non_null(mg_topic_name_fault((mg_str){longest, sizeof longest}));
    assert_non_null(mg_topic_name_fault(MG_STR("")));
    assert_non_null(mg_topic_name_fault(MG_STR("a\nb")));
    assert_non_null(mg_topic_name_fault(MG_STR("a\0b")));
}

// --- another node ---

static mg_buf remote_log;

static void on_publish(void *arg, mg_str topic, const mg_publication *m) {
    (void)arg;
    mg_buf_printf(&remote_log, "publish %.*s %.*s;", (int)topic.n, topic.p, (int)m->payload.n,
                  m->payload.p);
}

static char room_of_remote, other_of_remote;

static void *on_subscribed(void *arg, mg_str topic) {
    (void)arg;
    mg_buf_printf(&remote_log, "+%.*s;", (int)topic.n, topic.p);
    return mg_str_eq(topic, MG_STR("room")) ? &room_of_remote : &other_of_remote;
}

static void on_unsubscribed(void *arg, mg_str topic, void *kept) {
    (void)arg;
    mg_buf_printf(&remote_log, "-%.*s;", (int)topic.n, topic.p);
    assert_ptr_equal(kept, mg_str_eq(topic, MG_STR("room")) ? &room_of_remote : &other_of_remote);
}

static const mg_topics_remote remote = {on_publish, on_subscribed, on_unsubscribed};

static void a_remote_is_told_and_delivers(void **state) {
    (void)state;
    mg_topics *t = topics_new();
    listener a = {0}, b = {0};
    listener_join(&a, t, "early");
    mg_topics_set_remote(t, &remote, NULL);
    listener_join(&a, t, "room");
    listener_join(&b, t, "room");
    publish(t, "room", "x", NULL);
    mg_topics_deliver(t, MG_STR("room"), &(mg_publication){.payload = MG_STR("far")});
    mg_topics_deliver(t, MG_STR("elsewhere"), &(mg_publication){.payload = MG_STR("lost")});
    assert_heard(&a, "xfar");
    assert_heard(&b, "xfar");
    listener_end(&a);
    listener_end(&b);
    assert_true(
        mg_str_eq(mg_buf_str(&remote_log), MG_STR("+early;+room;publish room x;-early;-room;")));
    mg_topics_set_remote(t, NULL, NULL);
    mg_buf_deinit(&remote_log);
    mg_topics_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reach_who_subscribes_but_the_publisher),
        cmocka_unit_test(who_is_told_may_end_itself_and_others),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(names_are_judged),
        cmocka_unit_test(a_remote_is_told_and_delivers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
