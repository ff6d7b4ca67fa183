// server/request_body.h: the content of an exchange's request: how much of it may come, in what
// time, when it is asked for, and what is held of it until somebody takes it.
//
// What comes in is the wire's to tell (server/wire.h); whoever answers calls these.
#pragma once

#include "server/exchange.h"

extern const mg_refusal mg_body_too_large;

// Lowers or raises the limit of this request's body. MG_ELIMIT if what it announces
// (Content-Length, a chunk) is already beyond it: refuse it with 413.
int mg_exchange_limit_body(mg_exchange *x, uint64_t bytes);

// The body is malformed, too large or too slow: it is not read further, which is the app's to
// answer; the connection ends with the answer. The first reason counts.
void mg_exchange_refuse_body(mg_exchange *x, mg_refusal refusal);

// Whether more of the body is to come.
static inline bool mg_exchange_reads_body(const mg_exchange *x) {
    return !x->body_complete && x->body_refusal.status == 0;
}

// It is a stream of messages: no rate is asked of it, and no size unless `limited`.
void mg_exchange_stream_body(mg_exchange *x, bool limited);

// So many bytes of it, which were taken, are kept elsewhere until the rest has come: they count in
// limits.input too.
void mg_exchange_keep_aside(mg_exchange *x, size_t bytes);

// The handler wants the body: sends 100 Continue if the peer waits for it; from now on on_body is
// called. `collect`: in one piece, without backpressure up to the limit.
void mg_exchange_want_body(mg_exchange *x, bool collect);

// The same in two steps, for who asks another server whether the peer is to go on: on_body is
// called from now on, and 100 Continue is sent, and the time of the body begins, when that is told.
void mg_exchange_await_body(mg_exchange *x);
void mg_exchange_continue(mg_exchange *x);

// Content that has come and was not taken; borrowed until the next call on `x` or the next turn.
mg_str mg_exchange_content(const mg_exchange *x);

// Takes all of it away; reading goes on if it was paused.
void mg_exchange_take_content(mg_exchange *x);

static inline bool mg_exchange_body_complete(const mg_exchange *x) {
    return x->body_complete; // some may not be taken yet
}
