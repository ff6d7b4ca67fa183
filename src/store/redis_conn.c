// The life of a connection to Redis: the diagram heads redis_conn.h.

#include "store/redis_conn_inside.h"

#include "base/mem.h"
#include "event/descriptors.h"

#include <assert.h>
#include <stdio.h>

enum { SHORT_MS = 1000, FIRST_SHARE = 64 };

static void on_connected(void *arg, const mg_connect_fault *fault);
static void on_late(mg_timer *t);
static void on_backoff(mg_timer *t);
static void on_turn(mg_turn *turn);
static void on_read(mg_stream *s, const char *data, size_t n);
static void on_end(mg_stream *s, int status);
static void on_drain(mg_stream *s, int status);
static void on_closed(mg_stream *s);

static const mg_stream_events stream_events = {on_read, on_end, on_drain, on_closed};

// --- life ---

static void enter(mg_redis_conn *c, mg_redis_state next) {
    static const uint8_t moves[] = {
        [MG_REDIS_IDLE] = 1 << MG_REDIS_CONNECTING | 1 << MG_REDIS_CLOSED,
        [MG_REDIS_CONNECTING] = 1 << MG_REDIS_GREETING | 1 << MG_REDIS_DOWN | 1 << MG_REDIS_CLOSED,
        [MG_REDIS_GREETING] = 1 << MG_REDIS_READY | 1 << MG_REDIS_DOWN | 1 << MG_REDIS_CLOSED,
        [MG_REDIS_READY] = 1 << MG_REDIS_IDLE | 1 << MG_REDIS_DOWN | 1 << MG_REDIS_CLOSED,
        [MG_REDIS_DOWN] = 1 << MG_REDIS_CONNECTING | 1 << MG_REDIS_CLOSED,
        [MG_REDIS_CLOSED] = 0,
    };
    assert(moves[c->state] & (1 << next));
    c->state = next;
}

mg_redis_conn *mg_redis_conn_new(mg_loop *loop, const mg_redis_conn_options *o) {
    mg_redis_conn *c = mg_calloc(1, sizeof *c);
    c->o = *o;
    c->loop = loop;
    c->reader.limits = o->limits;
    c->turn.run = on_turn;
    mg_random_init(&c->random, 0);
    return c;
}

static void free_if_over(mg_redis_conn *c) {
    if (c->state == MG_REDIS_CLOSED && !c->has_stream && c->holds == 0) {
        mg_redis_reader_deinit(&c->reader);
        mg_redis_queue_deinit(&c->queue);
        mg_free(c);
    }
}

void mg_redis_conn_release(mg_redis_conn *c) {
    c->holds--;
    free_if_over(c);
}

// Nothing of the old stream comes any more.
static void drop_stream(mg_redis_conn *c) {
    mg_timer_stop(&c->timer);
    mg_connect_cancel(c->connect);
    c->connect = NULL;
    if (c->dirty) {
        mg_loop_remove_turn(&c->turn);
        c->dirty = false;
    }
    if (c->has_stream) {
        mg_stream_close(&c->stream, false);
    }
}

void mg_redis_conn_close(mg_redis_conn *c) {
    if (c == NULL || c->state == MG_REDIS_CLOSED) {
        return;
    }
    drop_stream(c);
    enter(c, MG_REDIS_CLOSED);
    mg_redis_queue_forget(c);
    free_if_over(c);
}

static bool is_wanted(const mg_redis_conn *c) {
    bool lately = mg_loop_now_ms(c->loop) < c->wanted_until_ms;
    return c->o.listens || lately || !mg_redis_queue_is_empty(&c->queue);
}

// From a 64th of the longest wait, twice as much each time, less up to a half that is drawn, so
// that not all come back at once.
static uint64_t backoff_ms(mg_redis_conn *c) {
    uint64_t first = c->o.backoff_ms / FIRST_SHARE + 1;
    uint64_t wait = first << (c->tries < 16 ? c->tries : 16);
    c->tries++;
    wait = wait < c->o.backoff_ms ? wait : c->o.backoff_ms;
    return wait - (uint64_t)(mg_random_unit(&c->random) * (double)wait / 2);
}

void mg_redis_conn_lose(mg_redis_conn *c, const char *code, const char *text, bool down) {
    char said[sizeof c->why.text];
    bool was_ready = c->state == MG_REDIS_READY;
    bool was_short = was_ready && mg_loop_now_ms(c->loop) - c->ready_ms < SHORT_MS;
    snprintf(said, sizeof said, "%s: %s", c->o.name, text);
    memcpy(c->why.text, said, sizeof said);
    drop_stream(c);
    down |= was_short || !was_ready || c->o.once;
    enter(c, down ? MG_REDIS_DOWN : MG_REDIS_IDLE);
    c->down |= down;
    if (down && !c->o.once) {
        mg_timer_start(c->loop, &c->timer, backoff_ms(c), 0, on_backoff);
    }
    c->holds++;
    mg_redis_queue_fail(c, code, said);
    if (c->state != MG_REDIS_CLOSED && c->o.events->on_lost != NULL) {
        c->o.events->on_lost(c->o.arg, c, &(mg_redis_fault){code, said, was_ready});
    }
    if (c->state == MG_REDIS_IDLE && is_wanted(c)) {
        mg_redis_conn_dial(c);
    }
    mg_redis_conn_release(c);
}

void mg_redis_conn_renew(mg_redis_conn *c, const char *why) {
    if (c->state == MG_REDIS_READY || c->state == MG_REDIS_GREETING ||
        c->state == MG_REDIS_CONNECTING) {
        mg_redis_conn_lose(c, "closed", why, false);
    }
    if (c->state == MG_REDIS_DOWN && !c->o.once) { // whatever it was: there is another one now
        c->tries = 0;
        mg_timer_start(c->loop, &c->timer, 0, 0, on_backoff);
    }
}

// --- dialling ---

static void dial(mg_redis_conn *c) {
    c->o.connect.loop = c->loop;
    c->o.connect.timeout_ms = 0; // `timer` is for all of it
    c->o.connect.on_done = on_connected;
    c->o.connect.arg = c;
    c->o.connect.stream = &c->stream;
    c->o.connect.events = &stream_events;
    c->connect = mg_connect_start(&c->o.connect);
}

static void find_and_dial(mg_redis_conn *c) {
    c->no_room = !mg_descriptors_room(c->loop, 1);
    if (c->no_room) {
        mg_timer_start(c->loop, &c->timer, 0, 0, on_late); // not inside of a send
    } else if (c->o.events->on_where != NULL) {
        c->o.events->on_where(c->o.arg, c);
    } else {
        dial(c);
    }
}

static void start(mg_redis_conn *c) {
    enter(c, MG_REDIS_CONNECTING);
    mg_timer_start(c->loop, &c->timer, c->o.connect_ms, 0, on_late);
    if (!c->has_stream) { // else the old one is closing: on_closed goes on
        find_and_dial(c);
    }
}

void mg_redis_conn_dial(mg_redis_conn *c) {
    if (c->state == MG_REDIS_IDLE) {
        start(c);
    } else if (c->state == MG_REDIS_DOWN && !mg_timer_active(&c->timer) && !c->o.once) {
        start(c); // nobody had wanted it for a while
    }
}

void mg_redis_conn_found(mg_redis_conn *c, const char *host, uint16_t port) {
    if (c->state == MG_REDIS_CONNECTING && c->connect == NULL && !c->has_stream) {
        c->o.connect.host = host;
        c->o.connect.port = port;
        dial(c);
    }
}

void mg_redis_conn_not_found(mg_redis_conn *c, const mg_redis_fault *why) {
    if (c->state == MG_REDIS_CONNECTING && c->connect == NULL) {
        mg_redis_conn_lose(c, why->code, why->text, true);
    }
}

static void on_backoff(mg_timer *t) {
    mg_redis_conn *c = MG_OF(t, mg_redis_conn, timer);
    if (is_wanted(c)) {
        start(c);
    }
}

static void on_late(mg_timer *t) {
    mg_redis_conn *c = MG_OF(t, mg_redis_conn, timer);
    if (c->no_room) {
        c->no_room = false;
        mg_redis_conn_lose(c, "limit", "too many files are open", true);
    } else if (c->state == MG_REDIS_GREETING) {
        mg_redis_conn_lose(c, "timeout", "it does not answer", true);
    } else if (c->connect != NULL) {
        char why[80];
        snprintf(why, sizeof why, "%s took longer than %.1f s", mg_connect_doing(c->connect),
                 c->o.connect_ms / 1000.0);
        mg_redis_conn_lose(c, "timeout", why, true);
    } else {
        mg_redis_conn_lose(c, "timeout", "nobody says in time where it is", true);
    }
}

static void on_connected(void *arg, const mg_connect_fault *fault) {
    mg_redis_conn *c = arg;
    c->connect = NULL;
    if (fault != NULL) {
        mg_redis_conn_lose(c, fault->code, fault->text, true);
        return;
    }
    c->has_stream = true;
    enter(c, MG_REDIS_GREETING);
    mg_redis_reader_reset(&c->reader);
    int rc = mg_stream_read_start(&c->stream);
    if (rc != 0) {
        mg_redis_conn_lose(c, "connect", mg_strerror(rc), true);
        return;
    }
    mg_redis_greet(c);
}

static void on_pong(mg_redis_call *ping, const mg_redis_reply *r, uint32_t left) {
    (void)ping;
    (void)r;
    (void)left;
}

// Late, it has ended the connection already (mg_redis_queue).
static void on_no_pong(mg_redis_call *ping, const mg_redis_fault *f) {
    (void)ping;
    (void)f;
}

static void on_quiet(mg_timer *t) {
    mg_redis_conn *c = MG_OF(t, mg_redis_conn, timer);
    bool asked = c->ping.conn != NULL;
    if (!asked && mg_redis_conn_quiet_ms(c) >= c->o.ping_ms) {
        c->ping = (mg_redis_call){on_pong, on_no_pong, .timeout_ms = c->o.ping_ms};
        (void)mg_redis_conn_send(c, &c->ping, MG_STR("*1\r\n$4\r\nPING\r\n"), 1);
    }
}

void mg_redis_conn_greeted(mg_redis_conn *c) {
    mg_timer_stop(&c->timer);
    if (c->o.ping_ms > 0) {
        mg_timer_start(c->loop, &c->timer, c->o.ping_ms, c->o.ping_ms, on_quiet);
    }
    enter(c, MG_REDIS_READY);
    c->down = false;
    c->tries = 0;
    c->ready_ms = c->read_ms = mg_loop_now_ms(c->loop);
    mg_redis_conn_dirty(c);
    if (c->o.events->on_ready != NULL) {
        c->o.events->on_ready(c->o.arg, c);
    }
}

// --- bytes ---

static void push(mg_redis_conn *c, const mg_redis_reply *r) {
    if (c->o.events->on_push != NULL) {
        c->o.events->on_push(c->o.arg, c, r);
    }
}

static void tell_error(mg_redis_conn *c, const mg_redis_reply *r) {
    bool is_error = r->count > 0 && r->values[0].type == MG_REDIS_ERROR;
    if (is_error && c->o.events->on_error != NULL) {
        c->o.events->on_error(c->o.arg, c, r);
    }
}

static void on_reply(mg_redis_conn *c, const mg_redis_reply *r) {
    bool unasked = r->count > 0 && r->values[0].type == MG_REDIS_PUSH;
    if (c->state == MG_REDIS_GREETING && !unasked) {
        mg_redis_greeting_reply(c, r);
    } else if (unasked || c->o.listens) {
        push(c, r);
    } else {
        tell_error(c, r);
        mg_redis_queue_reply(c, r);
    }
}

static bool is_open(const mg_redis_conn *c) {
    return c->has_stream && !mg_stream_closing(&c->stream);
}

static void on_read(mg_stream *s, const char *data, size_t n) {
    mg_redis_conn *c = MG_OF(s, mg_redis_conn, stream);
    mg_str in = {data, n};
    mg_redis_reply reply;
    const char *fault = NULL;
    c->read_ms = mg_loop_now_ms(c->loop);
    c->holds++;
    while (is_open(c) && mg_redis_read(&c->reader, &in, &reply, &fault)) {
        on_reply(c, &reply);
    }
    if (is_open(c) && fault != NULL) {
        char text[128];
        snprintf(text, sizeof text, "no answer of Redis: %s", fault);
        mg_redis_conn_lose(c, "protocol", text, true);
    }
    mg_redis_conn_release(c);
}

static void on_end(mg_stream *s, int status) {
    mg_redis_conn *c = MG_OF(s, mg_redis_conn, stream);
    mg_redis_conn_lose(c, "closed",
                       status == 0 ? "it has closed the connection" : mg_strerror(status), false);
}

static void on_drain(mg_stream *s, int status) {
    mg_redis_conn *c = MG_OF(s, mg_redis_conn, stream);
    if (status != 0) {
        mg_redis_conn_lose(c, "closed", mg_strerror(status), false);
    } else if (c->state == MG_REDIS_READY) {
        mg_redis_conn_dirty(c);
    }
}

static void on_closed(mg_stream *s) {
    mg_redis_conn *c = MG_OF(s, mg_redis_conn, stream);
    c->has_stream = false;
    if (c->state == MG_REDIS_CONNECTING) {
        find_and_dial(c);
    }
    free_if_over(c);
}

// --- the end of a turn ---

void mg_redis_conn_dirty(mg_redis_conn *c) {
    if (!c->dirty) {
        c->dirty = true;
        mg_loop_add_turn(c->loop, &c->turn);
    }
}

static void on_turn(mg_turn *turn) {
    mg_redis_conn *c = MG_OF(turn, mg_redis_conn, turn);
    mg_loop_remove_turn(&c->turn);
    c->dirty = false;
    mg_redis_queue_flush(c);
}

void mg_redis_conn_say(mg_redis_conn *c, mg_str commands) {
    mg_buf_append_str(&c->queue.out, commands);
    mg_redis_conn_dirty(c);
}

// --- questions ---

mg_redis_state mg_redis_conn_state(const mg_redis_conn *c) {
    return c->state;
}

const char *mg_redis_conn_why(const mg_redis_conn *c) {
    return c->why.text;
}

bool mg_redis_conn_is_resp3(const mg_redis_conn *c) {
    return c->resp3;
}

bool mg_redis_conn_usable(const mg_redis_conn *c) {
    return !c->down && c->state != MG_REDIS_CLOSED;
}

uint32_t mg_redis_conn_waiting(const mg_redis_conn *c) {
    return (uint32_t)(c->queue.end - c->queue.first);
}

uint64_t mg_redis_conn_head_ms(const mg_redis_conn *c) {
    const mg_redis_queue *q = &c->queue;
    return q->first == q->sent ? 0 : mg_loop_now_ms(c->loop) - q->head_ms;
}

uint64_t mg_redis_conn_quiet_ms(const mg_redis_conn *c) {
    return mg_loop_now_ms(c->loop) - c->read_ms;
}
