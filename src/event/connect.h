// event/connect.h: from a name to an open stream, as one operation: addresses, which of them may be
// dialled, the dial (RFC 8305), TLS with ALPN.
//
// An mg_connect owns what is under way, and counts one descriptor for it, from mg_connect_start
// until its on_done or mg_connect_cancel; its owner has asked mg_descriptors_room. The caller's
// stream is untouched unless all has succeeded.
#pragma once

#include "event/dns.h"
#include "event/stream.h"
#include "event/tls_cache.h"

typedef struct mg_connect mg_connect;

typedef struct mg_connect_fault {
    const char *code; // static: dns denied connect tls timeout
    const char *text; // a sentence for people, without the name; lives for the call
} mg_connect_fault;

enum { MG_CONNECT_WHY_BYTES = 256 };

// What is borrowed here lives until the end of the operation.
typedef struct mg_connect_options {
    mg_loop *loop;
    mg_dns *dns;           // unless there is a `unix_path`
    const char *host;      // name or IP literal
    const char *unix_path; // instead of the host; NULL: none
    uint16_t port;
    uint32_t timeout_ms; // for all of it; 0: none

    mg_str prelude; // sent first, before TLS, in one piece: some hundred bytes at most

    mg_tls_cache *tls;       // NULL: without TLS
    mg_tls_demands demands;  // of the TLS context
    const char *server_name; // for SNI and the certificate; NULL: the host

    // Whether `address` may be dialled; if not, `why` says so in a sentence. Names have been looked
    // up before, and nothing is dialled that was not asked for here, so that no name, however often
    // it changes its mind, leads around it. NULL: all may.
    bool (*allows)(void *arg, const struct sockaddr_storage *address,
                   char why[MG_CONNECT_WHY_BYTES]);
    // Comes exactly once, unless it is cancelled: the stream is open and does not read yet (NULL),
    // or why it is not. Never inside mg_connect_start.
    void (*on_done)(void *arg, const mg_connect_fault *fault);
    void *arg;
    mg_stream *stream; // caller's memory
    const mg_stream_events *events;
} mg_connect_options;

mg_connect *mg_connect_start(const mg_connect_options *options);

// No call comes after this. Not to be called after on_done. Accepts NULL.
void mg_connect_cancel(mg_connect *c);

// "connecting", "the TLS handshake": what it is busy with.
const char *mg_connect_doing(const mg_connect *c);

// --- another network, for specs ---

// What connections of a loop are given to instead of looking names up and dialling. No TLS is
// spoken on them.
typedef struct mg_connect_net {
    // One that is to be answered, later, by mg_connect_accept or mg_connect_refuse; never, if it is
    // not to be answered. `wanted` is lent for the call.
    void (*on_connect)(void *arg, mg_connect *c, const mg_connect_options *wanted);
    void (*on_gone)(void *arg, mg_connect *c); // it is over: given up, or too late
    void *arg;
    bool faithful; // its servers speak what those of the real network would; else HTTP/1.1 alone
} mg_connect_net;

// `net` is borrowed until the loop is freed.
void mg_connect_use(mg_loop *loop, const mg_connect_net *net);

// Whether there is one: then names mean nothing but themselves and are not to be looked up.
bool mg_connect_has_net(const mg_loop *loop);

// Whether what is dialled may be asked in another protocol than HTTP/1.1.
bool mg_connect_is_faithful(const mg_loop *loop);

// It is open: `peer`, the caller's memory, is its other end. on_done comes inside of this.
void mg_connect_accept(mg_connect *c, mg_stream *peer, const mg_stream_events *events,
                       size_t window);
void mg_connect_refuse(mg_connect *c, const mg_connect_fault *fault); // borrowed
