// server/exchange.h: one request and its answer on an inbound connection.
//
// The server owns an exchange and recycles it. The app learns of it through mg_app's on_request and
// may use it until it has completed the answer, or until on_gone; after either the pointer is dead
// for the app.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"
#include "event/deadline.h"
#include "event/tunnel.h"
#include "http/message.h"
#include "server/pins.h"

typedef struct mg_conn mg_conn;
typedef struct mg_peer mg_peer; // server/wire.h
typedef struct mg_wire mg_wire;
typedef struct mg_server mg_server;
typedef struct mg_exchange mg_exchange;

// The seam to the application. Its functions are called from callbacks of streams and timers: they
// only queue.
typedef struct mg_app mg_app;
struct mg_app {
    void (*on_request)(mg_app *app, mg_exchange *x);
    // More content, its end or its refusal; only after mg_exchange_want_body.
    void (*on_body)(mg_app *app, mg_exchange *x);
    void (*on_writable)(mg_app *app, mg_exchange *x); // the backlog of a streamed answer has left
    // The handler took too long; the head is not committed.
    void (*on_deadline)(mg_app *app, mg_exchange *x);
    void (*on_gone)(mg_app *app, mg_exchange *x, mg_gone why);
    // A connection without exchanges (server/foreign.h): a tunnel is to be opened on it at once, or
    // it closed. NULL: such are not taken.
    void (*on_stream)(mg_app *app, mg_conn *c);
};

typedef enum mg_exchange_phase {
    MG_EXCHANGE_HEAD,      // the head is being read
    MG_EXCHANGE_HANDLING,  // the app has it; no byte of the answer is committed
    MG_EXCHANGE_ANSWERING, // the head of a streamed answer is committed
    MG_EXCHANGE_ANSWERED,  // the answer is complete; the rest of the request is read away
} mg_exchange_phase;

struct mg_exchange {
    mg_server *server;
    const mg_wire *wire; // what carries it; its own part lies behind this struct
    mg_app *app;
    mg_exchange *next_free;
    mg_exchange_phase phase;
    bool secure, record_kept; // it came over TLS; its log line is told later (kept_record.h)
    bool by_connect;          // it asks to switch by CONNECT (RFC 8441), not by Upgrade

    // for the app
    mg_link app_link;
    void *app_data;
    uint64_t app_handle;
    struct mg_routed *routed; // server/front.h; NULL: no front stands before the app
    struct mg_noted *noted;   // server/noted.h; NULL: nothing was noted
    mg_pins *pins;            // the generation that this holds; NULL: none
    mg_str route;             // name or pattern for the log; borrowed until the answer is complete
    mg_str request_id;        // for the log; in the arena
    const struct mg_relayed *relayed; // for the log; in the arena; NULL: no other server was asked

    // request
    mg_arena arena;  // everything about the request lies here and goes with it
    mg_str protocol; // "HTTP/1.1"; empty if the request was not understood
    mg_head head;
    struct mg_requester *requester; // server/requester.h; in the arena, made when first asked for
    mg_buf content;                 // decoded and not yet taken
    struct mg_body_intake *intake;  // of that, in the arena; NULL: none has come
    uint64_t body_received;         // content so far
    uint64_t body_ahead; // that is certain to follow: Content-Length, the chunk under way
    bool body_complete;
    mg_fields trailers;  // behind the body
    uint64_t body_limit; // once answered: up to where it is discarded
    bool body_judged;    // the app has said which limit holds; before, at most one read has come
    bool body_wanted;
    bool body_collect; // the app wants all of it in one piece: no backpressure below body_limit
    bool body_paused;
    bool body_leisurely; // see mg_exchange_stream_body
    bool continue_sent;
    mg_refusal body_refusal; // status 0: none; else the body is not read further. Of a head too
    mg_timer body_timer;     // judges body_rate
    uint64_t body_start_ms;

    // answer
    struct mg_filter *filters; // server/filter.h: what stands between who answers and the wire
    mg_deadline handler_deadline;
    mg_timer handler_timer; // a route's own timeout or stream_max
    bool bodyless;          // no content goes out, whatever the head says
    int status;
    int64_t length_left; // of the content that goes to the wire; -1: unknown
    uint64_t body_bytes_out;
    uint64_t start_us;
    uint64_t start_wall_ms;
};

// --- the connection ---

void mg_exchange_peer(const mg_exchange *x, mg_peer *out); // what is known of it now
void mg_exchange_close(mg_exchange *x); // it is to end once what is under way is answered

// --- time ---

// Replaces the server's handler deadline by `ms` from now; 0: none.
void mg_exchange_set_deadline(mg_exchange *x, uint64_t ms);

static inline bool mg_exchange_committed(const mg_exchange *x) {
    return x->phase > MG_EXCHANGE_HANDLING;
}
