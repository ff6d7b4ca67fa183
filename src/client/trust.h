// client/trust.h: which certificates a client trusts. Not for other rooms.
#pragma once

#include "base/list.h"
#include "base/stamp.h"
#include "client/client.h"
#include "event/tls.h"

// Certificates that are trusted, with the sessions of earlier connections.
typedef struct mg_trust_entry {
    char *ca;       // NULL: the client's
    mg_stamp stamp; // of `ca`
    bool insecure;
    mg_tls_context *context;
} mg_trust_entry;

// Somebody who waits for a store of certificates to be read; its link taken out, nobody.
typedef struct mg_trust_wait mg_trust_wait;
struct mg_trust_wait {
    mg_link link;
    void (*on_trust)(mg_trust_wait *w, mg_tls_context *context, const char *fault); // NULL: a fault
};
typedef struct mg_trust_load mg_trust_load;

// What TLS connections of an origin share; borrowed. MG_EAGAIN: it is being read, and `w`
// (caller's, in no list) is told. Another negative code and a text.
int mg_client_trust(mg_client *c, const char *ca, bool insecure, mg_trust_wait *w,
                    mg_tls_context **out, mg_error *err);
void mg_client_forget_trust(mg_client *c);
