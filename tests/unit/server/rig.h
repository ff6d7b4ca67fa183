// server/rig.h: a server on a virtual clock, an app that does as it is told, and peers in memory.
#pragma once

#include "server/answer.h"
#include "server/request_body.h"
#include "server/server.h"

#include "unit.h"

typedef struct rig {
    mg_app app; // first: the seam's functions get it
    mg_loop *loop;
    mg_server *server;
    mg_turn turn;
    mg_link requests; // exchanges that nobody has looked at
    bool echo;        // the turn hook answers each with its target
    int bodies, writables, deadlines, gone;
    mg_gone why;
    mg_buf log; // what the access log was told; of refusals without the length
} rig;

static const mg_answer rig_ok = {.status = 200};

// --- the app ---

static inline void rig_on_request(mg_app *app, mg_exchange *x) {
    mg_link_append(&((rig *)app)->requests, &x->app_link);
}

static inline void rig_on_body(mg_app *app, mg_exchange *x) {
    (void)x;
    ((rig *)app)->bodies++;
}

static inline void rig_on_writable(mg_app *app, mg_exchange *x) {
    (void)x;
    ((rig *)app)->writables++;
}

static inline void rig_on_deadline(mg_app *app, mg_exchange *x) {
    (void)x;
    ((rig *)app)->deadlines++;
}

static inline void rig_on_gone(mg_app *app, mg_exchange *x, mg_gone why) {
    rig *r = (rig *)app;
    mg_link_remove(&x->app_link);
    r->gone++;
    r->why = why;
}

// The next exchange that waits for the app, or NULL.
static inline mg_exchange *rig_take(rig *r) {
    mg_link *l = mg_link_shift(&r->requests);
    return l != NULL ? MG_OF(l, mg_exchange, app_link) : NULL;
}

static inline void rig_on_turn(mg_turn *turn) {
    rig *r = MG_OF(turn, rig, turn);
    mg_exchange *x;
    while (r->echo && (x = rig_take(r)) != NULL) {
        mg_exchange_respond(x, &rig_ok, x->head.target.path);
    }
}

static inline void rig_on_access(void *arg, const mg_access_record *a) {
    mg_buf_printf(&((rig *)arg)->log, "%.*s %.*s %d %d%s\n", (int)a->method.n, a->method.p,
                  (int)a->target.n, a->target.p, a->status,
                  a->status < 400 ? (int)a->body_bytes_out : 0, a->aborted ? " aborted" : "");
}

// --- life ---

// Tests change r->server->options where that is enough, else they open with their own.
static inline mg_server_options rig_options(void) {
    return (mg_server_options){
        .request_line_bytes = 8192,
        .header_bytes = 32768,
        .header_fields = 100,
        .chunk_extension_bytes = 16384,
        .trailer_bytes = 16384,
        .body_bytes = 1 << 20,
        .body_rate = 500,
        .discard_bytes = 1000,
        .pipeline_bytes = 65536,
        .requests_per_connection = 10000,
        .h2 = mg_h2_default_limits,
        .handshake_ms = 10000,
        .header_ms = 10000,
        .body_grace_ms = 20000,
        .send_ms = 60000,
        .handler_ms = 30000,
        .idle_ms = 75000,
        .tunnel_ms = 75000,
        .half_close_ms = 1000,
        .linger_ms = 2000,
    };
}

static inline void rig_open_with(rig *r, bool virtual_clock, const mg_server_options *options) {
    *r = (rig){
        .app = {.on_request = rig_on_request,
                .on_body = rig_on_body,
                .on_writable = rig_on_writable,
                .on_deadline = rig_on_deadline,
                .on_gone = rig_on_gone},
        .echo = true,
        .turn = {.run = rig_on_turn},
    };
    mg_link_init(&r->requests);
    assert_int_equal(mg_loop_new(&r->loop, &(mg_loop_options){.virtual_clock = virtual_clock}), 0);
    mg_loop_add_turn(r->loop, &r->turn);
    r->server = mg_server_new(r->loop, &r->app, options);
    r->server->on_access = rig_on_access;
    r->server->log_arg = r;
}

static inline void rig_open(rig *r) {
    mg_server_options options = rig_options();
    rig_open_with(r, true, &options);
}

// Turns until nothing moves; no time passes.
static inline void rig_settle(rig *r) {
    while (mg_loop_turn(r->loop, false, false, 0) == MG_LOOP_MOVED) {
    }
}

static inline void rig_pass(rig *r, uint64_t ms) {
    uint64_t until = mg_loop_now_ms(r->loop) + ms;
    while (mg_loop_turn(r->loop, false, true, until) != MG_LOOP_IDLE) {
    }
    mg_loop_set_now(r->loop, until);
    rig_settle(r);
}

static inline void rig_close(rig *r) {
    mg_server_close(r->server);
    rig_settle(r);
    assert_int_equal(r->server->stats.connections, 0);
    mg_server_free(r->server);
    mg_loop_remove_turn(&r->turn);
    assert_int_equal(mg_loop_free(r->loop), 0);
    mg_buf_deinit(&r->log);
}

static inline void assert_log(rig *r, const char *want) {
    assert_text(want, mg_buf_str(&r->log));
    mg_buf_clear(&r->log);
}
