// server/conn.h: an inbound connection: its stream, its states, deadlines and output.
//
//   HANDSHAKE: what comes before requests, if the endpoint wants it: TLS, which is the stream's own
//     |        matter; the header of a proxy, whose reader (server/proxied.h) owns it until then
//     |
//     |  ready             (too slow, not to be trusted, gone: CLOSED; speaks no TLS: LINGER)
//     v
//     +<------------ answered, the body read or discarded --------------+
//     v                                                                 |
//   IDLE ---- first byte ----> HEAD ---- head complete ----> BUSY ------+   (HTTP/2: first to last
//     |                         |                             |              stream)
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
// What the bytes mean is the owner's business (server/owner.h): a connection knows of it only a
// table of functions.
#pragma once

#include "event/intake.h"
#include "event/stream.h"
#include "server/owner.h"
#include "server/pool.h"

typedef enum mg_conn_state {
    MG_CONN_HANDSHAKE,
    MG_CONN_IDLE,
    MG_CONN_HEAD,
    MG_CONN_BUSY,
    MG_CONN_TUNNEL,
    MG_CONN_LINGER,
    MG_CONN_CLOSED,
} mg_conn_state;

// Bytes that the owner does not take yet.
typedef struct mg_held {
    mg_intake intake;
    mg_conn *conn;
    mg_buf bytes;
    size_t at; // what is before it was taken
} mg_held;

// An idle connection is this block and nothing else: each byte here costs 100 KB at 100,000
// connections.
struct mg_conn {
    mg_server *server;
    mg_owner *owner;      // never NULL
    mg_link link;         // in the server's list of connections
    mg_deadline deadline; // handshake, idle, header, send, half-close or linger, whichever holds
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
    uint8_t foreign;        // 1 + the number of its endpoint's address; 0: it speaks HTTP
    uint8_t app : 2;        // of its endpoint
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
    bool proxied : 1;       // behind this block lies an mg_proxied
    bool http2 : 1;         // of its endpoint
    mg_stream stream;
};

// Starts serving; `c->stream` is open. `owner` is the first. `ready`: without a handshake.
void mg_conn_open(mg_conn *c, mg_server *server, mg_owner *owner, bool ready);

// Who is at the other end, and where the peer came to: what a proxy has told of its client, else
// what the socket says. 0 or a negative errno.
int mg_conn_peer(const mg_conn *c, struct sockaddr_storage *out);
int mg_conn_local(const mg_conn *c, struct sockaddr_storage *out);

// Closes at once. What its owner has under way is lost.
void mg_conn_close(mg_conn *c, mg_gone why);

// Sends what this turn has gathered.
void mg_conn_flush(mg_conn *c);

extern const mg_stream_events mg_conn_events;

// Bytes that the peer has taken. A system call.
uint64_t mg_conn_taken(mg_conn *c);

// It owes output, and has taken enough of it since that was last asked: it is timed anew.
bool mg_conn_takes(mg_conn *c);

// A deadline has passed.
void mg_conn_send_late(mg_conn *c);
void mg_conn_half_close_late(mg_conn *c);
void mg_conn_look_for_end(mg_conn *c);
