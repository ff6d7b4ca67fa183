// Guests on a loop with a virtual clock, and hosts that write down what they are told.
#pragma once

#include "live/host.h"

#include "carrier.h"

typedef struct test_host {
    mg_host host; // first
    int ready, news, drained, packed, forgotten;
    const char *state; // what it packs; NULL: nothing. "!": it cannot
} test_host;

static mg_loop *loop;
static mg_topics *topics;
static mg_guests *all;
static test_host one, two;
static carrier c;

static void on_ready(mg_host *h) {
    ((test_host *)h)->ready++;
}

static void on_news(mg_host *h, mg_guest *g) {
    (void)g;
    ((test_host *)h)->news++;
}

static void on_host_drained(mg_host *h, mg_guest *g) {
    (void)g;
    ((test_host *)h)->drained++;
}

static int pack(mg_host *h, mg_guest *g, mg_buf *out) {
    test_host *t = (test_host *)h;
    (void)g;
    t->packed++;
    if (t->state != NULL) {
        mg_buf_append_str(out, mg_str_of(t->state));
    }
    return t->state != NULL && t->state[0] == '!' ? MG_ELUA : MG_OK;
}

static void forget(mg_host *h, mg_guest *g) {
    (void)g;
    ((test_host *)h)->forgotten++;
}

static const mg_host_ops host_ops = {on_ready, on_news, on_host_drained, pack, forget};

static mg_guest_terms terms_of(const char *name, bool table, bool renews) {
    return (mg_guest_terms){.name = mg_str_of(name),
                            .id = 7,
                            .table = table,
                            .renews = renews,
                            .limits = {.message_bytes = 1 << 20}};
}

static void serve(test_host *h, const char *name, bool table, bool renews) {
    mg_guest_terms terms = terms_of(name, table, renews);
    mg_host_serve(&h->host, &terms, name[0] != '\0');
}

static mg_guest *new_guest(test_host *h, const char *route) {
    mg_guest *g = NULL;
    assert_int_equal(mg_guest_new(&g, &h->host, mg_str_of(route)), MG_OK);
    return g;
}

// A guest of `h` whose socket is open; the host has handled that.
static mg_guest *open_guest(test_host *h, const char *route) {
    mg_guest *g = new_guest(h, route);
    mg_socket_opening(&g->socket, 0);
    carrier_open(&c, &g->socket.tunnel);
    mg_socket_opened(&g->socket);
    return g;
}

static inline mg_guest_event next_of(test_host *h) {
    mg_guest_event e = {0};
    assert_true(mg_host_next(&h->host, &e));
    return e;
}

static inline void expect_none(test_host *h) {
    mg_guest_event e;
    assert_false(mg_host_next(&h->host, &e));
}

static int rig_set_up(void **state) {
    static const mg_topics_options topic_options = {10, 10, 1000};
    static const mg_guest_options options = {.outbox_bytes = 1000, .close_ms = 1000};
    (void)state;
    memset(&c, 0, sizeof c);
    memset(&one, 0, sizeof one);
    memset(&two, 0, sizeof two);
    topics = mg_topics_new(&topic_options);
    assert_int_equal(mg_loop_new(&loop, &(mg_loop_options){.virtual_clock = true}), 0);
    all = mg_guests_new(loop, topics, &options);
    mg_host_init(&one.host, &host_ops, all, 1);
    mg_host_init(&two.host, &host_ops, all, 2);
    return 0;
}

static int rig_tear_down(void **state) {
    (void)state;
    mg_host_leave(&one.host);
    mg_host_leave(&two.host);
    mg_guests_free(all);
    mg_topics_free(topics);
    mg_loop_free(loop);
    mg_buf_deinit(&c.sent);
    return 0;
}
