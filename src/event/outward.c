#include "event/outward.h"

#include "base/error.h"

enum {
    BACKLOG_HIGH = 64 * 1024, // whoever sends has to wait
    LINGER_MS = 5000,         // for a peer that takes nothing, or says nothing, behind our end
};

static mg_outward *of(const mg_tunnel *t) {
    return t->carrier;
}

// --- the end ---

static void release(mg_outward *o, bool reset) {
    mg_timer_stop(&o->linger);
    o->released = true;
    o->release(o, reset);
}

// The peer is gone, or what it took was not all.
static void lose(mg_outward *o) {
    mg_tunnel *t = o->tunnel;
    o->tunnel = NULL;
    release(o, false);
    if (t != NULL) {
        t->events->on_closed(t, MG_GONE_CLIENT);
    }
}

// Nobody owns it. Closing while the peer sends could destroy what it has not read yet: its own end
// is waited for.
static bool is_over(const mg_outward *o) {
    return o->tunnel == NULL && o->fin && o->stream->queued == 0;
}

static void on_linger(mg_timer *timer) {
    mg_outward *o = MG_OF(timer, mg_outward, linger);
    size_t untaken = mg_stream_untaken(o->stream);
    if (untaken < o->untaken) {
        o->untaken = untaken;
        mg_timer_start(timer->loop, timer, LINGER_MS, 0, on_linger);
    } else {
        release(o, false);
    }
}

// --- what the stream tells ---

void mg_outward_read(mg_outward *o, const char *data, size_t n) {
    if (o->tunnel != NULL && n > 0) {
        o->tunnel->events->on_read(o->tunnel, (mg_str){data, n});
    }
}

void mg_outward_ended(mg_outward *o, int status) {
    o->fin = true;
    if (o->released) {
        return;
    }
    if (status < 0) {
        lose(o);
    } else if (o->tunnel != NULL) {
        o->tunnel->fin = true;
        o->tunnel->events->on_fin(o->tunnel);
    } else if (is_over(o)) {
        release(o, false);
    }
}

void mg_outward_drained(mg_outward *o, int status) {
    if (o->released) {
        return;
    }
    if (status < 0) {
        lose(o);
    } else if (o->tunnel != NULL) {
        o->tunnel->events->on_drained(o->tunnel);
    } else if (is_over(o)) {
        release(o, false);
    }
}

void mg_outward_drop(mg_outward *o) {
    mg_tunnel *t = o->tunnel;
    o->tunnel = NULL;
    mg_timer_stop(&o->linger);
    if (t != NULL) {
        t->events->on_closed(t, MG_GONE_STOP);
    }
}

// --- what its owner wants ---

static int write_out(mg_tunnel *t, mg_str data) {
    const mg_outward *o = of(t);
    struct iovec v = {(void *)(uintptr_t)data.p, data.n};
    if (o->shut || mg_stream_write(o->stream, &v, 1) != 0) {
        return MG_ECLOSED;
    }
    return o->stream->queued > BACKLOG_HIGH ? MG_EAGAIN : MG_OK;
}

static size_t backlog(const mg_tunnel *t) {
    return of(t)->stream->queued;
}

static void pause_reading(mg_tunnel *t) {
    mg_stream_read_stop(of(t)->stream);
}

static void resume_reading(mg_tunnel *t) {
    if (!of(t)->fin) {
        mg_stream_read_start(of(t)->stream); // what fails is told by the stream's end
    }
}

static void shut_down(mg_tunnel *t) {
    mg_outward *o = of(t);
    if (!o->shut) {
        o->shut = true;
        mg_stream_shutdown(o->stream);
    }
}

static void close_gracefully(mg_tunnel *t) {
    mg_outward *o = of(t);
    o->tunnel = NULL;
    if (is_over(o)) {
        release(o, false);
        return;
    }
    shut_down(t);
    mg_stream_read_start(o->stream);
    o->untaken = mg_stream_untaken(o->stream);
    mg_timer_start(mg_stream_loop(o->stream), &o->linger, LINGER_MS, 0, on_linger);
}

static void abort_all(mg_tunnel *t) {
    mg_outward *o = of(t);
    o->tunnel = NULL;
    release(o, true);
}

static const mg_tunnel_ops outward_ops = {
    .write = write_out,
    .backlog = backlog,
    .pause = pause_reading,
    .resume = resume_reading,
    .shutdown = shut_down,
    .close = close_gracefully,
    .abort = abort_all,
};

void mg_outward_open(mg_outward *o, mg_stream *stream, mg_tunnel *t) {
    o->stream = stream;
    o->tunnel = t;
    t->ops = &outward_ops;
    t->carrier = o;
    t->fin = false;
    mg_stream_read_start(stream);
}
