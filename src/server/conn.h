// server/conn.h: an inbound connection: its stream, its states, deadlines and output.
//
//     +------------- answered, the body read or discarded --------------+
//     v                                                                 |
//   IDLE ---- first byte ----> HEAD ---- head complete ----> BUSY ------+
//     |                         |                             |
//     | FIN                     | malformed, too slow, FIN    | answered, to be closed
//     v                         v                             v
//   LINGER: what is queued leaves, and the peer may still be sending
//     |                  ^
//     |                  +---- TUNNEL: bytes without HTTP, whose owner closes. Entered from BUSY
//     |                        when an exchange is taken over, or from IDLE
//     v  all has left, and the peer's FIN has come or was waited for long enough
//   CLOSED <---- from every state: the peer is gone, too long idle, an answer broken off
//
// IDLE, HEAD, BUSY, LINGER and CLOSED are the design's keep-alive, reading_request,
// processing_request/writing_response (the exchange knows which) and closed. Only set_state in
// conn.c changes the state; its owner says when.
//
// What the bytes mean is the owner's business (a wire, server/h1.h): a connection knows of it only
// a table of functions.
#pragma once

#include "event/stream.h"
#include "server/pool.h"

typedef enum mg_conn_state {
    MG_CONN_IDLE,
    MG_CONN_HEAD,
    MG_CONN_BUSY,
    MG_CONN_TUNNEL,
    MG_CONN_LINGER,
    MG_CONN_CLOSED,
} mg_conn_state;

// Bytes that the owner does not take yet.
typedef struct mg_held {
    mg_buf bytes;
    size_t at; // what is before it was taken
} mg_held;

// Whose the bytes of a connection are. Embedded in what owns them, or static if that keeps nothing.
typedef struct mg_owner_ops mg_owner_ops;
typedef struct mg_owner {
    const mg_owner_ops *ops;
} mg_owner;

struct mg_owner_ops {
    // Takes some of the `n` > 0 bytes, which are borrowed for the call, and returns how many. 0:
    // none for now; they are held until mg_conn_pump.
    size_t (*take)(mg_conn *c, const char *data, size_t n);
    // The peer sends no more. Comes again when all that was held is taken.
    void (*on_fin)(mg_conn *c);
    void (*on_drained)(mg_conn *c);   // all that was queued has left
    void (*on_head_late)(mg_conn *c); // see mg_conn_time_head
    void (*on_stop)(mg_conn *c);      // TUNNEL alone: the server drains
    // The connection has closed: it is to be forgotten. True: what has been sent would look whole
    // to the peer and is not, so it gets a reset.
    bool (*on_closed)(mg_conn *c, mg_gone why);
};

// An idle connection is this block and nothing else: each byte here costs 100 KB at 100,000
// connections.
struct mg_conn {
    mg_server *server;
    mg_owner *owner;      // never NULL
    mg_link link;         // in the server's list of connections
    mg_deadline deadline; // idle, header, send, half-close or linger, whichever holds
    mg_held *held;        // NULL: none
    mg_output *out;       // NULL: none in this turn
    uint64_t id;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t opened_wall_ms;
    uint32_t requests;
    uint32_t taken_mark; // what the peer had taken when the deadline for that was last looked at
    uint32_t waiting;    // bytes of it that server->waiting knows
    uint8_t state;
    bool fin : 1;           // the peer has sent its FIN
    bool paused : 1;        // by the owner
    bool full : 1;          // as much is held as may be
    bool pumping : 1;       // mg_conn_pump is at work further up the stack
    bool close_asked : 1;   // by the app
    bool close_drained : 1; // close as soon as the output has left
    bool broken : 1;        // a write failed: closed at the end of the turn
    bool head_timed : 1;    // the header deadline runs
    bool send_timed : 1;    // the send deadline runs
    bool shut : 1;          // nothing is sent any more
    mg_stream stream;
};

// --- for server.c ---

// Starts serving; `c->stream` is open. `owner` is the first.
void mg_conn_open(mg_conn *c, mg_server *server, mg_owner *owner);

// Closes at once. What its owner has under way is lost.
void mg_conn_close(mg_conn *c, mg_gone why);

// Sends what this turn has gathered.
void mg_conn_flush(mg_conn *c);

extern const mg_stream_events mg_conn_events;

// A deadline has passed.
void mg_conn_send_late(mg_conn *c);
void mg_conn_half_close_late(mg_conn *c);

// --- for owners ---

// A request has begun (IDLE to HEAD), and is `owner`'s from now on.
void mg_conn_begin(mg_conn *c, mg_owner *owner);

// The head has not come whole: from the first call on it is timed; on_head_late may come.
void mg_conn_time_head(mg_conn *c);

// It has (HEAD to BUSY).
void mg_conn_busy(mg_conn *c);

// All is answered and read (BUSY to IDLE): goes on with what is held.
void mg_conn_idle(mg_conn *c, mg_owner *owner);

// The bytes are no requests any more (BUSY or IDLE to TUNNEL): goes on with what is held.
void mg_conn_tunnel(mg_conn *c, mg_owner *owner);

// Everything is answered and no more will be: what is queued still leaves. `unread`: the peer may
// still be sending. The owner is forgotten.
void mg_conn_finish(mg_conn *c, bool unread);

// The situation is another: starts the deadline that it asks for.
void mg_conn_arm(mg_conn *c);

// Where output is to be appended; it is sent at the end of the turn.
mg_buf *mg_conn_out(mg_conn *c);

// There may be less room than before: sends early what has grown large.
void mg_conn_relieve(mg_conn *c);

// Sends `data` behind what is gathered, without copying it first where the kernel takes it.
void mg_conn_write_through(mg_conn *c, mg_str data);

// Sends `data` in the way that suits its size. MG_OK; MG_EAGAIN: taken too, but much is waiting;
// MG_ECLOSED: the peer is gone, or mg_conn_shutdown came before.
int mg_conn_send(mg_conn *c, mg_str data);

// Nothing is sent any more; what is gathered and queued still leaves.
void mg_conn_shutdown(mg_conn *c);

// Closes at once, as a failure to the peer. The owner is not told.
void mg_conn_abort(mg_conn *c);

// Bytes that the peer has not taken yet.
size_t mg_conn_backlog(const mg_conn *c);

// Reading stops, and goes on. What has been read already still comes.
void mg_conn_pause(mg_conn *c);
void mg_conn_resume(mg_conn *c);

// Bytes that the owner did not take; goes on with them.
size_t mg_conn_held(const mg_conn *c);
void mg_conn_pump(mg_conn *c);
