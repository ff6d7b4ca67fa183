// event/tls_peers.h: both ends of a TLS connection, and what they trust and show.
#pragma once

#include "event/tls.h"
#include "event/tls_inside.h"
#include "tls_certificates.h"
#include "tls_server.h"
#include "wire.h"

// One end of a TLS connection.
typedef struct side {
    wire w;
    int readies;
    int status;
    char text[1024];
    bool close_in_ready;
    bool read_in_ready;
} side;

static mg_loop *loop;
static mg_tls_context *client_context;
static mg_tls_context *server_context;
static side client;
static side server;
static bool over_tcp;

static inline side *side_of(mg_stream *s) {
    return MG_OF(wire_of(s), side, w);
}

static inline void on_ready(mg_stream *s, int status, const char *text) {
    side *x = side_of(s);
    x->readies++;
    x->status = status;
    snprintf(x->text, sizeof x->text, "%s", text);
    if (x->read_in_ready) {
        assert_int_equal(mg_stream_read_start(s), 0);
        assert_int_equal(x->w.got.n, 0);
    }
    if (x->close_in_ready) {
        mg_stream_close(s, false);
    }
}

static inline mg_tls_context *client_of(const mg_tls_client_options *options) {
    mg_tls_context *c = NULL;
    mg_error err = {""};
    int rc = mg_tls_client_new(&c, options, &err);
    if (rc != 0) {
        fail_msg("%s", err.text);
    }
    return c;
}

static inline mg_tls_context *server_of(const char *name, const char *alpn) {
    char chain[64];
    char key[64];
    mg_tls_context *c = NULL;
    mg_error err = {""};
    snprintf(chain, sizeof chain, "%s.pem", name);
    snprintf(key, sizeof key, "%s.key", name);
    if (server_of_files(&c, path_of(chain), path_of(key), alpn, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return c;
}

static inline int set_up(void **state) {
    (void)state;
    alarm(60);
    loop = new_loop(false);
    client = (side){.readies = 0};
    server = (side){.readies = 0};
    client_context = NULL;
    server_context = NULL;
    over_tcp = false;
    return 0;
}

static inline int set_up_tcp(void **state) {
    set_up(state);
    over_tcp = true;
    return 0;
}

static inline void close_side(side *x) {
    if (x->w.s.ops != NULL) {
        mg_stream_close(&x->w.s, false);
        turn_until(loop, &x->w.closes, 1);
        assert_int_equal(x->w.closes, 1);
        mg_buf_deinit(&x->w.got);
    }
    *x = (side){.readies = 0};
}

static inline int tear_down(void **state) {
    (void)state;
    close_side(&client);
    close_side(&server);
    mg_tls_unref(client_context);
    mg_tls_unref(server_context);
    return mg_loop_free(loop);
}
