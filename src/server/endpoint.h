// server/endpoint.h: what is wanted of one address that is listened at.
//
// Plain data: made by the configuration, handed on by master and channel, taken by
// mg_server_listen. A new property is a field here, one row in config/endpoint.c, and whoever heeds
// it.
#pragma once

#include "base/str.h"
#include "event/tls.h"

#include <stdint.h>

// Who answers: a place among a server's apps.
enum { MG_APP_MAIN, MG_SERVER_APPS = 2 };

enum { MG_MODE_ANY = 0xffff }; // of a Unix socket: as the process's umask leaves it

typedef struct mg_endpoint {
    const char *address; // "127.0.0.1:8080", "unix:/run/x.sock"
    unsigned app;
    uint32_t mode;    // of a Unix socket's path, or MG_MODE_ANY
    mg_texts proxies; // who tells of its clients in the PROXY protocol; none: it is not spoken
    bool http2;       // spoken too: by ALPN, without TLS as the client begins
    bool stream;      // no HTTP: what is spoken there is the app's (server/foreign.h)
    bool secure;      // TLS is spoken there
    const mg_tls_settings *settings; // how; NULL where it was handed on: see event/tls_store.h
    mg_tls_context *tls; // of a secure one. Not of the configuration: whoever listens has made it
} mg_endpoint;

static inline const char *mg_endpoint_scheme(const mg_endpoint *e) {
    if (e->stream) {
        return e->secure ? "tls" : "tcp";
    }
    return e->secure ? "https" : "http";
}
