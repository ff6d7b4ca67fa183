// client/raw_server.h: a server in the test's loop, on a clock that stands still. It does nothing
// of its own: tests read what it got and write its answers.
#pragma once

#include "unit.h"

#include "base/buf.h"
#include "event/listener.h"
#include "event/timer.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

enum { PEERS = 8 };

typedef struct raw_peer {
    mg_stream s;
    mg_buf got;
    bool ended, closed;
} raw_peer;

static mg_loop *loop;
static mg_listener *listener;
static uint16_t port;
static raw_peer peers[PEERS];
static int accepted;

// A test that waits in vain is ended by the alarm.
#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        while (!(condition)) {                                                                     \
            mg_loop_turn(loop, true, false, UINT64_MAX);                                           \
        }                                                                                          \
    } while (0)

static inline void turns(int n) {
    for (int i = 0; i < n; i++) {
        mg_loop_turn(loop, false, false, 0);
    }
}

static inline void pass_ms(uint64_t ms) {
    mg_loop_set_now(loop, mg_loop_now_ms(loop) + ms);
    turns(2);
}

// --- the server ---

static inline void on_peer_read(mg_stream *s, const char *data, size_t n) {
    mg_buf_append(&MG_OF(s, raw_peer, s)->got, data, n);
}

static inline void on_peer_end(mg_stream *s, int status) {
    (void)status;
    MG_OF(s, raw_peer, s)->ended = true;
}

static inline void on_peer_drain(mg_stream *s, int status) {
    (void)s;
    (void)status;
}

static inline void on_peer_closed(mg_stream *s) {
    MG_OF(s, raw_peer, s)->closed = true;
}

static const mg_stream_events raw_events = {on_peer_read, on_peer_end, on_peer_drain,
                                            on_peer_closed};

static inline void on_connection(void *arg, mg_listener *l) {
    (void)arg;
    assert_true(accepted < PEERS);
    if (mg_listener_accept(l, &peers[accepted].s, &raw_events) == 0) {
        mg_stream_read_start(&peers[accepted++].s);
    }
}

static inline void says(int i, const char *text) {
    const struct iovec v = {(void *)(uintptr_t)text, strlen(text)};
    assert_int_equal(mg_stream_write(&peers[i].s, &v, 1), 0);
}

static inline void hangs_up(int i) {
    mg_stream_close(&peers[i].s, false);
}

static inline bool has_got(int i, const char *text) {
    const raw_peer *p = &peers[i];
    return accepted > i && p->got.n > 0 && memmem(p->got.p, p->got.n, text, strlen(text)) != NULL;
}

// Waits for a request to `path`, alone on its connection since the last one.
static inline void expect_request(int i, const char *path) {
    char line[64];
    int n = snprintf(line, sizeof line, "%s HTTP/1.1\r\n", path);
    UNTIL(has_got(i, "\r\n\r\n"));
    const char *target = memchr(peers[i].got.p, ' ', peers[i].got.n);
    assert_memory_equal(target + 1, line, (size_t)n);
    mg_buf_clear(&peers[i].got);
}

// --- life ---

static inline void listen_here(void) {
    mg_address a;
    mg_error err;
    assert_int_equal(mg_address_parse("127.0.0.1:0", &a, &err), 0);
    int fd = mg_listen_socket(&a, false, &err);
    assert_true(fd >= 0);
    assert_int_equal(mg_address_of_socket(fd, &a), 0);
    port = ntohs(((const struct sockaddr_in *)&a.sa)->sin_port);
    assert_int_equal(mg_listener_open(&listener, loop, fd, on_connection, NULL), 0);
}

static inline void hang_up_all(void) {
    mg_listener_close(listener);
    for (int i = 0; i < accepted; i++) {
        mg_stream_close(&peers[i].s, false);
        UNTIL(peers[i].closed);
        mg_buf_deinit(&peers[i].got);
    }
    memset(peers, 0, sizeof peers);
    accepted = 0;
}

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define OK_HI    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
