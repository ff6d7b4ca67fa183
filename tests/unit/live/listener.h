// A subscriber that writes down what it is told.
#pragma once

#include "live/topics.h"

#include "unit.h"

typedef struct listener {
    mg_subscriber subscriber; // first
    mg_buf heard;
    mg_packet *last;
    struct listener *ends; // who leaves when this one is told something; NULL: nobody
} listener;

static void on_heard(mg_subscriber *s, mg_packet *p) {
    listener *l = (listener *)s;
    mg_buf_append_str(&l->heard, p->message.payload);
    l->last = p;
    if (l->ends != NULL) {
        mg_subscriber_leave(&l->ends->subscriber);
    }
}

static inline void listener_join(listener *l, mg_topics *t, const char *topic) {
    static const mg_subscriber_ops ops = {.on_message = on_heard};
    if (l->subscriber.ops == NULL) {
        mg_subscriber_init(&l->subscriber, t, &ops);
    }
    assert_int_equal(mg_topics_subscribe(&l->subscriber, mg_str_of(topic), NULL), MG_OK);
}

static inline void listener_end(listener *l) {
    mg_subscriber_leave(&l->subscriber);
    mg_buf_deinit(&l->heard);
}

static inline void publish(mg_topics *t, const char *topic, const char *text, listener *except) {
    mg_publication m = {.payload = mg_str_of(text)};
    mg_subscriber *s = except != NULL ? &except->subscriber : NULL;
    assert_int_equal(mg_topics_publish(t, mg_str_of(topic), &m, s, NULL), MG_OK);
}

#define assert_heard(l, text) assert_true(mg_str_eq(mg_buf_str(&(l)->heard), MG_STR(text)))
