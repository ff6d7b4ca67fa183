#include "server/tunnel.h"

#include "base/mem.h"
#include "server/server.h"

// What the connection belongs to, until either is over.
typedef struct carrier {
    mg_owner owner;
    mg_conn *conn;
    mg_tunnel *tunnel;
} carrier;

static carrier *carrier_of(const mg_conn *c) {
    return MG_OF(c->owner, carrier, owner);
}

static mg_tunnel *of(const mg_conn *c) {
    return carrier_of(c)->tunnel;
}

static mg_conn *conn_of(const mg_tunnel *t) {
    return ((carrier *)t->carrier)->conn;
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
    mg_tunnel *t = of(c);
    mg_free(carrier_of(c));
    t->events->on_closed(t, why);
    return false;
}

static const mg_owner_ops owner_ops = {take, on_fin, on_drained, on_head_late, on_stop, on_closed};

// --- what the owner wants ---

static int write_out(mg_tunnel *t, mg_str data) {
    return mg_conn_send(conn_of(t), data);
}

static size_t backlog(const mg_tunnel *t) {
    return conn_of(t)->stream.queued;
}

static void pause_reading(mg_tunnel *t) {
    mg_conn_pause(conn_of(t));
}

static void resume_reading(mg_tunnel *t) {
    mg_conn_resume(conn_of(t));
}

static void shut_down(mg_tunnel *t) {
    mg_conn_shutdown(conn_of(t));
}

// Before the connection is told of its end: it knows its owner until then.
static mg_conn *part(mg_tunnel *t) {
    mg_conn *c = conn_of(t);
    mg_free(t->carrier);
    return c;
}

static void close_gracefully(mg_tunnel *t) {
    mg_conn *c = part(t);
    mg_conn_finish(c, !c->fin);
}

static void abort_all(mg_tunnel *t) {
    mg_conn_abort(part(t));
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
    carrier *own = mg_malloc(sizeof *own);
    *own = (carrier){.owner = {&owner_ops}, .conn = c, .tunnel = t};
    t->ops = &conn_ops;
    t->carrier = own;
    t->fin = false;
    mg_conn_tunnel(c, &own->owner);
}
