// server/proxied.h: connections that come through a proxy which tells of its client in the PROXY
// protocol (http/proxy_header.h), before the first byte of TLS or HTTP.
//
// Only the endpoint's own proxies are let in, and each has to tell. What is told lies behind the
// mg_conn, in the same block: other connections have no room for it.
#pragma once

#include "http/proxy_header.h"
#include "server/conn.h"

typedef struct mg_proxied {
    mg_proxy_header header;
    mg_buf gathered; // of a header that does not come in one piece
} mg_proxied;

// Owns a connection in HANDSHAKE until its header has come, then makes it IDLE.
extern mg_owner mg_proxied_reader;

// The same for what precedes TLS, as mg_tls_opening.before.
bool mg_proxied_before_tls(mg_stream *s, const char *data, size_t n, size_t *used);
