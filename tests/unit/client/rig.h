// client/rig.h: a client and a raw server in one loop, on a clock that stands still. The server
// does nothing of its own: tests read what it got and write its answers.
#pragma once

#include "unit.h"

#include "client/client.h"
#include "event/listener.h"
#include "event/timer.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

enum { PEERS = 8 };

typedef struct peer {
    mg_stream s;
    mg_buf got;
    bool ended, closed;
} peer;

static mg_loop *loop;
static mg_client *client;
static mg_listener *listener;
static uint16_t port;
static peer peers[PEERS];
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
    mg_buf_append(&MG_OF(s, peer, s)->got, data, n);
}

static inline void on_peer_end(mg_stream *s, int status) {
    (void)status;
    MG_OF(s, peer, s)->ended = true;
}

static inline void on_peer_drain(mg_stream *s, int status) {
    (void)s;
    (void)status;
}

static inline void on_peer_closed(mg_stream *s) {
    MG_OF(s, peer, s)->closed = true;
}

static const mg_stream_events peer_events = {on_peer_read, on_peer_end, on_peer_drain,
                                             on_peer_closed};

static inline void on_connection(void *arg, mg_listener *l) {
    (void)arg;
    assert_true(accepted < PEERS);
    if (mg_listener_accept(l, &peers[accepted].s, &peer_events) == 0) {
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
    const peer *p = &peers[i];
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

// --- calls ---

typedef struct caller {
    mg_call *call;
    int changes;
    bool close_in_change;
    struct caller *then; // started inside the first event
    mg_call_options options;
    char head[64];
} caller;

static inline void start_call(caller *c);

static inline void on_change(void *arg, mg_call *call) {
    caller *c = arg;
    assert_ptr_equal(c->call, call);
    c->changes++;
    if (c->close_in_change) {
        mg_call_close(call);
        c->call = NULL;
    }
    if (c->then != NULL) {
        start_call(c->then);
        c->then = NULL;
    }
}

static const mg_call_events call_events = {on_change};

// "GET /path", to be altered before its start.
static inline void prepare(caller *c, const char *method, const char *path) {
    *c = (caller){0};
    int n = snprintf(c->head, sizeof c->head, "%s %s HTTP/1.1\r\nHost: a\r\n", method, path);
    c->options = (mg_call_options){
        .origin = {.port = port, .host = MG_STR("127.0.0.1")},
        .timeouts = {.connect_ms = 1000, .first_byte_ms = 5000, .total_ms = 9000, .idle_ms = 3000},
        .head = {c->head, (size_t)n},
        .idempotent = strcmp(method, "POST") != 0,
        .to_head = strcmp(method, "HEAD") == 0,
        .max_bytes = 64 * 1024 * 1024,
    };
}

static inline void start_call(caller *c) {
    int before = c->changes;
    assert_int_equal(mg_call_start(&c->call, client, &c->options, &call_events, c), MG_OK);
    assert_int_equal(c->changes, before); // never inside
}

static inline void get(caller *c, const char *path) {
    prepare(c, "GET", path);
    start_call(c);
}

static inline bool is_over(const caller *c) {
    return mg_call_state_of(c->call) >= MG_CALL_DONE;
}

static inline void expect_content(caller *c, int status, const char *content) {
    UNTIL(is_over(c));
    const mg_call_fault *fault = mg_call_fault_of(c->call);
    if (fault != NULL) {
        fail_msg("%s: %s", fault->code, fault->text);
    }
    assert_int_equal(mg_call_response(c->call)->status, status);
    assert_text(content, mg_call_content(c->call));
    UNTIL(c->changes > 0);
    mg_call_close(c->call);
    c->call = NULL;
}

static inline void expect_fault(caller *c, const char *code, bool unsent) {
    UNTIL(c->changes > 0 && is_over(c));
    const mg_call_fault *fault = mg_call_fault_of(c->call);
    assert_non_null(fault);
    assert_string_equal(code, fault->code);
    assert_int_equal(fault->unsent, unsent);
    assert_memory_equal(fault->text, "http", 4);
    mg_call_close(c->call);
    c->call = NULL;
}

static inline mg_client_stats stats(void) {
    mg_client_stats s;
    mg_client_read_stats(client, &s);
    return s;
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

static inline void new_client(uint32_t connections, uint32_t waiting, uint32_t idle) {
    const mg_client_options options = {
        .connections = connections,
        .waiting = waiting,
        .idle_connections = idle,
        .idle_ms = 10000,
        .nameservers = "127.0.0.1:1",
        .head = {.first_line_bytes = 1000, .bytes = 4000, .lines = 20},
    };
    mg_error err;
    mg_client_free(client);
    client = NULL;
    assert_int_equal(mg_client_new(&client, loop, &options, &err), MG_OK);
}

static inline int set_up(void **state) {
    (void)state;
    alarm(60);
    const mg_loop_options options = {.virtual_clock = true};
    memset(peers, 0, sizeof peers);
    accepted = 0;
    assert_int_equal(mg_loop_new(&loop, &options), 0);
    listen_here();
    new_client(2, 10, 2);
    return 0;
}

static inline int tear_down(void **state) {
    (void)state;
    mg_client_free(client);
    client = NULL;
    mg_listener_close(listener);
    for (int i = 0; i < accepted; i++) {
        mg_stream_close(&peers[i].s, false);
        UNTIL(peers[i].closed);
        mg_buf_deinit(&peers[i].got);
    }
    return mg_loop_free(loop);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define OK_HI    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
