// client/call_origin.h: whom a call is for: a server, and what is demanded of the way to it.
#pragma once

#include "base/str.h"

// Whether HTTP/2 is spoken (RFC 9113 section 3).
typedef enum mg_http2 {
    MG_HTTP2_UNSAID, // as the client's options say; there: never
    MG_HTTP2_NEVER,
    MG_HTTP2_AUTO,   // over TLS, if the server chooses it (ALPN)
    MG_HTTP2_ALWAYS, // without TLS too: the server is known to
} mg_http2;

// Where a client has found an origin that it is asked for again and again. Whoever keeps it, zeroed
// at first, goes before the client does.
typedef struct mg_origin_hint {
    struct mg_origin *origin;
    uint64_t epoch; // the client's: another one begins when an origin goes
} mg_origin_hint;

// What connections must have in common to be shared. Texts are borrowed for the call.
typedef struct mg_call_origin {
    mg_http2 http2;
    bool tls;
    uint16_t port;
    bool insecure;        // certificates are not verified
    mg_str host;          // name or IP literal
    mg_str unix_path;     // instead of a dial to the host; empty: none
    mg_str ca;            // empty: the client's
    mg_str cert, key;     // shown to a server that asks; empty: none
    mg_str server_name;   // for TLS; empty: the host
    mg_str prelude;       // sent first on each connection, before TLS; empty: nothing
    mg_str rules;         // client/rules.h, besides the client's own; checked
    mg_origin_hint *hint; // of just this; whoever changes a copy does without. NULL: there is none
} mg_call_origin;
