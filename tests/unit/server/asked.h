// server/asked.h: a server that answers as a test says, one connection to it, and the exchange of a
// request on that.
#pragma once

#include "peer.h"

#define GET(path)        "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define OK(length, body) "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\n\r\n" body

enum { WINDOW = 1 << 20 };

static rig r;
static peer p;
static mg_conn *c;

static int set_up(void **state) {
    (void)state;
    rig_open(&r);
    r.echo = false;
    c = peer_open(&r, &p, WINDOW);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    peer_close(&r, &p, false);
    rig_close(&r);
    return 0;
}

// Sends `text` and takes the exchange that comes of it.
static mg_exchange *ask(const char *text) {
    peer_send(&r, &p, text);
    mg_exchange *x = rig_take(&r);
    assert_non_null(x);
    return x;
}

// The same, with the limit that holds.
static inline mg_exchange *begin(const char *text) {
    mg_exchange *x = ask(text);
    assert_int_equal(mg_exchange_limit_body(x, x->body_limit), MG_OK);
    return x;
}

static inline void respond(mg_exchange *x, const char *body) {
    mg_exchange_respond(x, &rig_ok, mg_str_of(body));
    rig_settle(&r);
}
