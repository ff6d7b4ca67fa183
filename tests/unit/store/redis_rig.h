// redis_rig.h: a loop with a virtual clock on which every dial is given to the test, which is the
// server then: it reads commands as words and answers in bytes.
#pragma once

#include "base/buf.h"
#include "event/connect.h"
#include "store/redis_conn.h"
#include "unit.h"

enum { RIG_SERVERS = 16 };

typedef struct rig_server {
    mg_stream stream;
    mg_buf got;
    bool open, ended;
    char host[64];
    uint16_t port;
} rig_server;

static mg_loop *rig_loop;
static rig_server rig_servers[RIG_SERVERS];
static int rig_count;   // dials so far
static bool rig_refuse; // dials fail
static bool rig_silent; // dials are never answered
static mg_connect_net rig_net;

static void rig_on_read(mg_stream *s, const char *data, size_t n) {
    mg_buf_append(&MG_OF(s, rig_server, stream)->got, data, n);
}

static void rig_on_end(mg_stream *s, int status) {
    (void)status;
    MG_OF(s, rig_server, stream)->ended = true;
}

static void rig_on_drain(mg_stream *s, int status) {
    (void)s;
    (void)status;
}

static void rig_on_closed(mg_stream *s) {
    MG_OF(s, rig_server, stream)->open = false;
}

static const mg_stream_events rig_events = {rig_on_read, rig_on_end, rig_on_drain, rig_on_closed};

typedef struct rig_dial {
    mg_timer timer;
    mg_connect *connect;
    char host[64];
    uint16_t port;
} rig_dial;

static rig_dial rig_dials[64];

static void rig_answer(mg_timer *t) {
    rig_dial *d = MG_OF(t, rig_dial, timer);
    if (rig_refuse) {
        mg_connect_refuse(d->connect, &(mg_connect_fault){"connect", "refused"});
        return;
    }
    assert_true(rig_count < RIG_SERVERS);
    rig_server *s = &rig_servers[rig_count++];
    s->open = true;
    memcpy(s->host, d->host, sizeof s->host);
    s->port = d->port;
    mg_connect_accept(d->connect, &s->stream, &rig_events, 1 << 20);
    mg_stream_read_start(&s->stream);
}

static void rig_on_connect(void *arg, mg_connect *c, const mg_connect_options *wanted) {
    (void)arg;
    for (size_t i = 0; !rig_silent && i < sizeof rig_dials / sizeof *rig_dials; i++) {
        rig_dial *d = &rig_dials[i];
        if (!mg_timer_active(&d->timer)) {
            d->connect = c;
            d->port = wanted->port;
            snprintf(d->host, sizeof d->host, "%s",
                     wanted->unix_path != NULL ? wanted->unix_path : wanted->host);
            mg_timer_start(rig_loop, &d->timer, 0, 0, rig_answer);
            return;
        }
    }
}

static void rig_on_gone(void *arg, mg_connect *c) {
    (void)arg;
    for (size_t i = 0; i < sizeof rig_dials / sizeof *rig_dials; i++) {
        if (rig_dials[i].connect == c) {
            mg_timer_stop(&rig_dials[i].timer);
            rig_dials[i].connect = NULL;
        }
    }
}

static int rig_open(void **state) {
    (void)state;
    rig_count = 0;
    rig_refuse = rig_silent = false;
    rig_net = (mg_connect_net){.on_connect = rig_on_connect, .on_gone = rig_on_gone};
    mg_loop_new(&rig_loop, &(mg_loop_options){.virtual_clock = true});
    mg_connect_use(rig_loop, &rig_net);
    return 0;
}

// As long as something moves, without time going on.
static inline void rig_settle(void) {
    mg_loop_turn_soon(rig_loop);
    for (int i = 0; i < 20; i++) {
        (void)mg_loop_turn(rig_loop, false, false, UINT64_MAX);
    }
}

static inline void rig_pass(uint64_t ms) {
    uint64_t end = mg_loop_now_ms(rig_loop) + ms;
    rig_settle();
    while (mg_loop_turn(rig_loop, false, true, end) != MG_LOOP_IDLE) {
        rig_settle();
    }
    mg_loop_set_now(rig_loop, end);
    rig_settle();
}

static int rig_close(void **state) {
    (void)state;
    for (int i = 0; i < rig_count; i++) {
        if (rig_servers[i].open) {
            mg_stream_close(&rig_servers[i].stream, false);
        }
    }
    rig_settle();
    for (int i = 0; i < rig_count; i++) {
        mg_buf_deinit(&rig_servers[i].got);
    }
    memset(rig_servers, 0, sizeof rig_servers);
    memset(rig_dials, 0, sizeof rig_dials);
    assert_int_equal(mg_loop_free(rig_loop), 0);
    return 0;
}

// What that server has got since the last time, as "HELLO 3|GET a".
static inline const char *rig_got(int server) {
    static char text[4096];
    rig_server *s = &rig_servers[server];
    mg_redis_reader reader = {.limits = {1 << 20, 1000}};
    mg_redis_reply r;
    const char *fault;
    size_t n = 0;
    rig_settle();
    mg_str in = mg_buf_str(&s->got);
    text[0] = '\0';
    while (mg_redis_read(&reader, &in, &r, &fault)) {
        for (uint32_t i = 1; i < r.count; i++) {
            mg_str word = mg_redis_text(&r, &r.values[i]);
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%.*s",
                                  i > 1   ? " "
                                  : n > 0 ? "|"
                                          : "",
                                  (int)word.n, word.p);
        }
    }
    mg_redis_reader_deinit(&reader);
    s->got.n = 0;
    return text;
}

static inline void rig_say(int server, const char *text) {
    const struct iovec v = {(void *)(uintptr_t)text, strlen(text)};
    mg_stream_write(&rig_servers[server].stream, &v, 1);
    rig_settle();
}

static inline void rig_hang_up(int server) {
    mg_stream_close(&rig_servers[server].stream, false);
    rig_settle();
}

static inline void rig_greet(int server) {
    assert_string_equal(rig_got(server), "HELLO 3");
    rig_say(server, "%1\r\n+proto\r\n:3\r\n");
}
