// Two connected streams in memory. What one end writes goes into the other's `in` until `window`
// bytes lie there; the rest waits in the writer's `out`. Nothing calls back inside a call: an end
// with news stands in the loop's `pairs_ready`.

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "event/loop_inside.h"
#include "event/stream_ops.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef struct mg_pair_end mg_pair_end;
struct mg_pair_end {
    mg_loop *loop;
    mg_stream *stream;  // borrowed: the owner's
    mg_pair_end *other; // NULL once it is freed
    mg_link open;       // in loop->pairs
    mg_link ready;      // in loop->pairs_ready
    size_t window;
    mg_buf in;
    mg_buf lent; // what on_read is looking at, and the spare memory of `in`
    mg_buf out;
    size_t out_at; // of `out`: what went before it
    int end_status;
    int drain_status;
    bool end_due;   // the other end sends no more than lies in `in`
    bool drain_due; // on_drain has to come
};

static int read_start(mg_stream *s);
static void read_stop(mg_stream *s);
static int write_to_other(mg_stream *s, const struct iovec *v, int count);
static int shut(mg_stream *s);
static void close_end(mg_stream *s, bool reset);
static int address(const mg_stream *s, struct sockaddr_storage *out);
static mg_loop *loop_of(const mg_stream *s);
static bool quiet(const mg_stream *s);
static bool ending(const mg_stream *s, int *status);
static mg_pair_end *new_end(mg_loop *loop, mg_stream *s, size_t window);
static void part(mg_pair_end *e);
static void free_end(mg_pair_end *e);
static void mark(mg_pair_end *e);
static void deliver(mg_pair_end *e);
static void deliver_bytes(mg_pair_end *e);
static void clear_out(mg_pair_end *e);
static void push_out(mg_pair_end *e);
static void end_other(mg_pair_end *e, int status);
static void break_output(mg_pair_end *e, int status);

static const mg_stream_ops pair_ops = {
    .read_start = read_start,
    .read_stop = read_stop,
    .write = write_to_other,
    .shutdown = shut,
    .close = close_end,
    .peer = address,
    .local = address,
    .loop = loop_of,
    .quiet = quiet,
    .ending = ending,
};

int mg_stream_pair(mg_loop *loop, mg_stream *a, mg_stream *b, const mg_stream_events *a_events,
                   const mg_stream_events *b_events, size_t window) {
    if (window == 0) {
        return -EINVAL;
    }
    mg_stream_prepare(a, &pair_ops, a_events);
    mg_stream_prepare(b, &pair_ops, b_events);
    a->u.pair = new_end(loop, a, window);
    b->u.pair = new_end(loop, b, window);
    a->u.pair->other = b->u.pair;
    b->u.pair->other = a->u.pair;
    return MG_OK;
}

// An end that gets ready meanwhile waits for the next turn, so that two ends cannot keep each other
// busy for ever.
void mg_pairs_deliver(mg_loop *loop) {
    if (mg_link_alone(&loop->pairs_ready)) {
        return;
    }
    mg_link_append(&loop->pairs_ready, &loop->pairs_last);
    for (mg_link *l; (l = mg_link_shift(&loop->pairs_ready)) != &loop->pairs_last;) {
        deliver(MG_OF(l, mg_pair_end, ready));
    }
}

int mg_pairs_audit(mg_loop *loop) {
    int leaked = 0;
    mg_link *next;
    for (mg_link *l = loop->pairs.next; l != &loop->pairs; l = next) {
        mg_pair_end *e = MG_OF(l, mg_pair_end, open);
        next = l->next;
        if (e->stream->closing) {
            continue;
        }
        leaked++;
#ifdef MG_DEBUG
        fprintf(stderr, "moongate: nobody closed a memory stream\n");
#endif
        free_end(e);
    }
    return leaked;
}

static int read_start(mg_stream *s) {
    mg_pair_end *e = s->u.pair;
    if (e->in.n > 0 || e->end_due) {
        mark(e);
    }
    return MG_OK;
}

static void read_stop(mg_stream *s) {
    (void)s; // deliver looks at `reading`
}

static int write_to_other(mg_stream *s, const struct iovec *v, int count) {
    mg_pair_end *e = s->u.pair;
    size_t n = 0;
    for (int i = 0; i < count; i++) {
        n += v[i].iov_len;
    }
    if (n > UINT32_MAX - s->queued) {
        return -ENOBUFS;
    }
    for (int i = 0; i < count; i++) {
        mg_buf_append_behind(&e->out, &e->out_at, (mg_str){v[i].iov_base, v[i].iov_len});
    }
    push_out(e);
    return MG_OK;
}

static int shut(mg_stream *s) {
    if (s->queued == 0) {
        end_other(s->u.pair, 0);
    }
    return MG_OK;
}

static void close_end(mg_stream *s, bool reset) {
    mg_pair_end *e = s->u.pair;
    clear_out(e);
    end_other(e, reset ? -ECONNRESET : 0);
    if (e->other != NULL) {
        break_output(e->other, reset ? -ECONNRESET : -EPIPE);
    }
    mark(e);
}

static int address(const mg_stream *s, struct sockaddr_storage *out) {
    (void)s;
    memset(out, 0, sizeof *out);
    out->ss_family = AF_UNIX;
    return MG_OK;
}

static mg_loop *loop_of(const mg_stream *s) {
    return s->u.pair->loop;
}

static bool quiet(const mg_stream *s) {
    return s->u.pair->in.n == 0 && !s->u.pair->end_due;
}

static bool ending(const mg_stream *s, int *status) {
    *status = s->u.pair->end_status;
    return s->u.pair->end_due;
}

static mg_pair_end *new_end(mg_loop *loop, mg_stream *s, size_t window) {
    mg_pair_end *e = mg_calloc(1, sizeof *e);
    e->loop = loop;
    e->stream = s;
    e->window = window;
    mg_link_init(&e->ready);
    mg_link_init(&e->open);
    mg_link_append(&loop->pairs, &e->open);
    return e;
}

static void part(mg_pair_end *e) {
    if (e->other != NULL) {
        e->other->other = NULL;
        e->other = NULL;
    }
}

static void free_end(mg_pair_end *e) {
    part(e);
    mg_link_remove(&e->ready);
    mg_link_remove(&e->open);
    mg_buf_deinit(&e->in);
    mg_buf_deinit(&e->lent);
    mg_buf_deinit(&e->out);
    mg_free(e);
}

static void mark(mg_pair_end *e) {
    if (mg_link_alone(&e->ready)) {
        mg_link_append(&e->loop->pairs_ready, &e->ready);
        mg_loop_turn_soon(e->loop);
    }
}

// Every event may close the stream; closed, it is marked again and ends in a later turn.
static void deliver(mg_pair_end *e) {
    mg_stream *s = e->stream;
    mg_loop_note(e->loop);
    if (s->closing) {
        part(e);
        s->events->on_closed(s);
        free_end(e);
        return;
    }
    bool refilled = s->queued > 0;
    if (e->drain_due && !refilled) {
        s->events->on_drain(s, e->drain_status);
    }
    e->drain_due = false;
    if (s->reading && e->in.n > 0) {
        deliver_bytes(e);
    }
    if (s->reading && e->in.n == 0 && e->end_due) {
        mg_stream_end(s, e->end_status);
    }
}

// The bytes are moved aside first: the callback may make the other end write more into `in`.
static void deliver_bytes(mg_pair_end *e) {
    mg_stream *s = e->stream;
    mg_buf bytes = e->in;
    e->in = e->lent;
    e->lent = bytes;
    size_t n = bytes.n < MG_STREAM_READ_BYTES ? bytes.n : MG_STREAM_READ_BYTES;
    mg_buf_append(&e->in, bytes.p + n, bytes.n - n);
    if (e->other != NULL) {
        push_out(e->other);
    }
    s->events->on_read(s, bytes.p, n);
    mg_buf_clear(&e->lent);
    if (s->reading && e->in.n > 0) {
        mark(e);
    }
}

static void clear_out(mg_pair_end *e) {
    mg_buf_clear(&e->out);
    e->out_at = 0;
}

// Moves what fits into the other end's window.
static void push_out(mg_pair_end *e) {
    mg_stream *s = e->stream;
    mg_pair_end *to = e->other;
    size_t room = to->in.n < to->window ? to->window - to->in.n : 0;
    size_t rest = e->out.n - e->out_at;
    size_t n = rest < room ? rest : room;
    if (n > 0) {
        mg_buf_append(&to->in, e->out.p + e->out_at, n);
        e->out_at += n;
        mark(to);
    }
    bool drained = s->queued > 0 && n == rest;
    s->queued = (uint32_t)(rest - n);
    if (s->queued == 0) {
        clear_out(e);
    }
    if (!drained) {
        return;
    }
    e->drain_due = true;
    e->drain_status = 0;
    mark(e);
    if (s->output == MG_OUTPUT_SHUT) {
        end_other(e, 0);
    }
}

static void end_other(mg_pair_end *e, int status) {
    mg_pair_end *to = e->other;
    if (to == NULL) {
        return;
    }
    if (!to->end_due || status < 0) {
        to->end_status = status;
    }
    to->end_due = true;
    mark(to);
}

static void break_output(mg_pair_end *e, int status) {
    mg_stream *s = e->stream;
    s->output = MG_OUTPUT_BROKEN;
    if (s->queued > 0) {
        s->queued = 0;
        clear_out(e);
        e->drain_due = true;
        e->drain_status = status;
        mark(e);
    }
}
