// event/tls_inside.h: what the files of TLS share. Not for other rooms.
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "event/stream_ops.h"
#include "event/timer.h"
#include "event/tls.h"

#include <openssl/ssl.h>

struct mg_tls_context {
    SSL_CTX *ssl;
    uint32_t refs;
    uint32_t session_count;
    mg_link sessions; // of clients, the newest first
    bool insecure;
    uint8_t *alpn; // as on the wire
    unsigned alpn_n;
};

// What a TLS stream has on the heap; freed once `inner` is closed.
struct mg_tls_stream {
    mg_stream inner; // the socket, bytes as they are on the wire
    mg_stream *outer;
    mg_tls_context *context;
    SSL *ssl;
    char *host; // NULL: the server's side
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
    bool ready;
    bool failed;   // the handshake, or a record that cannot be read
    mg_buf reason; // why the certificate was refused; empty: it was not
};

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
