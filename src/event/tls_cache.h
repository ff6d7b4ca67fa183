// event/tls_cache.h: TLS contexts of clients. To read a store of certificates takes some 25 ms, so
// it is done once for each set of demands, in a thread.
//
// An mg_tls_cache belongs to a loop. It owns a bounded number of contexts, with the sessions of
// earlier connections; a connection holds a reference of its own.
#pragma once

#include "base/list.h"
#include "event/loop.h"
#include "event/tls.h"

typedef struct mg_tls_cache mg_tls_cache;

// What connections must have in common to share a context.
typedef struct mg_tls_demands {
    const char *ca;   // PEM file or folder, read again when it has changed; NULL: the cache's own
    const char *cert; // chain in PEM form that is shown to a server that asks; NULL: none
    const char *key;  // its key
    const char *alpn; // "h2,http/1.1"; NULL: nothing is offered
    bool insecure;    // neither certificate nor name of the server is verified
} mg_tls_demands;

enum { MG_TLS_CACHED = 16 }; // contexts at most; the one that came first makes room

// `ca`: a PEM file or folder for demands that name none; NULL: the system's store. `ca_text`, if it
// is not empty, is what is in that file. Both are copied: they stay as they were.
mg_tls_cache *mg_tls_cache_new(mg_loop *loop, const char *ca, mg_str ca_text);

// Nobody who waits is told. Accepts NULL.
void mg_tls_cache_free(mg_tls_cache *c);

// Somebody who waits for a context (caller's memory); with its link taken out, nobody.
typedef struct mg_tls_wait mg_tls_wait;
struct mg_tls_wait {
    mg_link link;
    void (*on_context)(mg_tls_wait *w, mg_tls_context *context, const char *fault); // NULL: a fault
};

// A context for `demands` (borrowed for the call), lent until the loop turns. MG_EAGAIN: it is
// being made, and `w` (in no list) is told. Another negative code, and a text.
int mg_tls_cache_get(mg_tls_cache *c, const mg_tls_demands *demands, mg_tls_wait *w,
                     mg_tls_context **out, mg_error *err);
