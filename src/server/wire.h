// server/wire.h: the seam between an exchange and what carries it: a table of functions downwards,
// and the calls with which a wire drives its exchanges.
//
//                     server.c: accepts, opens each connection for its first owner
//                        |
//                     h1.c, h1_answer.c: a wire. It owns a connection's bytes (mg_owner), makes
//                        |               exchanges of them, and bytes of answers
//          +-------------+-----------+
//          |                         |
//   exchange.c, answer.c           conn.c: the stream, its states, deadlines, output
//     |          |                   |
//   mg_app     mg_wire            mg_owner_ops
//
// Calls go downwards; upwards only through the three tables at the bottom. Who answers (behind
// mg_app) calls what exchange.h and answer.h offer.
//
// Neither an exchange nor who answers it knows more of its wire than this table. A wire embeds
// mg_exchange at the start of a struct of its own, where all lies that only it needs; one
// connection may carry many.
#pragma once

#include "event/tls.h"
#include "server/answer.h"
#include "server/request_body.h"

#include <sys/socket.h>

// What is known of the connection that carries an exchange, up to now.
typedef struct mg_peer {
    uint64_t connection; // its number in this server
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t opened_wall_ms;
    uint32_t requests;    // this one included
    const mg_stream *tls; // borrowed; event/tls.h tells of it. NULL: it does not speak TLS
} mg_peer;

// A static table. Each function is for an exchange that has been started, or is refused before.
struct mg_wire {
    size_t exchange_bytes; // of the struct that begins with the exchange

    // An answer: interim* head content* end. `x->bodyless` and `x->length_left` say what is to
    // come behind the head; content is never given to a bodyless one, nor more than its length.
    void (*interim)(mg_exchange *x, int status, const mg_fields *fields); // 1xx but 101
    void (*head)(mg_exchange *x, const mg_answer *a);
    // MG_OK; MG_EAGAIN: taken too, but much is waiting: mg_exchange_writable will come; MG_ECLOSED:
    // the peer is gone, mg_exchange_lost will come.
    int (*content)(mg_exchange *x, mg_str data);
    // The answer is complete; what is left of the request's body is the wire's business. `x` may be
    // recycled by this.
    void (*end)(mg_exchange *x, const mg_fields *trailers);
    void (*abort)(mg_exchange *x); // breaks it off: calls mg_exchange_lost, recycles `x`

    // Bytes that wait for the peer; mg_exchange_writable comes when they have left. 0: none.
    size_t (*backlog)(const mg_exchange *x);

    // The request's body: content is to stop coming for a while (what is on its way may still
    // come), or to go on; `bytes` of it were taken away, or are kept aside as all of it is wanted
    // in one piece, so that as many may come; no more of it is wanted at all.
    void (*pause)(mg_exchange *x);
    void (*resume)(mg_exchange *x);
    void (*credit)(mg_exchange *x, size_t bytes);
    void (*stop_body)(mg_exchange *x); // `x` may be recycled by this if it is answered

    void (*peer)(const mg_exchange *x, mg_peer *out);
    // Of the peer, and where it came to; < 0: unknown.
    int (*address)(const mg_exchange *x, struct sockaddr_storage *out);
    int (*came_to)(const mg_exchange *x, struct sockaddr_storage *out);
    // Whether it may be taken over: to switch to `protocol`, or empty: by CONNECT. NULL, or what
    // hinders that. Then the take-over: `t` is opened behind the head, `x` is recycled.
    const char *(*may_take_over)(const mg_exchange *x, mg_str protocol);
    void (*take_over)(mg_exchange *x, const mg_answer *a, mg_str protocol, mg_tunnel *t);
    void (*close)(mg_exchange *x); // the connection is to end once what is under way is answered
};

// --- for wires ---

// The head is complete: `x->head`, `x->protocol`, `x->app` (that of the endpoint that the
// connection came by), `x->secure`, and of the body `body_complete` and `body_ahead` are set.
void mg_exchange_start(mg_exchange *x);

// Content has come; `x->body_ahead` already tells what is certain to follow it. False: that was too
// much; if `x` was answered it may be recycled now.
bool mg_exchange_take_piece(mg_exchange *x, mg_str piece);

// Pieces have come, or `body_ahead` has risen, or the body is complete (`x->body_complete`, its
// trailers set). False as above.
bool mg_exchange_body_progress(mg_exchange *x);

// The handler's deadline has passed.
void mg_exchange_late(mg_exchange *x);

// What waited for the peer has left.
void mg_exchange_writable(mg_exchange *x);

// The exchange ends without having been answered: its connection is going, or it was broken off.
// Tells the app and the log; the wire recycles `x`.
void mg_exchange_lost(mg_exchange *x, mg_gone why);

// Nothing of its body is held any more.
void mg_exchange_forget_content(mg_exchange *x);
// What is held of it counts no more.
void mg_exchange_uncount_content(mg_exchange *x);

// It is answered, and what is left of its body is to be read away, up to a limit and not for ever.
void mg_exchange_discard_body(mg_exchange *x);
