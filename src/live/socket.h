// live/socket.h: one WebSocket (RFC 6455) of either role over a tunnel (event/tunnel.h): its codec,
// its limits, what waits for a slow peer, its closing handshake.
//
//   WAITING: what is sent is kept; no byte of the peer's has come
//      |  mg_socket_opened
//      v
//   OPEN ---- mg_socket_close ----> CLOSING: messages are dropped, the peer's Close is waited for
//      |                              |
//      |  the peer's Close (answered), a fault, the tunnel's end
//      v                              v
//   CLOSED: on_closed has come; the memory is its owner's again
//
// An mg_socket lives in its owner's memory. It knows nothing of who handles its messages: events
// record, and what they lead to is done later.
#pragma once

#include "event/deadline.h"
#include "event/tunnel.h"
#include "http/ws_frame.h"
#include "live/packet.h"

typedef struct mg_socket mg_socket;
typedef struct mg_outbox mg_outbox; // live/outbox.h

// What an operator may set. Times of 0: never.
typedef struct mg_socket_limits {
    uint64_t message_bytes; // of one message of the peer, decompressed. Beyond: 1009
    uint32_t rate;          // messages and control frames of the peer in a second; 0: any. 1008
    uint32_t idle_ms;       // in which nothing comes from the peer. 1001
    uint32_t ping_ms;       // likewise, before it is pinged
    uint32_t close_ms;      // that the peer has for its half of the closing handshake
    uint32_t outbox_bytes;  // of packets that wait for it
    bool skip;              // packets beyond that are left out, rather than that it is closed: 1013
} mg_socket_limits;

// What sockets have in common: their limits, and the deadlines that these ask for. Counted: each
// socket holds a reference. On the loop.
typedef struct mg_socket_kind {
    mg_loop *loop;
    mg_socket_limits limits;
    mg_ws_deflate *deflate;
    mg_deadlines idle, ping, close;
    uint32_t refs;
} mg_socket_kind;

// `limits` are copied; `z`, of the worker, is borrowed.
mg_socket_kind *mg_socket_kind_new(mg_loop *loop, const mg_socket_limits *limits, mg_ws_deflate *z);
static inline mg_socket_kind *mg_socket_kind_ref(mg_socket_kind *k) {
    k->refs++;
    return k;
}
void mg_socket_kind_unref(mg_socket_kind *k); // accepts NULL

// A static table.
typedef struct mg_socket_events {
    // A whole message, unmasked, decompressed; text is UTF-8. Borrowed for the call. The owner may
    // pause the socket in it.
    void (*on_message)(mg_socket *s, mg_packet_kind kind, mg_str data);
    void (*on_pong)(mg_socket *s, mg_str data); // NULL: not wanted
    void (*on_drained)(mg_socket *s);           // nothing waits for the peer any more
    void (*on_stop)(mg_socket *s);              // the server drains
    // No message will come: the peer has said Close, has broken a rule, or has gone (`fin`). True:
    // mg_socket_conclude is called once what came before is handled, which may be answered (RFC
    // 6455 section 5.5.1). It is not waited for longer than for a Close of the peer's. NULL: at
    // once.
    bool (*on_ending)(mg_socket *s);
    // The last one. What the peer said, or why we ended it: MG_WS_ABNORMAL without a closing
    // handshake. The reason is borrowed.
    void (*on_closed)(mg_socket *s, uint16_t code, mg_str reason);
} mg_socket_events;

typedef enum mg_socket_state {
    MG_SOCKET_WAITING,
    MG_SOCKET_OPEN,
    MG_SOCKET_CLOSING,
    MG_SOCKET_CLOSED,
} mg_socket_state;

struct mg_socket {
    const mg_socket_events *events;
    mg_socket_kind *kind;
    mg_tunnel tunnel; // for whoever opens it; its events are the socket's own
    mg_ws_reader reader;
    mg_deadline idle; // of the closing handshake, or of `ending`, once that has begun
    mg_deadline ping;
    mg_outbox *outbox;               // NULL: nothing waits
    struct mg_socket_intake *intake; // NULL: nothing of the peer's is held
    mg_buf held;                     // bytes that came while it was paused
    mg_buf reason;                   // of a Close of ours that waits for the opening; of `ending`
    uint64_t bytes_out;              // of frames
    uint64_t due_us; // up to when frames that came have used up the peer's rate (GCRA)
    uint16_t code;   // of our Close; 0: none is to be sent
    uint16_t ending; // as what it ends once all that came is handled; 0: it goes on
    uint8_t state;
    uint8_t window_bits; // for what is compressed; 0: nothing is
    bool client : 1;     // masks what it sends
    bool paused : 1;
    bool fin : 1;    // the peer sends no more
    bool faulty : 1; // of `ending`: the peer has broken a rule
};

// Caller-owned memory. One reference of `k` is taken. Hand over `s->tunnel`, and call
// mg_socket_opening before that, mg_socket_opened behind it.
void mg_socket_init(mg_socket *s, const mg_socket_events *events, mg_socket_kind *k, bool client);

// From here on bytes may come. `window_bits`: permessage-deflate was agreed on, with such a window
// for what is sent (mg_ws_verdict); 0: not.
void mg_socket_opening(mg_socket *s, unsigned window_bits);
// What was sent before goes out.
void mg_socket_opened(mg_socket *s);

// Ends it without a word to anybody, on_closed included; its memory is the owner's again. For one
// that is WAITING or CLOSED, or whose owner goes.
void mg_socket_deinit(mg_socket *s);

// From now on other limits hold for it. One reference of `k` is taken.
void mg_socket_set_kind(mg_socket *s, mg_socket_kind *k);

// Sends a message. MG_OK; MG_EAGAIN: taken too, but much is waiting: go on at on_drained;
// MG_ECLOSED: it is closing or closed. `data` is borrowed; as text it is UTF-8.
int mg_socket_send(mg_socket *s, mg_packet_kind kind, mg_str data);

// Sends a message that many get, of which a reference is kept while it has to wait. Beyond
// outbox_bytes it is left out, or the socket is closed, as the limits say.
void mg_socket_send_packet(mg_socket *s, mg_packet *p);

// At most 125 bytes.
int mg_socket_ping(mg_socket *s, mg_str data);

// Begins the closing handshake behind all that was sent; on_closed comes at its end, maybe within
// this call, with this code unless the peer says another. One that is WAITING is closed as soon as
// it has been opened, and sends no more; what comes until then is dropped.
void mg_socket_close(mg_socket *s, uint16_t code, mg_str reason);

// Ends it, if on_ending has put that off: on_closed comes before this returns.
void mg_socket_conclude(mg_socket *s);

// The end at once; on_closed comes before this returns.
void mg_socket_abort(mg_socket *s);

// No message comes, until resume: the peer slows down. Bytes that were read already are held.
// resume is not for events; messages, and the end, may come within it.
void mg_socket_pause(mg_socket *s);
void mg_socket_resume(mg_socket *s);

// Bytes that wait for the peer.
size_t mg_socket_backlog(const mg_socket *s);
