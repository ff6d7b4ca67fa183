#include "origin.h"

#include "base/mem.h"
#include "event/connect.h"
#include "event/timer.h"

#include <stdio.h>
#include <stdlib.h>

enum { BODY_BYTES = 1024, WINDOW = 1 << 20 };

typedef struct server {
    mg_stream stream;
    mg_timer soon; // a dial is answered later
    mg_connect *connect;
    mg_loop *loop;
} server;

static char answer[BODY_BYTES + 256];
static size_t answer_bytes;

// A request comes in one piece.
static void on_read(mg_stream *s, const char *data, size_t n) {
    if (n < 4 || (memcmp(data, "GET ", 4) != 0 && memcmp(data, "POST", 4) != 0)) {
        fprintf(stderr, "count: the origin was asked %.*s\n", (int)n, data);
        exit(1);
    }
    struct iovec v = {answer, answer_bytes};
    if (mg_stream_write(s, &v, 1) != 0) {
        abort();
    }
}

static void on_end(mg_stream *s, int status) {
    (void)status;
    mg_stream_close(s, false);
}

static void on_drain(mg_stream *s, int status) {
    (void)s;
    (void)status;
}

static void on_closed(mg_stream *s) {
    mg_free(MG_OF(s, server, stream));
}

static const mg_stream_events server_events = {on_read, on_end, on_drain, on_closed};

static void on_soon(mg_timer *t) {
    server *s = MG_OF(t, server, soon);
    mg_connect_accept(s->connect, &s->stream, &server_events, WINDOW);
    mg_stream_read_start(&s->stream);
}

static void on_connect(void *arg, mg_connect *c, const mg_connect_options *wanted) {
    (void)wanted;
    server *s = mg_calloc(1, sizeof *s);
    s->loop = arg;
    s->connect = c;
    mg_timer_start(s->loop, &s->soon, 0, 0, on_soon);
}

static void on_gone(void *arg, mg_connect *c) {
    (void)arg;
    (void)c;
    abort();
}

static void make_answer(void) {
    int head =
        snprintf(answer, sizeof answer,
                 "HTTP/1.1 200 OK\r\nServer: count/1.0\r\nDate: Sat, 28 Nov 2026 12:00:00 GMT\r\n"
                 "Content-Type: text/plain\r\nETag: \"65\"\r\nContent-Length: %d\r\n\r\n",
                 BODY_BYTES);
    memset(answer + head, 'x', BODY_BYTES);
    answer_bytes = (size_t)head + BODY_BYTES;
}

mg_upstreams *count_origin_open(mg_loop *loop) {
    static mg_connect_net net = {on_connect, on_gone, NULL};
    static const mg_upstream_server_options only = {
        .url = "http://127.0.0.1:9001", .host = "127.0.0.1", .port = 9001, .weight = 1};
    const mg_upstream_options origin = {
        .name = "origin",
        .servers = {&only, 1},
        .timeouts = {.connect_ms = 2000, .first_byte_ms = 30000, .idle_ms = 60000},
        .connections = 64,
        .idle_ms = 4000,
    };
    const mg_upstreams_options options = {.items = &origin, .n = 1};
    const mg_upstreams_setup setup = {
        .loop = loop,
        .seed = 1,
        .head = {.first_line_bytes = 8192, .bytes = 32768, .lines = 100},
    };
    mg_upstreams *upstreams;
    mg_error err;
    net.arg = loop;
    mg_connect_use(loop, &net);
    make_answer();
    if (mg_upstreams_new(&upstreams, &options, &setup, &err) != 0) {
        fprintf(stderr, "count: %s\n", err.text);
        exit(1);
    }
    return upstreams;
}
