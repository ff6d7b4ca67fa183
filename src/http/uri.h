// http/uri.h: absolute http and https URIs for clients, and references against them (RFC 3986).
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

typedef struct mg_uri {
    bool tls;         // https
    mg_str authority; // host[:port] as a Host field says it: without a default port
    mg_str host;      // without the brackets of an IPv6 literal
    uint16_t port;
    mg_str target; // path and query, "/" at least
} mg_uri;

// Parses `text`: "http://host[:port][/path][?query][#fragment]"; the fragment is dropped, dot
// segments are removed, the host is in lower case. A host that ends in a number must be an IPv4
// address of four decimal numbers, one in brackets an IPv6 address without a zone. Spans borrow
// `text` or lie in `arena`. MG_ESYNTAX, and `*why` says in a few words what is wrong.
int mg_uri_parse(mg_str text, mg_arena *arena, mg_uri *out, const char **why);

// Appends what `reference` (absolute, "//host", "/path", "path", "?query") means at `base`, which
// was parsed, with what must be percent-encoded behind the host encoded. MG_ESYNTAX if the scheme
// is another one than http and https.
int mg_uri_resolve(const mg_uri *base, mg_str reference, mg_buf *out);
