// client/call_inside.h: a call under way, for the files of this room that make it.
//
//   call.c          life: begin, states, telling, end
//   call_time.c     how long it may take
//   call_send.c     its place on a connection, uploads, once again on another
//   call_receive.c  what a wire tells of the response, and how it is told further
//   call_content.c  what its body holds
#pragma once

#include "client/call_wire.h"
#include "http/inflate.h"

struct mg_call {
    mg_client *client;
    mg_origin *origin;     // while it waits or is served
    mg_outbound *outbound; // while it is served
    void *stream;          // the wire's, while it is served
    mg_link all;
    mg_link link; // in its origin's waiting list, or its connection's list of calls
    const mg_call_events *events;
    void *arg;
    mg_call_state state;
    mg_call_options options; // texts lie in `request`, but for the body; no origin

    mg_arena request;
    mg_buf body;                      // while it may be sent again, or waits for a connection
    uint64_t upload_left;             // of an upload with a length
    const mg_fields *upload_trailers; // NULL: none
    bool is_head;
    bool upload_open; // more is to come
    bool unwritten;   // the write of its head failed
    bool room_wanted; // somebody waits for mg_call_has_room
    bool reused;      // its connection had served others
    bool received;    // something of a response
    bool again;       // it was sent a second time
    bool refused;     // the server has not looked at it, the last time
    bool paused;      // by its owner
    bool resting;     // the wire waits for its resume
    bool switched;    // another protocol is spoken from now on
    uint8_t interims;
    uint8_t refusals;
    int lost; // the code of a connection that broke unseen by its reader; 0: none

    mg_arena arena;              // of the response
    const mg_response *response; // in it; NULL before the head
    const mg_fields *trailers;   // in it; NULL: none
    mg_inflate *inflate;
    mg_buf content;
    uint64_t total_bytes, coded_bytes;
    size_t decoded_bytes;        // since it last rested
    mg_timer total, quiet, soon; // quiet: for a connection, a head, the next piece
    uint32_t quiet_ms;           // that it was started for
    size_t untaken_mark;         // of the request, then
    mg_call_times times;
    mg_call_fault fault; // its text lies in `request`
};

// --- call.c ---

void mg_calls_forget(mg_client *c); // frees the spare ones
void mg_call_set_state(mg_call *call, mg_call_state next);
void mg_call_tell(mg_call *call);
void mg_call_tell_soon(mg_call *call);

static inline bool mg_call_is_over(const mg_call *call) {
    return call->state >= MG_CALL_DONE;
}

// Its pieces are events of their own.
static inline bool mg_call_is_relayed(const mg_call *call) {
    return call->options.stream && call->events->on_piece != NULL;
}

// Though a connection turns out to have ended, it does no harm: it goes again on another.
static inline bool mg_call_is_repeatable(const mg_call *call) {
    return call->options.idempotent && !call->options.upload && !call->again;
}

// "origin: what". The call leaves its connection; mg_call_fail tells it besides.
void mg_call_break(mg_call *call, const char *code, const char *what);

// --- call_time.c ---

void mg_call_start_wait(mg_call *call);    // if it waits for a connection, and no time runs
void mg_call_start_connect(mg_call *call); // unless it runs already
void mg_call_start_total(mg_call *call);
void mg_call_start_quiet(mg_call *call, uint32_t ms);
void mg_call_stop_timers(mg_call *call);

// --- call_send.c ---

void mg_call_attach(mg_call *call, mg_outbound *c);
void mg_call_detach(mg_call *call, bool whole); // from its connection, or it waits no more

// --- call_receive.c ---

void mg_call_go_on(mg_call *call); // what `soon` was started for

// --- call_content.c: of a response whose head is there; NULL, or what is wrong and its code ---

const char *mg_call_begin_content(mg_call *call, const char **code);
const char *mg_call_add_content(mg_call *call, mg_str piece, const char **code);
const char *mg_call_count_content(mg_call *call, size_t n, const char **code); // that is not kept
