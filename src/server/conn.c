#include "server/conn.h"

#include "base/mem.h"
#include "server/answer.h"
#include "server/exchange_inside.h"
#include "server/server.h"

#include <assert.h>

enum {
    BACKLOG_HIGH = 128 * 1024, // output waiting for the peer: no further request is begun
    OUT_LARGE = 64 * 1024,     // output gathered in a turn that is sent before the turn ends
};

static void set_state(mg_conn *c, mg_conn_state next) {
    static const uint8_t moves[] = {
        [MG_CONN_IDLE] = 1 << MG_CONN_HEAD | 1 << MG_CONN_LINGER | 1 << MG_CONN_CLOSED,
        [MG_CONN_HEAD] = 1 << MG_CONN_BUSY | 1 << MG_CONN_LINGER | 1 << MG_CONN_CLOSED,
        [MG_CONN_BUSY] = 1 << MG_CONN_IDLE | 1 << MG_CONN_LINGER | 1 << MG_CONN_CLOSED,
        [MG_CONN_LINGER] = 1 << MG_CONN_CLOSED,
        [MG_CONN_CLOSED] = 0,
    };
    assert(moves[c->state] & (1 << next));
    c->state = (uint8_t)next;
}

static size_t held_bytes(const mg_conn *c) {
    return c->held != NULL ? c->held->bytes.n - c->held->at : 0;
}

static void drop_held(mg_conn *c) {
    if (c->held != NULL) {
        mg_buf_deinit(&c->held->bytes);
        mg_free(c->held);
        c->held = NULL;
    }
}

size_t mg_conn_backlog(const mg_conn *c) {
    return c->stream.queued + (c->out != NULL ? c->out->bytes.n : 0);
}

// Bytes that the peer has taken; wraps, since only changes matter. What lies in the kernel's queue
// does not count: it grows with the connection, and is emptied in leaps.
static uint32_t taken(const mg_conn *c) {
    return (uint32_t)(c->bytes_out - c->stream.queued - mg_stream_in_kernel(&c->stream));
}

static void count_waiting(mg_conn *c) {
    c->server->waiting += c->stream.queued;
    c->server->waiting -= c->waiting;
    c->waiting = c->stream.queued;
}

// Starts the deadline that the connection's situation asks for.
static void arm(mg_conn *c) {
    mg_server *s = c->server;
    if (c->state == MG_CONN_HEAD) {
        return; // total, not idle: it runs since the first byte
    }
    if (c->stream.queued > 0) {
        c->send_timed = true;
        c->taken_mark = taken(c);
        mg_loop_refresh_now(s->loop); // a slow turn of ours is not the peer's slowness
        mg_deadline_start(&s->send, &c->deadline);
    } else if (c->state == MG_CONN_BUSY && c->fin) {
        // Who sends no more may still be taking: what it takes tells it from one that has left.
        c->taken_mark = taken(c);
        mg_deadline_start(&s->half_close, &c->deadline);
    } else if (c->state == MG_CONN_IDLE) {
        mg_deadline_start(&s->idle, &c->deadline);
        mg_server_conn_is_idle(s);
    } else if (c->state == MG_CONN_LINGER) {
        mg_deadline_start(&s->linger, &c->deadline);
    } else {
        mg_deadline_stop(&c->deadline);
    }
}

void mg_conn_open(mg_conn *c, mg_server *server) {
    c->server = server;
    c->state = MG_CONN_IDLE;
    mg_deadline_init(&c->deadline);
    arm(c);
    if (mg_stream_read_start(&c->stream) != 0) {
        mg_conn_close(c, MG_GONE_CLIENT);
    }
}

// --- output ---

mg_buf *mg_conn_out(mg_conn *c) {
    if (c->out == NULL) {
        c->out = mg_server_take_output(c->server);
        c->out->conn = c;
        mg_link_append(&c->server->dirty, &c->out->dirty);
    }
    return &c->out->bytes;
}

static void give_output(mg_conn *c) {
    if (c->out != NULL) {
        mg_link_remove(&c->out->dirty);
        mg_server_give_output(c->server, c->out);
        c->out = NULL;
    }
}

// Sends what is gathered and `more` behind it.
static void send_now(mg_conn *c, mg_str more) {
    mg_str gathered = c->out != NULL ? mg_buf_str(&c->out->bytes) : (mg_str){NULL, 0};
    struct iovec v[2] = {{(void *)(uintptr_t)gathered.p, gathered.n},
                         {(void *)(uintptr_t)more.p, more.n}};
    int skip = gathered.n == 0;
    int count = more.n > 0 ? 2 : 1;
    if (!c->broken && skip < count) {
        c->broken = mg_stream_write(&c->stream, v + skip, count - skip) != 0;
        c->bytes_out += gathered.n + more.n;
        c->server->stats->bytes_out += gathered.n + more.n;
    }
    if (c->out != NULL) {
        mg_buf_clear(&c->out->bytes);
    }
}

static void flushed_in_part(mg_conn *c) {
    if (!c->send_timed) {
        arm(c);
    }
    count_waiting(c);
    mg_server_bound_output(c->server);
}

void mg_conn_flush(mg_conn *c) {
    send_now(c, (mg_str){NULL, 0});
    give_output(c);
    if (c->broken) {
        mg_conn_close(c, MG_GONE_CLIENT);
        return;
    }
    if (c->stream.queued > 0) {
        flushed_in_part(c);
    }
}

void mg_conn_relieve(mg_conn *c) {
    if (c->out != NULL && c->out->bytes.n >= OUT_LARGE) {
        send_now(c, (mg_str){NULL, 0});
    }
}

void mg_conn_write_through(mg_conn *c, mg_str data) {
    mg_conn_out(c); // the flush of this turn looks after a failure
    send_now(c, data);
}

// --- closing ---

void mg_conn_close(mg_conn *c, mg_gone why) {
    if (c->state == MG_CONN_CLOSED) {
        return;
    }
    set_state(c, MG_CONN_CLOSED);
    mg_deadline_stop(&c->deadline);
    mg_exchange *x = c->x;
    bool reset = x != NULL && mg_exchange_ends_with_close(x);
    if (x != NULL) {
        c->x = NULL;
        mg_exchange_lost(x, why);
        mg_server_give_exchange(c->server, x);
    }
    drop_held(c);
    give_output(c);
    mg_stream_close(&c->stream, reset);
    count_waiting(c);
}

// Everything is answered. `unread`: the peer may still be sending; closing at once would make the
// kernel answer that with a reset, which can destroy the answer before the peer has read it. So
// send a FIN and read on for a while.
static void close_gracefully(mg_conn *c, bool unread) {
    set_state(c, MG_CONN_LINGER);
    drop_held(c);
    c->close_drained = !unread || c->fin;
    send_now(c, (mg_str){NULL, 0});
    if (c->broken || (c->close_drained && c->stream.queued == 0)) {
        mg_conn_close(c, MG_GONE_CLIENT);
        return;
    }
    if (!c->close_drained) {
        mg_stream_shutdown(&c->stream);
        mg_conn_resume(c);
    }
    arm(c);
}

// No further request can come, though one may have begun. What is queued still leaves.
static void close_between_requests(mg_conn *c) {
    mg_exchange *x = c->x;
    c->x = NULL;
    if (x != NULL) {
        mg_server_give_exchange(c->server, x);
    }
    close_gracefully(c, false);
}

// --- input ---

void mg_conn_pause(mg_conn *c) {
    if (!c->paused) {
        c->paused = true;
        mg_stream_read_stop(&c->stream);
    }
}

void mg_conn_resume(mg_conn *c) {
    if (c->paused && c->state != MG_CONN_CLOSED) {
        c->paused = false;
        if (!c->fin && mg_stream_read_start(&c->stream) != 0) {
            mg_conn_close(c, MG_GONE_CLIENT);
        }
    }
}

static bool can_take(const mg_conn *c) {
    switch (c->state) {
    case MG_CONN_IDLE:
        return mg_conn_backlog(c) < BACKLOG_HIGH;
    case MG_CONN_HEAD:
        return true;
    case MG_CONN_BUSY:
        return mg_exchange_reads_body(c->x);
    default:
        return false;
    }
}

static void begin_head(mg_conn *c) {
    c->x = mg_server_take_exchange(c->server);
    c->x->conn = c;
    set_state(c, MG_CONN_HEAD);
}

// The connection cannot be understood any more, and no exchange is under way in the app.
static void refuse(mg_conn *c, mg_refusal refusal) {
    c->x->head.method = mg_method_of(c->x->reader.method_text); // HEAD gets no content
    c->x->head.method_text = c->x->reader.method_text;
    c->x->head.target_text = c->x->reader.target_text;
    mg_exchange_refuse(c->x, refusal);
}

static size_t take_head(mg_conn *c, const char *data, size_t n) {
    mg_exchange *x = c->x;
    size_t used = n;
    switch (mg_h1_read(&x->reader, data, n, &used, &x->head)) {
    case MG_H1_MORE:
        // Total, not idle: it runs from the first bytes on, and not at all for a head that comes
        // whole.
        if (!c->head_timed) {
            c->head_timed = true;
            mg_deadline_start(&c->server->header, &c->deadline);
        }
        return n;
    case MG_H1_BAD:
        x->head.minor = -1;
        refuse(c, x->reader.refusal);
        return n;
    case MG_H1_HEAD:
        break;
    }
    set_state(c, MG_CONN_BUSY);
    c->head_timed = false;
    c->requests++;
    mg_deadline_stop(&c->deadline);
    arm(c);
    mg_exchange_start(x);
    return used;
}

static size_t take_body(mg_conn *c, const char *data, size_t n) {
    mg_exchange *x = c->x;
    size_t total = 0;
    for (;;) {
        size_t used = 0;
        mg_str piece;
        mg_body_verdict verdict = mg_body_read(&x->body, data + total, n - total, &used, &piece);
        total += used;
        if (verdict == MG_BODY_BAD) {
            mg_exchange_refuse_body(x, x->body.refusal);
            return n;
        }
        if (verdict == MG_BODY_PIECE) {
            if (!mg_exchange_take_piece(x, piece)) {
                return n;
            }
            continue;
        }
        mg_exchange_body_progress(x);
        return total;
    }
}

static size_t take(mg_conn *c, const char *data, size_t n) {
    if (c->state == MG_CONN_IDLE) {
        begin_head(c);
    }
    return c->state == MG_CONN_HEAD ? take_head(c, data, n) : take_body(c, data, n);
}

static void hold(mg_conn *c, const char *data, size_t n) {
    if (c->held == NULL) {
        c->held = mg_calloc(1, sizeof *c->held);
    }
    mg_held *h = c->held;
    if (h->at > 0 && h->bytes.cap - h->bytes.n < n) {
        mg_buf_consume(&h->bytes, h->at);
        h->at = 0;
    }
    mg_buf_append(&h->bytes, data, n);
    if (held_bytes(c) >= c->server->options.pipeline_bytes) {
        mg_conn_pause(c);
    }
}

void mg_conn_pump(mg_conn *c) {
    if (c->pumping) {
        return;
    }
    c->pumping = true;
    while (held_bytes(c) > 0 && can_take(c)) {
        size_t used = take(c, c->held->bytes.p + c->held->at, held_bytes(c));
        if (c->state >= MG_CONN_LINGER) {
            break;
        }
        c->held->at += used;
    }
    c->pumping = false;
    if (c->state >= MG_CONN_LINGER) {
        return;
    }
    if (held_bytes(c) == 0) {
        drop_held(c);
        if (c->x == NULL || !c->x->body_paused) {
            mg_conn_resume(c);
        }
    }
    bool between = c->state == MG_CONN_IDLE || c->state == MG_CONN_HEAD;
    if (between && c->fin && held_bytes(c) == 0) {
        close_between_requests(c);
    }
}

static void on_read(mg_stream *stream, const char *data, size_t n) {
    mg_conn *c = MG_OF(stream, mg_conn, stream);
    c->bytes_in += n;
    c->server->stats->bytes_in += n;
    if (held_bytes(c) > 0) {
        hold(c, data, n);
        mg_conn_pump(c);
        return;
    }
    size_t used = 0;
    c->pumping = true;
    while (used < n && can_take(c)) {
        used += take(c, data + used, n - used);
    }
    c->pumping = false;
    if (used < n && c->state < MG_CONN_LINGER) {
        hold(c, data + used, n - used);
    }
}

// All of the request under way that counts has come and may be served for a while, or it never
// will.
static void end_while_busy(mg_conn *c) {
    mg_exchange *x = c->x;
    if (!mg_exchange_reads_body(x)) {
        mg_deadline_stop(&c->deadline);
        arm(c);
    } else if (x->phase == MG_EXCHANGE_ANSWERED) {
        x->close_after = true;
        mg_conn_exchange_done(c);
    } else {
        mg_conn_close(c, MG_GONE_CLIENT);
    }
}

static void on_end(mg_stream *stream, int status) {
    mg_conn *c = MG_OF(stream, mg_conn, stream);
    c->fin = true;
    if (status < 0) {
        mg_conn_close(c, MG_GONE_CLIENT);
        return;
    }
    switch (c->state) {
    case MG_CONN_IDLE:
    case MG_CONN_HEAD:
        mg_conn_pump(c);
        break;
    case MG_CONN_LINGER:
        c->close_drained = true;
        if (c->stream.queued == 0) {
            mg_conn_close(c, MG_GONE_CLIENT);
        }
        break;
    case MG_CONN_BUSY:
        end_while_busy(c);
        break;
    default:
        break;
    }
}

static void on_drain(mg_stream *stream, int status) {
    mg_conn *c = MG_OF(stream, mg_conn, stream);
    if (c->state == MG_CONN_CLOSED) {
        return;
    }
    if (status < 0 || c->close_drained) {
        mg_conn_close(c, MG_GONE_CLIENT);
        return;
    }
    c->send_timed = false;
    count_waiting(c);
    arm(c);
    if (c->state == MG_CONN_BUSY) {
        mg_exchange_writable(c->x);
    }
    if (c->state < MG_CONN_LINGER) {
        mg_conn_pump(c);
    }
    if (c->state == MG_CONN_IDLE && c->server->draining) {
        mg_conn_close(c, MG_GONE_STOP);
    }
}

static void on_closed(mg_stream *stream) {
    mg_conn *c = MG_OF(stream, mg_conn, stream);
    mg_server_forget(c->server, c);
}

const mg_stream_events mg_conn_events = {
    .on_read = on_read,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_closed = on_closed,
};

// --- between exchanges ---

void mg_conn_exchange_done(mg_conn *c) {
    mg_exchange *x = c->x;
    bool unread = x->unparsed || !mg_body_complete(&x->body) || held_bytes(c) > 0;
    bool persist =
        !x->close_after && !c->close_asked && !c->server->draining && mg_body_complete(&x->body);
    c->x = NULL;
    mg_server_give_exchange(c->server, x);
    if (!persist) {
        close_gracefully(c, unread);
        return;
    }
    set_state(c, MG_CONN_IDLE);
    mg_deadline_stop(&c->deadline);
    mg_conn_pump(c);
    if (c->state == MG_CONN_IDLE) {
        arm(c);
    }
}

// --- deadlines ---

void mg_conn_header_late(mg_conn *c) {
    const mg_guard *g = &c->x->reader.section.guard;
    // Only empty lines came, which some old clients send behind a body: the connection is merely
    // idle.
    if (g->first_end == 0 && g->line_start == c->x->reader.section.n) {
        close_between_requests(c);
        return;
    }
    c->x->head.minor = -1;
    refuse(c, (mg_refusal){408, "the request's head did not come in time", 0});
}

void mg_conn_half_close_late(mg_conn *c) {
    if (taken(c) != c->taken_mark) {
        arm(c);
    } else {
        mg_conn_close(c, MG_GONE_CLIENT);
    }
}

void mg_conn_send_late(mg_conn *c) {
    const mg_server_options *o = &c->server->options;
    uint64_t least = (uint64_t)o->answer_rate * o->send_ms / 1000;
    uint32_t progress = taken(c) - c->taken_mark;
    if (progress > 0 && progress >= least) {
        arm(c);
    } else {
        mg_conn_close(c, MG_GONE_CLIENT);
    }
}
