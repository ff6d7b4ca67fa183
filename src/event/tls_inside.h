// event/tls_inside.h: what the files of TLS share. Not for other rooms.
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "event/stream_ops.h"
#include "event/ticket_ring.h"
#include "event/timer.h"
#include "event/tls.h"
#include "event/tls_pair.h"

#include <openssl/ssl.h>

struct mg_tls_context {
    SSL_CTX *ssl;
    uint32_t refs;
    uint32_t session_count;
    mg_link sessions; // of clients, the newest first
    bool insecure;
    uint8_t *alpn; // as on the wire
    unsigned alpn_n;
    // of servers
    mg_tls_store *store;
    uint32_t source;                       // whose certificates in it
    const mg_ticket_ring *ring;            // borrowed; NULL: see own_ring
    mg_ticket_ring *own_ring;              // owned; NULL: see ring
    struct mg_challenge *const *challenge; // borrowed; NULL: there are none
};

// What a TLS stream has on the heap; freed once `inner` is closed.
struct mg_tls_stream {
    mg_stream inner; // the socket, bytes as they are on the wire
    mg_stream *outer;
    mg_tls_context *context;
    SSL *ssl;
    char *host;   // whom a client expects; NULL: the server's side
    char *asked;  // of a server: the name that the client sent, in lower case; NULL: none
    mg_str plain; // of a server: what a peer is answered that does not speak TLS; static
    void (*on_ready)(mg_stream *s, int status, const char *text);
    bool (*before)(mg_stream *s, const char *data, size_t n, size_t *used); // NULL: TLS has begun
    mg_timer later; // pumps what does not come from the socket
    const char *in; // from the wire, for OpenSSL; borrowed while it is being fed
    size_t in_n;
    mg_buf kept;      // what it has not read: the owner paused
    mg_buf out;       // for the wire, on its way to `inner`
    uint32_t chatter; // bytes waiting in `inner` that no write asked for (KeyUpdate, alerts)
    int end_status;
    bool end_due; // the socket has ended
    bool begun;   // something has come
    bool waiting; // for a turn that has time for its handshake
    bool proves;  // of a server: this is a directory that looks whose a name is
    bool ready;
    bool failed;   // the handshake, or a record that cannot be read
    mg_buf reason; // why the certificate was refused; empty: it was not
};

mg_tls_context *mg_tls_context_new(const SSL_METHOD *method);

// Trusts every certificate and revocation list of a PEM text. False: there is none.
bool mg_tls_trust_text(const mg_tls_context *c, mg_str text);

// Of servers: which protocols are chosen, in this order; NULL: whatever the client likes.
int mg_tls_set_alpn(mg_tls_context *c, const char *names, mg_error *err);

// Of servers: `ring` is borrowed; NULL, or keys in `section`: the context has a ring of its own.
enum { MG_TLS_TICKET_S = 8 * 3600 };
int mg_tls_set_tickets(mg_tls_context *c, const mg_tls_section *section, const mg_ticket_ring *ring,
                       mg_error *err);

// Remembers a session for the next connection to `host` (takes the reference), and takes one out;
// NULL: there is none.
void mg_tls_session_put(mg_tls_context *c, const char *host, SSL_SESSION *session);
SSL_SESSION *mg_tls_session_take(mg_tls_context *c, const char *host);

// OpenSSL's way to `t->in` and `t->out`.
BIO *mg_tls_bio_new(struct mg_tls_stream *t);

// Tells `t->ssl` whom it talks to: SNI, and the name or address that the certificate must carry.
// -EINVAL: no such host can be.
int mg_tls_expect_host(struct mg_tls_stream *t);

// Puts the reason of a failed handshake into words, from OpenSSL's queue, which it empties. Returns
// the code.
int mg_tls_explain(const struct mg_tls_stream *t, mg_error *err);
