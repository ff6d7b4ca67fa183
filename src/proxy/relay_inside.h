// proxy/relay_inside.h: a relay under way, for the files that make it:
//   relay.c         life: between the exchange and its app, the head, the end
//   relay_try.c     a call to one server: what it is asked, what comes of it
//   relay_again.c   another try: a retry, a hedge (proxy/tries.h decides)
//   relay_upload.c  the request's body on its way to the server
//   relay_spool.c   taken whole first
//   relay_switch.c  another protocol than HTTP is asked for, and spoken from then on
#pragma once

#include "proxy/mirror.h"
#include "proxy/relay.h"
#include "proxy/spool.h"
#include "proxy/waiting.h"
#include "server/options.h"

// The states; see relay.c.
typedef enum mg_relay_state {
    MG_RELAY_READS,   // the request's body, before a server is asked
    MG_RELAY_ASKS,    // a server, whose head has not come
    MG_RELAY_STAGED,  // the head is there, and its owner decides
    MG_RELAY_ANSWERS, // the head is committed
    MG_RELAY_OVER,
} mg_relay_state;

typedef enum mg_relay_body {
    MG_RELAY_NO_BODY,
    MG_RELAY_WHOLE, // it is there, and stays where it is
    MG_RELAY_STREAMS,
    MG_RELAY_STORED, // in a file
} mg_relay_body;

// One call to one server. A relay has two at most: the second one is for whoever is asked next,
// while the first is still there.
typedef struct mg_relay_try {
    mg_relay *relay;
    mg_ticket ticket; // while `call` is there
    mg_call *call;    // NULL: none
    mg_str server;    // for the log; the ticket's may go before
} mg_relay_try;

// What few need is made when they do: those that wait are many.
struct mg_relay {
    mg_app app; // first: of the exchange while this works
    mg_app *outer;
    mg_exchange *x;
    mg_relay_options o;
    mg_relay_state state;
    mg_timer timer; // what cannot be said at once; then until a second server is asked

    // what is asked; all lies in the exchange's arena
    mg_str target;
    mg_fields fields;
    struct mg_relay_wish *wish; // for another protocol (relay_switch.c); NULL: HTTP is spoken

    mg_relay_body body;
    mg_str whole;
    mg_buf kept;     // what was sent of it, as long as another server can be asked
    bool kept_all;   // it is all that was sent
    bool blocked;    // the server takes no more for now
    bool deaf;       // it takes no more at all: what comes is dropped
    bool body_sent;  // to its end
    mg_spool *spool; // NULL: it is not taken whole first
    bool storing;    // or reading: the spool is at work

    mg_relay_try first;
    mg_relay_try *second; // NULL: none was needed
    mg_relay_try *at;     // whose answer is, or will be, relayed; the other one is a hedge
    mg_upstream *asked;   // that servers are chosen from: of a split, an arm
    const mg_upstream_server **tried; // perhaps gone: compared, not read
    uint32_t tried_count, tried_cap, retries;
    mg_timer *total; // until the answer is to be complete; NULL: that may take any time
    struct mg_relay_refused *refused; // nobody may be asked (relay_try.c); NULL: never yet
    mg_mirror *mirror;                // until the body is whole; NULL: none
    bool repeated;                    // on a fresh connection
    bool done;                        // the response is whole; nobody was told yet
    bool flushes;                     // each piece at once, past filters
    bool grpc;                        // proxy/grpc.h
    bool timeless;                    // only its end is timed, by what the client says
    uint32_t total_ms;                // 0: any
    mg_relayed log;
};

// --- relay.c ---

void mg_relay_set_state(mg_relay *r, mg_relay_state next);
void mg_relay_take_head(mg_relay *r); // of its try `at`
void mg_relay_finish(mg_relay *r);    // the response is whole
// It is over without an answer; the exchange is answered, or cut off if it was committed. `r` is
// gone.
void mg_relay_fail(mg_relay *r, const mg_relay_fault *fault);

void mg_relay_leave(mg_relay *r); // nothing of it is wanted any more
void mg_relay_tell_end(const mg_relay *r, bool whole);

// --- relay_switch.c ---
void mg_relay_ask_to_switch(mg_relay *r);      // what the client's request asks for, if it does
mg_str mg_relay_protocol(const mg_relay *r);   // that is asked for; empty: none
bool mg_relay_has_switched(const mg_relay *r); // by the head that has come
bool mg_relay_judge_switch(mg_relay *r, mg_relay_fault *fault); // false: what is wrong with it
void mg_relay_switch(mg_relay *r, const mg_answer *a); // the relay is over, a passage begins

// --- relay_try.c ---

void mg_relay_ask(mg_relay *r); // the first server; may end it
void mg_relay_wait_no_more(mg_relay *r);

// Asks one more server, in the try that is free; it is `at` from now on unless it is a hedge.
// False: there is none; why is noted for whoever waits.
bool mg_relay_ask_another(mg_relay *r, mg_choice_kind kind);

void mg_relay_note(mg_relay *r, const mg_relay_try *t); // for the log, up to now

// The call has failed, or goes now, and what came of it is told. `cancelled`: nobody wants it. The
// call is the caller's to close.
mg_call *mg_relay_end_try(mg_relay_try *t, bool cancelled);
void mg_relay_cancel_try(mg_relay_try *t); // closed too; nothing if there is no call

// The other one, if it has a call; else NULL.
static inline mg_relay_try *mg_relay_other(mg_relay *r, const mg_relay_try *t) {
    mg_relay_try *other = t == &r->first ? r->second : &r->first;
    return other != NULL && other->call != NULL ? other : NULL;
}

// --- relay_again.c ---

void mg_relay_begin_hedge(mg_relay *r); // behind the first ask

// A copy for another upstream: made with the request, sent when the body is whole.
void mg_relay_begin_mirror(mg_relay *r);
void mg_relay_send_mirror(mg_relay *r);

// The head that has come is none to relay: another server is asked, and this call is gone.
bool mg_relay_retry_status(mg_relay *r, mg_relay_try *t);

// So for a call that has failed and was ended. `of`: its fault.
bool mg_relay_retry_fault(mg_relay *r, const mg_call_fault *of);

// --- relay_upload.c ---

void mg_relay_begin_body(mg_relay *r);              // asks a server at once, or when it has come
void mg_relay_take_body(mg_relay *r);               // more of it, its end or its refusal
void mg_relay_begin_upload(mg_relay *r);            // to a call that has just begun
void mg_relay_upload(mg_relay *r);                  // what has come, if there is room
void mg_relay_send_whole(mg_relay *r, mg_str body); // which stays where it is
void mg_relay_send_piece(mg_relay *r, mg_str piece);
void mg_relay_send_end(mg_relay *r);

// --- relay_spool.c ---
void mg_relay_store(mg_relay *r); // what has come, until it is whole
void mg_relay_upload_stored(mg_relay *r);
