// event/tls.h: a stream over OpenSSL: the same mg_stream, with another table of functions.
//
// A context holds what connections share: a client's trusted certificates and sessions, or a
// server's own certificate. Contexts are counted, by one thread; a stream holds a reference.
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "event/stream.h"
#include "event/tls_store.h"

typedef struct mg_tls_context mg_tls_context;

typedef struct mg_tls_client_options {
    const char *ca_file;    // PEM file, or folder with hashed names; NULL: the system's store
    mg_str ca_text;         // not empty: what is in that file
    const char *chain_file; // its own certificate, for a server that asks (PEM); NULL: none
    const char *key_file;
    bool insecure;    // neither certificate nor name is verified
    const char *alpn; // "http/1.1", comma separated; NULL: none is offered
} mg_tls_client_options;

// TLS 1.2 and later. A negative code and a text that names the file.
int mg_tls_client_new(mg_tls_context **out, const mg_tls_client_options *options, mg_error *err);

struct mg_ticket_ring; // event/ticket_ring.h

// For listeners: one endpoint of a store.
typedef struct mg_tls_server_options {
    mg_tls_store *store;               // a reference is taken
    const char *address;               // the endpoint
    const char *alpn;                  // what is chosen, in this order; NULL: nothing
    const struct mg_ticket_ring *ring; // borrowed, outlives the context; NULL: one of its own
    // Where the challenge of the moment stands (event/tls_challenge.h), likewise; NULL: there are
    // none.
    struct mg_challenge *const *challenge;
} mg_tls_server_options;

// MG_ECONFIG and a text.
int mg_tls_server_new(mg_tls_context **out, const mg_tls_server_options *o, mg_error *err);

// Whoever connects from now on finds what these options say; connections that are open stay as they
// are. On a fault nothing has changed.
int mg_tls_server_renew(mg_tls_context *c, const mg_tls_server_options *o, mg_error *err);

// Appends a self-signed certificate for "localhost" and its key, in PEM form.
int mg_tls_throwaway(mg_buf *out, mg_error *err);

// The same for a domain; with the SHA-256 by which a directory knows whose that is, if `proof` is
// not NULL (RFC 8737).
enum { MG_TLS_PROOF = 32 };
int mg_tls_self_signed(mg_buf *out, const char *domain, const unsigned char *proof, mg_error *err);

mg_tls_context *mg_tls_ref(mg_tls_context *c);
void mg_tls_unref(mg_tls_context *c); // accepts NULL

// What a TLS stream is made of.
typedef struct mg_tls_opening {
    mg_loop *loop;
    mg_tls_context *context; // a reference is taken
    int fd;                  // a connected socket, taken
    bool is_unix;            // `fd` is a Unix socket
    const char *host;        // of a client: whom it expects; copied
    mg_str plain;            // of a server: what a peer is sent that does not speak TLS; static
    const mg_stream_events *events;
    // Comes exactly once, unless the stream is closed first: 0, or a negative code and a text for
    // people (a certificate that is not trusted, expired or for another name; the stream is then to
    // be closed). Nothing may be written or read before. MG_ESYNTAX: the peer has sent text and got
    // `plain`; nothing that it sends is told any more but its end.
    void (*on_ready)(mg_stream *s, int status, const char *text);
    // NULL, or who takes what comes before TLS: `*used` of `n` > 0 bytes. True: that was all of it,
    // the rest is TLS. May close the stream.
    bool (*before)(mg_stream *s, const char *data, size_t n, size_t *used);
} mg_tls_opening;

// Makes `s` (caller's memory) a TLS client. The host is sent as SNI unless it is an IP literal, and
// verified against the certificate (name or IP); a session of that host is reused. -EINVAL if no
// such host can be; `s` is untouched then, and the socket closed.
//
// Its on_end says 0 only after a close_notify; a FIN without one may be anybody's, so it is
// -ECONNRESET; -EPROTO: what came was no TLS. mg_stream_shutdown sends a close_notify and a FIN;
// so does mg_stream_close, if nothing is queued and `reset` is not set.
int mg_tls_connect(mg_stream *s, const mg_tls_opening *o);

// The server's side, likewise, over an accepted socket.
void mg_tls_accept(mg_stream *s, const mg_tls_opening *o);

// Moves a stream that is ready (inside on_ready too) to other memory and another owner. `from` is
// no stream any more.
void mg_tls_move(mg_stream *to, const mg_stream *from, const mg_stream_events *events);

bool mg_tls_is(const mg_stream *s); // it is one, ready or not

// Of a TLS stream that is ready: "TLSv1.3"; the protocol chosen by ALPN, empty if none (of a stream
// without TLS too); whether a session was reused.
const char *mg_tls_version(const mg_stream *s);
mg_str mg_tls_alpn(const mg_stream *s);
bool mg_tls_resumed(const mg_stream *s);

// Of a server's stream that is ready. Texts lie in the stream.
typedef struct mg_tls_facts {
    const char *version; // "TLSv1.3"
    const char *cipher;
    mg_str server_name; // that the client asked for, in lower case; empty: none
    mg_str alpn;        // empty: none
    bool resumed;
    bool has_client; // there is a verified certificate of the client
} mg_tls_facts;

void mg_tls_facts_of(const mg_stream *s, mg_tls_facts *out);

typedef struct mg_tls_client {
    mg_buf subject;     // RFC 4514
    mg_buf fingerprint; // SHA-256 in hex
    int64_t not_after;  // seconds since 1970
} mg_tls_client;

// Appends what is known of the client's verified certificate and calls `each_name` for each of its
// names. False: it has none.
bool mg_tls_client_facts(const mg_stream *s, mg_tls_client *out,
                         void (*each_name)(void *arg, mg_str name), void *arg);

// The protocol of a connection that has done its work once it is open (RFC 8737).
#define MG_TLS_PROVING "acme-tls/1"

// Whether requests for `host` (without a port) may come this way: the certificates of this
// connection cover it, or nobody knows better: no other certificate does, and the client asked for
// no name that one covers (RFC 9110 section 15.5.20).
bool mg_tls_has_authority(const mg_stream *s, mg_str host);
