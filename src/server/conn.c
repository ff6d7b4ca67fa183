#include "server/conn.h"

#include "base/mem.h"
#include "server/foreign.h"
#include "server/server.h"

#include <assert.h>

enum {
    OUT_LARGE = 64 * 1024,    // output gathered in a turn that is sent before the turn ends
    COPY_MAX = 8 * 1024,      // what is larger is not copied behind what is gathered
    BACKLOG_HIGH = 64 * 1024, // whoever sends has to wait
};

static void set_state(mg_conn *c, mg_conn_state next) {
    static const uint8_t moves[] = {
        [MG_CONN_HANDSHAKE] = 1 << MG_CONN_IDLE | 1 << MG_CONN_LINGER | 1 << MG_CONN_CLOSED,
        [MG_CONN_IDLE] = 1 << MG_CONN_IDLE | 1 << MG_CONN_HEAD | 1 << MG_CONN_TUNNEL |
                         1 << MG_CONN_LINGER | 1 << MG_CONN_CLOSED,
        [MG_CONN_HEAD] = 1 << MG_CONN_BUSY | 1 << MG_CONN_LINGER | 1 << MG_CONN_CLOSED,
        [MG_CONN_BUSY] =
            1 << MG_CONN_IDLE | 1 << MG_CONN_TUNNEL | 1 << MG_CONN_LINGER | 1 << MG_CONN_CLOSED,
        [MG_CONN_TUNNEL] = 1 << MG_CONN_LINGER | 1 << MG_CONN_CLOSED,
        [MG_CONN_LINGER] = 1 << MG_CONN_CLOSED,
        [MG_CONN_CLOSED] = 0,
    };
    assert(moves[c->state] & (1 << next));
    c->state = (uint8_t)next;
}

// --- nobody owns what is on its way out ---

static size_t drop(mg_conn *c, const char *data, size_t n) {
    (void)c;
    (void)data;
    return n;
}

static void on_nothing(mg_conn *c) {
    (void)c;
}

static bool on_nobody_closed(mg_conn *c, mg_gone why) {
    (void)c;
    (void)why;
    return false;
}

static const mg_owner_ops nobody_ops = {drop,       on_nothing, on_nothing,
                                        on_nothing, on_nothing, on_nobody_closed};
static mg_owner nobody = {&nobody_ops};

// --- what is waiting, and for whom ---

size_t mg_conn_held(const mg_conn *c) {
    return c->held != NULL ? c->held->bytes.n - c->held->at : 0;
}

static void count_held(const mg_conn *c) {
    c->held->intake.paused = c->full;
    mg_intake_hold(mg_loop_intakes(c->server->loop), &c->held->intake, mg_conn_held(c), true);
}

static void drop_held(mg_conn *c) {
    if (c->held != NULL) {
        c->held->at = c->held->bytes.n;
        count_held(c);
        mg_buf_deinit(&c->held->bytes);
        mg_free(c->held);
        c->held = NULL;
    }
}

size_t mg_conn_backlog(const mg_conn *c) {
    return c->stream.queued + (c->out != NULL ? c->out->bytes.n : 0);
}

// What lies in the kernel's queue does not count: it grows with the connection, and is emptied in
// leaps.
uint64_t mg_conn_taken(mg_conn *c) {
    size_t untaken = mg_stream_untaken(&c->stream);
    return c->bytes_out > untaken ? c->bytes_out - untaken : 0; // TLS makes more of it
}

// Wraps, since only changes matter.
static uint32_t taken_now(mg_conn *c) {
    return (uint32_t)(c->bytes_out - mg_stream_untaken(&c->stream));
}

static void mark_taken(mg_conn *c) {
    c->taken_mark = taken_now(c);
}

// What the protocol says by itself makes it less: TLS adds to what is written.
static uint32_t newly_taken(mg_conn *c) {
    int32_t n = (int32_t)(taken_now(c) - c->taken_mark);
    return n > 0 ? (uint32_t)n : 0;
}

static void count_waiting(mg_conn *c) {
    mg_owed_count(c->server, &c->waiting, c->stream.queued);
}

void mg_conn_arm(mg_conn *c) {
    mg_server *s = c->server;
    if (c->state == MG_CONN_HANDSHAKE) {
        return; // total, not idle: it runs since the peer came
    }
    if (c->stream.queued > 0) {
        c->send_timed = true;
        mark_taken(c);
        mg_loop_refresh_now(s->loop); // a slow turn of ours is not the peer's slowness
        mg_deadline_start(&s->send, &c->deadline);
    } else if (c->state == MG_CONN_HEAD) {
        return; // total, not idle: it runs since the first byte, or since nothing is owed any more
    } else if (c->state == MG_CONN_BUSY && c->fin) {
        // Who sends no more may still be taking: what it takes tells it from one that has left.
        mark_taken(c);
        mg_deadline_start(&s->half_close, &c->deadline);
    } else if (c->state == MG_CONN_BUSY && (c->paused || c->full)) {
        mg_deadline_start(&s->unread, &c->deadline);
    } else if (c->state == MG_CONN_IDLE) {
        mg_deadline_start(&s->idle, &c->deadline);
        s->on_conn_idle(s);
    } else if (c->state == MG_CONN_LINGER) {
        mg_deadline_start(&s->linger, &c->deadline);
    } else if (c->state == MG_CONN_TUNNEL) {
        mg_deadline_start(&s->tunnel, &c->deadline);
    } else {
        mg_deadline_stop(&c->deadline);
    }
}

static void start_reading(mg_conn *c) {
    if (mg_stream_read_start(&c->stream) != 0) {
        mg_conn_close(c, MG_GONE_CLIENT);
    }
}

void mg_conn_open(mg_conn *c, mg_server *server, mg_owner *owner, bool ready) {
    c->server = server;
    c->owner = owner;
    c->state = ready ? MG_CONN_IDLE : MG_CONN_HANDSHAKE;
    mg_deadline_init(&c->deadline);
    if (ready) {
        mg_conn_arm(c);
    } else {
        mg_deadline_start(&server->handshake, &c->deadline);
    }
    start_reading(c);
}

// --- output ---

mg_buf *mg_conn_out(mg_conn *c) {
    if (c->out == NULL) {
        c->out = mg_output_take(&c->server->outputs);
        c->out->conn = c;
        mg_link_append(&c->server->dirty, &c->out->dirty);
    }
    return &c->out->bytes;
}

static void give_output(mg_conn *c) {
    if (c->out != NULL) {
        mg_link_remove(&c->out->dirty);
        mg_output_give(&c->server->outputs, c->out);
        c->out = NULL;
    }
}

static void write_out(mg_conn *c, const struct iovec *v, int count, size_t bytes) {
    if (!c->broken && count > 0) {
        c->broken = mg_stream_write(&c->stream, v, count) != 0;
        c->bytes_out += bytes;
        c->server->stats.bytes_out += bytes;
        count_waiting(c);
    }
    if (c->out != NULL) {
        mg_buf_clear(&c->out->bytes);
    }
}

// Sends what is gathered and `more` behind it.
static void send_now(mg_conn *c, mg_str more) {
    mg_str gathered = c->out != NULL ? mg_buf_str(&c->out->bytes) : (mg_str){NULL, 0};
    struct iovec v[2] = {{(void *)(uintptr_t)gathered.p, gathered.n},
                         {(void *)(uintptr_t)more.p, more.n}};
    int skip = gathered.n == 0;
    int count = more.n > 0 ? 2 : 1;
    write_out(c, v + skip, count - skip, gathered.n + more.n);
}

void mg_conn_flush(mg_conn *c) {
    send_now(c, (mg_str){NULL, 0});
    give_output(c);
    if (c->broken) {
        mg_conn_close(c, MG_GONE_CLIENT);
        return;
    }
    if (c->stream.queued > 0 ? !c->send_timed : c->state == MG_CONN_TUNNEL) {
        mg_conn_arm(c); // a tunnel on which something moves does not idle
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

void mg_conn_write_between(mg_conn *c, const mg_conn_piece *pieces, int count) {
    struct iovec v[2 * MG_CONN_PIECES];
    char *gathered = mg_conn_out(c)->p;
    size_t at = 0;
    size_t bytes = 0;
    for (int i = 0; i < count; i++) {
        v[2 * i] = (struct iovec){gathered + at, pieces[i].at - at};
        v[2 * i + 1] = (struct iovec){(void *)(uintptr_t)pieces[i].data.p, pieces[i].data.n};
        bytes += pieces[i].at - at + pieces[i].data.n;
        at = pieces[i].at;
    }
    write_out(c, v, 2 * count, bytes);
}

int mg_conn_send(mg_conn *c, mg_str data) {
    if (c->broken || c->shut) {
        return MG_ECLOSED;
    }
    if (data.n <= COPY_MAX) {
        mg_buf_append_str(mg_conn_out(c), data);
        mg_conn_relieve(c);
    } else {
        mg_conn_write_through(c, data);
    }
    return mg_conn_backlog(c) > BACKLOG_HIGH && c->stream.queued > 0 ? MG_EAGAIN : MG_OK;
}

void mg_conn_shutdown(mg_conn *c) {
    if (!c->shut) {
        c->shut = true;
        mg_conn_write_through(c, (mg_str){NULL, 0});
        mg_stream_shutdown(&c->stream);
    }
}

// --- closing ---

static void close_stream(mg_conn *c, bool reset) {
    if (c->foreign != 0) {
        mg_foreign_record(c, reset || c->broken);
    }
    drop_held(c);
    give_output(c);
    mg_stream_close(&c->stream, reset);
    count_waiting(c);
}

void mg_conn_close(mg_conn *c, mg_gone why) {
    if (c->state == MG_CONN_CLOSED) {
        return;
    }
    set_state(c, MG_CONN_CLOSED);
    mg_deadline_stop(&c->deadline);
    bool reset = c->owner->ops->on_closed(c, why);
    c->owner = &nobody;
    close_stream(c, reset);
}

void mg_conn_abort(mg_conn *c) {
    set_state(c, MG_CONN_CLOSED);
    mg_deadline_stop(&c->deadline);
    c->owner = &nobody;
    close_stream(c, true);
}

// Closing at once while the peer sends would make the kernel answer that with a reset, which can
// destroy the answer before the peer has read it. So send a FIN and read on for a while.
void mg_conn_finish(mg_conn *c, bool unread) {
    set_state(c, MG_CONN_LINGER);
    c->owner = &nobody;
    drop_held(c);
    c->close_drained = !unread || c->fin;
    send_now(c, (mg_str){NULL, 0});
    if (c->broken || (c->close_drained && c->stream.queued == 0)) {
        mg_conn_close(c, MG_GONE_CLIENT);
        return;
    }
    if (!c->close_drained) {
        mg_stream_shutdown(&c->stream);
        c->full = false;
        mg_conn_resume(c);
    }
    mg_conn_arm(c);
}

// --- input ---

static void set_reading(mg_conn *c, bool reading) {
    if (!reading) {
        mg_stream_read_stop(&c->stream);
    } else if (!c->fin && mg_stream_read_start(&c->stream) != 0) {
        mg_conn_close(c, MG_GONE_CLIENT);
        return;
    }
    if (c->state == MG_CONN_BUSY && !c->send_timed && !c->fin) {
        mg_conn_arm(c);
    }
}

// Reading would have told that the peer has left.
void mg_conn_look_for_end(mg_conn *c) {
    int status;
    if (!mg_stream_ending(&c->stream, &status)) {
        mg_conn_arm(c);
    } else if (status < 0) {
        mg_conn_close(c, MG_GONE_CLIENT);
    } else {
        mark_taken(c);
        mg_deadline_start(&c->server->half_close, &c->deadline);
    }
}

void mg_conn_pause(mg_conn *c) {
    bool reading = !c->paused && !c->full;
    c->paused = true;
    if (reading) {
        set_reading(c, false);
    }
}

void mg_conn_resume(mg_conn *c) {
    if (c->paused && c->state != MG_CONN_CLOSED) {
        c->paused = false;
        if (!c->full) {
            set_reading(c, true);
        }
    }
}

static void give_up_held(mg_intake *i) {
    mg_conn_close(MG_OF(i, mg_held, intake)->conn, MG_GONE_CLIENT);
}

static void hold(mg_conn *c, const char *data, size_t n) {
    if (c->held == NULL) {
        c->held = mg_calloc(1, sizeof *c->held);
        c->held->conn = c;
        mg_intake_init(&c->held->intake, give_up_held);
    }
    mg_held *h = c->held;
    mg_buf_append_behind(&h->bytes, &h->at, (mg_str){data, n});
    bool filled = !c->full && mg_conn_held(c) >= c->server->options.pipeline_bytes;
    c->full |= filled;
    count_held(c);
    if (filled && !c->paused) {
        set_reading(c, false);
    }
}

// All that was held is taken.
static void held_no_more(mg_conn *c) {
    drop_held(c);
    if (c->full) {
        c->full = false;
        if (!c->paused) {
            set_reading(c, true);
        }
    }
    if (c->fin && c->state != MG_CONN_BUSY && c->state < MG_CONN_LINGER) { // that was told at once
        c->owner->ops->on_fin(c);
    }
}

void mg_conn_pump(mg_conn *c) {
    if (c->pumping) {
        return;
    }
    c->pumping = true;
    while (mg_conn_held(c) > 0) {
        mg_held *h = c->held;
        size_t used = c->owner->ops->take(c, h->bytes.p + h->at, mg_conn_held(c));
        if (used == 0 || c->state >= MG_CONN_LINGER) {
            break;
        }
        h->at += used;
    }
    c->pumping = false;
    if (c->state < MG_CONN_LINGER && mg_conn_held(c) == 0) {
        held_no_more(c);
    } else if (c->held != NULL) {
        count_held(c);
    }
}

static void on_read(mg_stream *stream, const char *data, size_t n) {
    mg_conn *c = MG_OF(stream, mg_conn, stream);
    c->bytes_in += n;
    c->server->stats.bytes_in += n;
    if (mg_conn_held(c) > 0) {
        hold(c, data, n);
        mg_conn_pump(c);
        return;
    }
    size_t used = 0;
    c->pumping = true;
    while (used < n) {
        size_t taken_now = c->owner->ops->take(c, data + used, n - used);
        used += taken_now;
        if (taken_now == 0) {
            break;
        }
    }
    c->pumping = false;
    if (used < n) {
        hold(c, data + used, n - used);
    }
}

static void on_end(mg_stream *stream, int status) {
    mg_conn *c = MG_OF(stream, mg_conn, stream);
    c->fin = true;
    if (status < 0) {
        mg_conn_close(c, MG_GONE_CLIENT);
    } else if (c->state == MG_CONN_LINGER) {
        c->close_drained = true;
        if (c->stream.queued == 0) {
            mg_conn_close(c, MG_GONE_CLIENT);
        }
    } else if (c->state != MG_CONN_CLOSED) {
        c->owner->ops->on_fin(c);
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
    if (c->state == MG_CONN_HEAD) {
        c->head_timed = false;
        mg_conn_time_head(c);
    } else {
        mg_conn_arm(c);
    }
    c->owner->ops->on_drained(c);
    if (c->state < MG_CONN_LINGER) {
        mg_conn_pump(c);
    }
    if (c->state == MG_CONN_IDLE && c->server->draining) {
        mg_conn_close(c, MG_GONE_STOP);
    }
}

static void on_closed(mg_stream *stream) {
    mg_conn *c = MG_OF(stream, mg_conn, stream);
    c->server->on_conn_closed(c->server, c);
}

const mg_stream_events mg_conn_events = {
    .on_read = on_read,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_closed = on_closed,
};

// --- the owner's moves ---

void mg_conn_begin(mg_conn *c, mg_owner *owner) {
    set_state(c, MG_CONN_HEAD);
    c->owner = owner;
}

// Total, not idle: it runs from the first bytes on, and not at all for a head that comes whole.
// Meanwhile who still owes is timed for that: a beginning hides nobody from mg_owed_bound.
void mg_conn_time_head(mg_conn *c) {
    if (!c->head_timed && !c->send_timed) {
        c->head_timed = true;
        mg_deadline_start(&c->server->header, &c->deadline);
    }
}

void mg_conn_busy(mg_conn *c) {
    set_state(c, MG_CONN_BUSY);
    c->head_timed = false;
    c->requests++;
    mg_deadline_stop(&c->deadline);
    mg_conn_arm(c);
}

void mg_conn_idle(mg_conn *c, mg_owner *owner) {
    set_state(c, MG_CONN_IDLE);
    c->owner = owner;
    c->head_timed = false;
    mg_deadline_stop(&c->deadline);
    mg_conn_resume(c);
    mg_conn_pump(c);
    if (c->state == MG_CONN_IDLE || c->state == MG_CONN_HEAD) { // which may owe an answer before it
        mg_conn_arm(c);
    }
}

void mg_conn_tunnel(mg_conn *c, mg_owner *owner) {
    set_state(c, MG_CONN_TUNNEL);
    c->owner = owner;
    mg_deadline_stop(&c->deadline);
    mg_conn_arm(c);
    mg_conn_resume(c);
    mg_conn_pump(c);
    if (c->state == MG_CONN_TUNNEL && c->server->draining) {
        owner->ops->on_stop(c);
    }
}

// --- deadlines ---

void mg_conn_half_close_late(mg_conn *c) {
    if (newly_taken(c) != 0) {
        mg_conn_arm(c);
    } else {
        mg_conn_close(c, MG_GONE_CLIENT);
    }
}

bool mg_conn_takes(mg_conn *c) {
    uint32_t progress = newly_taken(c);
    bool moves = mg_owed_moves(c->server, &c->server->send, &c->deadline, progress);
    count_waiting(c); // parts of a large write may have left
    if (moves) {
        mg_conn_arm(c);
    }
    return moves;
}

void mg_conn_send_late(mg_conn *c) {
    if (!mg_conn_takes(c)) {
        mg_conn_close(c, MG_GONE_CLIENT);
    }
}
