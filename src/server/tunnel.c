#include "server/tunnel.h"

#include "server/server.h"

static mg_tunnel *of(const mg_conn *c) {
    return MG_OF(c->owner, mg_tunnel, owner);
}

// --- what the connection tells ---

static size_t take(mg_conn *c, const char *data, size_t n) {
    if (!c->send_timed) {
        mg_conn_arm(c); // it does not idle
    }
    of(c)->events->on_read(of(c), (mg_str){data, n});
    return n;
}

static void on_fin(mg_conn *c) {
    mg_tunnel *t = of(c);
    if (!t->fin) {
        t->fin = true;
        t->events->on_fin(t);
    }
}

static void on_drained(mg_conn *c) {
    of(c)->events->on_drained(of(c));
}

static void on_head_late(mg_conn *c) {
    (void)c; // it has none
}

static void on_stop(mg_conn *c) {
    of(c)->events->on_stop(of(c));
}

static bool on_closed(mg_conn *c, mg_gone why) {
    of(c)->events->on_closed(of(c), why);
    return false;
}

static const mg_owner_ops owner_ops = {take, on_fin, on_drained, on_head_late, on_stop, on_closed};

// --- what the owner wants ---

static int write_out(mg_tunnel *t, mg_str data) {
    return mg_conn_send(t->carrier, data);
}

static size_t backlog(const mg_tunnel *t) {
    const mg_conn *c = t->carrier;
    return c->stream.queued;
}

static void pause_reading(mg_tunnel *t) {
    mg_conn_pause(t->carrier);
}

static void resume_reading(mg_tunnel *t) {
    mg_conn_resume(t->carrier);
}

static void shut_down(mg_tunnel *t) {
    mg_conn_shutdown(t->carrier);
}

static void close_gracefully(mg_tunnel *t) {
    mg_conn *c = t->carrier;
    mg_conn_finish(c, !c->fin);
}

static void abort_all(mg_tunnel *t) {
    mg_conn_abort(t->carrier);
}

static const mg_tunnel_ops conn_ops = {
    .write = write_out,
    .backlog = backlog,
    .pause = pause_reading,
    .resume = resume_reading,
    .shutdown = shut_down,
    .close = close_gracefully,
    .abort = abort_all,
};

void mg_tunnel_open(mg_tunnel *t, mg_conn *c) {
    t->ops = &conn_ops;
    t->carrier = c;
    t->owner.ops = &owner_ops;
    t->fin = false;
    mg_conn_tunnel(c, &t->owner);
}
