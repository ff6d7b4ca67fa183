// server/answer.h: the answer's side of an exchange: complete, or streamed piece by piece.
#pragma once

#include "server/exchange.h"
#include "server/options.h"

typedef struct mg_answer {
    int status;          // 200..599
    mg_str content_type; // empty: none
    mg_fields fields;    // all others, but those of framing and connection
    mg_str reason;       // empty: the status's own; HTTP/2 has none
} mg_answer;

// Answers completely; `x` is dead for the caller afterwards. Borrows everything for the call.
void mg_exchange_respond(mg_exchange *x, const mg_answer *a, mg_str body);

// Before either: where a successful answer to GET or HEAD has an ETag or Last-Modified of the
// app's, and the request a condition on it (RFC 9110 section 13), `a` becomes the head of a 304 or
// a 412, to be sent without content. True then. What other methods have done is not to be undone:
// their conditions are the app's to judge, before.
bool mg_exchange_meet_conditions(const mg_exchange *x, mg_answer *a);

// Commits the head of a streamed answer; `length` -1: not known. The handler's deadline ends here.
void mg_exchange_begin(mg_exchange *x, const mg_answer *a, int64_t length);

// Sends an interim answer (1xx, but not 101) before the head is committed, as 103 with Link fields;
// a peer that does not know of them gets none.
void mg_exchange_inform(mg_exchange *x, int status, const mg_fields *fields);

// Sends content. MG_OK; MG_EAGAIN: taken too, but the backlog is large now: wait for on_writable
// before the next; MG_ELIMIT: more than the announced length, nothing was sent; MG_ECLOSED: the
// peer is gone, which on_gone will tell.
int mg_exchange_write(mg_exchange *x, mg_str data);

// Filters (server/filter.h) that wait for more pass on what they have. As mg_exchange_write.
int mg_exchange_flush(mg_exchange *x);

// Bytes that the peer has not taken yet, and whose leaving on_writable will tell; 0: none wait.
size_t mg_exchange_backlog(const mg_exchange *x);

// Ends a streamed answer; `x` is dead afterwards. Less content than announced closes the
// connection. `trailers` of NULL: none.
void mg_exchange_end(mg_exchange *x, const mg_fields *trailers);

// Gives up: the exchange is broken off, in the middle of the answer if need be, and with it a
// connection that carries nothing else; `x` is dead afterwards.
void mg_exchange_abort(mg_exchange *x);

// Answers with a problem+json of the given status, in the app's stead; `x` is dead afterwards. Only
// before the head is committed. To refuse is to close the connection besides.
void mg_exchange_problem(mg_exchange *x, mg_refusal problem);
void mg_exchange_refuse(mg_exchange *x, mg_refusal refusal);

// Before its head is committed: it belongs to no generation any more, and `app` is told of what
// comes. The old app and who waits for its end have nothing to do with it from now on; `status`
// will be the answer's.
void mg_exchange_hand_over(mg_exchange *x, int status, mg_app *app);

// Of a streamed answer that lasts: what came with the request is given back, head, fields and
// notes, once its line for the access log is kept (kept_record.h). Nothing happens while the
// request's body is still to come, or a filter stands before the wire.
void mg_exchange_drop_request(mg_exchange *x);

// --- taking over ---

// NULL if the request asks for `protocol` (Upgrade), or, that being empty, is a CONNECT, and may
// become a tunnel now; else what hinders it, as static text.
const char *mg_exchange_may_take_over(const mg_exchange *x, mg_str protocol);

// Answers with 101 and `protocol`, or with 2xx to a CONNECT, and with the fields of `a`; what comes
// and goes from now on is `t`'s, whose events are set. Nothing may hinder it. `x` is dead
// afterwards.
void mg_exchange_take_over(mg_exchange *x, const mg_answer *a, mg_str protocol, mg_tunnel *t);

// --- for server/ ---

// What is known of it up to now; borrows of `x`.
void mg_exchange_describe(mg_exchange *x, mg_access_record *out);

// Tells the access log.
void mg_exchange_record(mg_exchange *x, bool aborted);

void mg_exchange_stop_deadlines(mg_exchange *x);

// Content as the wire is to have it, behind all filters; not empty. As mg_exchange_write.
int mg_exchange_send(mg_exchange *x, mg_str data);

// The app has no part in it any more: nothing of its generation is held, its filters go.
void mg_exchange_unpin(mg_exchange *x);
