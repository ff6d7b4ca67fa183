#include "server/foreign.h"

#include "server/server.h"

static size_t take_nothing(mg_conn *c, const char *data, size_t n) {
    (void)c;
    (void)data;
    (void)n;
    return 0;
}

static void on_nothing(mg_conn *c) {
    (void)c;
}

static bool on_closed(mg_conn *c, mg_gone why) {
    (void)c;
    (void)why;
    return false;
}

static const mg_owner_ops waiting_ops = {take_nothing, on_nothing, on_nothing,
                                         on_nothing,   on_nothing, on_closed};
mg_owner mg_foreign_waiting = {&waiting_ops};

void mg_foreign_begin(mg_conn *c) {
    mg_app *app = c->server->apps[c->app];
    if (c->state == MG_CONN_HANDSHAKE) {
        mg_conn_idle(c, &mg_foreign_waiting);
    }
    if (c->state != MG_CONN_IDLE) {
        return; // it has gone meanwhile
    }
    if (app->on_stream != NULL) {
        app->on_stream(app, c);
    } else {
        mg_conn_close(c, MG_GONE_STOP);
    }
}

const char *mg_foreign_address(const mg_conn *c) {
    return c->server->streams[c->foreign - 1];
}

void mg_foreign_client_ip(const mg_conn *c, char out[MG_PEER_TEXT]) {
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    if (mg_conn_peer(c, &peer) < 0) {
        peer.ss_family = AF_UNSPEC;
    }
    mg_ip_write_of(&peer, out);
}

void mg_foreign_record(mg_conn *c, bool broken) {
    mg_server *s = c->server;
    char ip[MG_PEER_TEXT];
    if (s->on_access == NULL) {
        return;
    }
    bool tls = mg_tls_is(&c->stream);
    uint64_t now = mg_loop_wall_ms(s->loop);
    mg_foreign_client_ip(c, ip);
    const mg_access_record r = {
        .method = MG_STR("STREAM"),
        .target = mg_str_of(mg_foreign_address(c)),
        .client_ip = mg_str_of(ip),
        .status = broken ? 0 : 200,
        .body_bytes_out = c->bytes_out,
        .duration_us = (now - c->opened_wall_ms) * 1000,
        .wall_ms = now,
        .tls = tls ? mg_str_of(mg_tls_version(&c->stream)) : (mg_str){0},
        .aborted = broken,
    };
    s->on_access(s->log_arg, &r);
}
