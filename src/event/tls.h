// event/tls.h: a stream over OpenSSL: the same mg_stream, with another table of functions.
//
// A context holds what connections share: a client's trusted certificates and sessions, or a
// server's own certificate. Contexts are counted, by one thread; a stream holds a reference.
#pragma once

#include "base/error.h"
#include "base/str.h"
#include "event/stream.h"

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

// For listeners: a certificate chain and its key, both PEM. `alpn`: what is chosen, in this order.
int mg_tls_server_new(mg_tls_context **out, const char *chain_file, const char *key_file,
                      const char *alpn, mg_error *err);
mg_tls_context *mg_tls_ref(mg_tls_context *c);
void mg_tls_unref(mg_tls_context *c); // accepts NULL

// What a TLS stream is made of.
typedef struct mg_tls_opening {
    mg_loop *loop;
    mg_tls_context *context; // a reference is taken
    int fd;                  // a connected socket, taken
    bool is_unix;            // `fd` is a Unix socket
    const char *host;        // of a client: whom it expects; copied
    const mg_stream_events *events;
    // Comes exactly once, unless the stream is closed first: 0, or a negative code and a text for
    // people (a certificate that is not trusted, expired or for another name; the stream is then to
    // be closed). Nothing may be written or read before.
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
