// The TLS contexts of a client: reading a store of certificates takes long, so it is done once for
// each set of demands.

#include "client/client_inside.h"

#include "base/mem.h"

static bool same_ca(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void forget(mg_trust_entry *e) {
    mg_tls_unref(e->context); // connections hold references of their own
    mg_free(e->ca);
    *e = (mg_trust_entry){0};
}

static mg_trust_entry *find(mg_client *c, const char *ca, bool insecure) {
    for (size_t i = 0; i < MG_CLIENT_TRUSTS; i++) {
        mg_trust_entry *e = &c->trusts[i];
        if (e->context != NULL && e->insecure == insecure && same_ca(e->ca, ca)) {
            return e;
        }
    }
    return NULL;
}

// The client's own store stays as it was when the client was made; a file that a call names is read
// again when it has changed.
mg_tls_context *mg_client_trust(mg_client *c, const char *ca, bool insecure, mg_error *err) {
    mg_trust_entry *e = find(c, ca, insecure);
    mg_stamp stamp = ca != NULL ? mg_stamp_of(ca) : (mg_stamp){0};
    if (e != NULL && mg_stamp_same(&stamp, &e->stamp)) {
        return e->context;
    }
    const mg_tls_client_options options = {
        .ca_file = ca != NULL ? ca : c->ca,
        .ca_text = ca == NULL ? mg_buf_str(&c->ca_text) : (mg_str){0},
        .insecure = insecure,
        .alpn = "http/1.1",
    };
    mg_tls_context *context;
    if (mg_tls_client_new(&context, &options, err) != MG_OK) {
        return NULL; // nothing that is good had to make room for it
    }
    e = e != NULL ? e : &c->trusts[c->next_trust++ % MG_CLIENT_TRUSTS];
    forget(e);
    *e = (mg_trust_entry){ca != NULL ? mg_strdup(ca) : NULL, stamp, insecure, context};
    return context;
}

void mg_client_forget_trust(mg_client *c) {
    for (size_t i = 0; i < MG_CLIENT_TRUSTS; i++) {
        forget(&c->trusts[i]);
    }
}
