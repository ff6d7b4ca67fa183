#include "origin.h"

#include "base/mem.h"
#include "event/connect.h"
#include "event/timer.h"

#include <stdio.h>
#include <stdlib.h>

enum { BODY_BYTES = 1024, WINDOW = 1 << 20, H2_PORT = 9002, PREFACE = 24, FRAME_HEADER = 9 };

typedef struct server {
    mg_stream stream;
    mg_timer soon; // a dial is answered later
    mg_connect *connect;
    mg_loop *loop;
    bool http2;
    size_t skip; // bytes of the preface that have not come
} server;

static char answer[BODY_BYTES + 256];
static size_t answer_bytes;

static void say(mg_stream *s, const char *data, size_t n) {
    struct iovec v = {(void *)(uintptr_t)data, n};
    if (mg_stream_write(s, &v, 1) != 0) {
        abort();
    }
}

// The answer of HTTP/2: its two frames with their stream's id.
static char h2_answer[BODY_BYTES + 256];
static size_t h2_answer_bytes, h2_head_bytes;

// Frames come whole: HEADERS (1) are a request, whatever else there is is read over, but for
// SETTINGS.
static void on_read_h2(mg_stream *s, const char *data, size_t n) {
    server *o = MG_OF(s, server, stream);
    size_t at = o->skip < n ? o->skip : n;
    o->skip -= at;
    while (at + FRAME_HEADER <= n) {
        const uint8_t *p = (const uint8_t *)data + at;
        if (p[3] == 4 && (p[4] & 1) == 0) {
            say(s, "\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0", 18);
        } else if (p[3] == 1) {
            memcpy(h2_answer + 5, p + 5, 4);
            memcpy(h2_answer + h2_head_bytes + 5, p + 5, 4);
            say(s, h2_answer, h2_answer_bytes);
        }
        at += FRAME_HEADER + ((size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2]);
    }
}

// A request comes in one piece.
static void on_read(mg_stream *s, const char *data, size_t n) {
    if (MG_OF(s, server, stream)->http2) {
        on_read_h2(s, data, n);
        return;
    }
    if (n < 4 || (memcmp(data, "GET ", 4) != 0 && memcmp(data, "POST", 4) != 0)) {
        fprintf(stderr, "count: the origin was asked %.*s\n", (int)n, data);
        exit(1);
    }
    say(s, answer, answer_bytes);
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
    server *s = mg_calloc(1, sizeof *s);
    s->http2 = wanted->port == H2_PORT;
    s->skip = s->http2 ? PREFACE : 0;
    s->loop = arg;
    s->connect = c;
    mg_timer_start(s->loop, &s->soon, 0, 0, on_soon);
}

static void on_gone(void *arg, mg_connect *c) {
    (void)arg;
    (void)c;
    abort();
}

static void put_frame(char *at, size_t n, char type, char flags) {
    memset(at, 0, FRAME_HEADER);
    at[1] = (char)(n >> 8);
    at[2] = (char)n;
    at[3] = type;
    at[4] = flags;
}

// Nothing is indexed: static names, literal values.
static void make_h2_answer(void) {
    static const char block[] = "\x88"
                                "\x0f\x27\x09"
                                "count/1.0"
                                "\x0f\x12\x1d"
                                "Sat, 28 Nov 2026 12:00:00 GMT"
                                "\x0f\x10\x0atext/plain"
                                "\x0f\x13\x04\"65\""
                                "\x0f\x0d\x04"
                                "1024";
    size_t n = sizeof block - 1;
    put_frame(h2_answer, n, 1, 4);
    memcpy(h2_answer + FRAME_HEADER, block, n);
    h2_head_bytes = FRAME_HEADER + n;
    put_frame(h2_answer + h2_head_bytes, BODY_BYTES, 0, 1);
    h2_answer_bytes = h2_head_bytes + FRAME_HEADER + BODY_BYTES;
    memset(h2_answer + h2_answer_bytes - BODY_BYTES, 'x', BODY_BYTES);
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
    static mg_connect_net net = {.on_connect = on_connect, .on_gone = on_gone, .faithful = true};
    static const mg_upstream_server_options only = {
        .url = "http://127.0.0.1:9001", .host = "127.0.0.1", .port = 9001, .weight = 1};
    static const mg_upstream_server_options h2_only = {
        .url = "http://127.0.0.1:9002", .host = "127.0.0.1", .port = H2_PORT, .weight = 1};
    mg_upstream_options both[2] = {{
        .name = "origin",
        .servers = {&only, 1},
        .timeouts = {.connect_ms = 2000, .first_byte_ms = 30000, .idle_ms = 60000},
        .connections = 64,
        .idle_ms = 4000,
        .http2 = MG_HTTP2_NEVER,
    }};
    both[1] = both[0];
    both[1].name = "origin_h2";
    both[1].servers.items = &h2_only;
    both[1].http2 = MG_HTTP2_ALWAYS;
    const mg_upstreams_options options = {.items = both, .n = 2};
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
    make_h2_answer();
    if (mg_upstreams_new(&upstreams, &options, &setup, &err) != 0) {
        fprintf(stderr, "count: %s\n", err.text);
        exit(1);
    }
    return upstreams;
}
