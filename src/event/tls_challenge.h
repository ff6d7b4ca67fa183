// event/tls_challenge.h: what is shown to an ACME directory that looks whose a name is: over HTTP a
// text (RFC 8555 section 8.3), over TLS a certificate (RFC 8737). Every worker has the one of the
// moment, whichever of them the directory meets.
#pragma once

#include "base/buf.h"
#include "base/error.h"

typedef struct mg_challenge mg_challenge;
struct mg_tls_pair;

// As it is handed on. `authorization`: the token, a point, the account's thumbprint. Of TLS: a
// certificate and its key are made for it. MG_ECONFIG and a text.
int mg_challenge_write(mg_buf *out, const char *kind, const char *domain, mg_str authorization,
                       mg_error *err);

// Reads that; NULL: it is none. Owned.
mg_challenge *mg_challenge_read(mg_str text);
void mg_challenge_free(mg_challenge *c); // accepts NULL

// What a path is answered with; empty: it is not that of the challenge. Borrowed.
mg_str mg_challenge_answer(const mg_challenge *c, mg_str path);

// What the name is served with, in lower case. NULL: it is another one. `c` may be NULL.
const struct mg_tls_pair *mg_challenge_pair(const mg_challenge *c, const char *name);
