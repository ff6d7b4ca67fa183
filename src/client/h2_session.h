// client/h2_session.h: a connection to a server that speaks HTTP/2, as the files of that wire share
// it.
//
//   h2_session.c  the connection: what comes, its end, signs of life
//   h2_call.c     a call on it: its request, and its place in the table of wires
//   h2_tunnel.c   a call that has switched to another protocol
#pragma once

#include "client/call_wire.h"
#include "http/h2_send.h"

enum {
    // Calls on a connection, if the server allows as many. Their windows fit into the connection's:
    // one whose content is not taken keeps nothing from the others.
    MG_H2_SESSION_STREAMS = 256,
    MG_H2_SESSION_WINDOW = 256 * 1024,
    MG_H2_SESSION_PLACES = 100, // that are counted on until the server has said what it allows
};

// A connection's; its `session`.
typedef struct mg_h2_session {
    mg_outbound *c;
    mg_h2 h2;
    mg_buf out;           // frames that are written when the work is done
    mg_link calls;        // mg_h2_calls that are under way
    mg_link tunnels;      // ... that have switched
    mg_link spare;        // ... for others to come
    mg_link left;         // ... whose call has left while something works here
    mg_timer silence;     // when it is looked whether the server lives
    uint64_t heard_ms;    // when something came, for the last time
    uint32_t patience_ms; // how long nothing may come without a question
    uint32_t spare_count;
    uint32_t places;  // calls at a time; the origin knows it too
    bool working : 1; // a function further up the stack writes what it leaves in `out`
    bool over : 1;    // nothing is read or written any more
    bool pinged : 1;
    bool greeted : 1; // its settings have come
} mg_h2_session;

// A call, or a tunnel, on it; its `stream`. It lives until the work in which its call leaves is
// done, so that who has told a call something may look at `call`.
typedef struct mg_h2_call {
    mg_h2_stream stream;
    mg_link link; // in one of the session's lists
    mg_h2_session *session;
    mg_call *call;     // NULL: it has left, or leaves its stream to `tunnel`
    mg_tunnel *tunnel; // NULL: none, or its owner has ended it
    mg_timer linger;   // until an ended one is reset
    mg_str whole;      // of a body that is there: what has not left; borrowed from the call
    mg_buf waiting;    // of an upload: what has to wait for its turn, or for a window
    size_t waiting_at;
    const mg_fields *trailers; // behind an upload; NULL: none
    mg_buf held;               // content that has come while the call was full
    mg_fields came;            // trailers of the response
    const char *fault;         // why we reset the stream; NULL: it was the server
    mg_h2_code code;
    int status;        // how the connection ended
    bool ending : 1;   // the end follows what waits
    bool resting : 1;  // nothing is given on
    bool complete : 1; // the response's end has come
    bool broken : 1;   // the stream was reset before it
    bool lost : 1;     // the connection has ended before it; of a tunnel also: was reset
    bool unasked : 1;  // it waits for the server's settings
    bool gone : 1;     // a tunnel that is over
} mg_h2_call;

static inline mg_h2_session *mg_h2_session_of(const mg_outbound *c) {
    return c->session;
}

static inline mg_h2_call *mg_h2_call_of(const mg_h2_stream *s) {
    return MG_OF(s, mg_h2_call, stream);
}

// Fills what connections of a client keep to; `head`: of responses.
void mg_h2_session_limits(mg_h2_limits *out, const mg_guard_limits *head);

// --- h2_session.c ---

// While something works on the connection, what is to be sent is gathered; the outermost writes it.
// A negative code: the connection is lost.
bool mg_h2_session_begin(mg_h2_session *s);
int mg_h2_session_end(mg_h2_session *s, bool outermost);
void mg_h2_session_write(mg_h2_session *s); // what there is of it, at once

void mg_h2_session_open(mg_outbound *c);
void mg_h2_session_close(mg_outbound *c);
void mg_h2_session_leave_off(mg_outbound *c);
bool mg_h2_session_has_place(const mg_outbound *c, bool repeatable);
void mg_h2_session_read(mg_outbound *c, const char *data, size_t n);
void mg_h2_session_ended(mg_outbound *c, int status);
void mg_h2_session_drained(mg_outbound *c);

// --- h2_call.c: inside of a session's work ---

// Sends what waits, as far as windows and the connection let it; calls that have room are told.
void mg_h2_calls_pump(mg_h2_session *s);

// What came for a stream; its call may have left afterwards.
void mg_h2_call_head(mg_h2_call *e, const mg_h2_event *ev);
void mg_h2_call_data(mg_h2_call *e, const mg_h2_event *ev);
void mg_h2_call_trailers(mg_h2_call *e, const mg_h2_event *ev);
void mg_h2_call_reset(mg_h2_call *e, const mg_h2_event *ev);
void mg_h2_call_lost(mg_h2_call *e, int status); // the connection has ended

// The server's settings have come, for the first time: what waited for them is asked, or leaves.
void mg_h2_calls_ask(mg_h2_session *s);

// Sends what may go at once, and keeps the rest. MG_EAGAIN: that is more than `high`; MG_ECLOSED.
int mg_h2_call_write(mg_h2_call *e, mg_str data, size_t high);
void mg_h2_call_write_end(mg_h2_call *e); // behind what waits
mg_str mg_h2_call_waiting(const mg_h2_call *e);

// --- h2_tunnel.c: inside of a session's work, but for the first ---

void mg_h2_call_take_over(mg_call *call, mg_tunnel *t);
void mg_h2_switched_data(mg_h2_call *e, const mg_h2_event *ev);
void mg_h2_switched_drained(mg_h2_call *e);
void mg_h2_switched_lost(mg_h2_call *e); // it was reset, or the connection has ended
void mg_h2_switched_drop(mg_h2_call *e); // the connection is being closed
