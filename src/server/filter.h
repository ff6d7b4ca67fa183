// server/filter.h: what changes the content of an answer on its way from who answers it to the
// wire: compression, say.
//
//     answerer -> mg_exchange_begin, write, end -> filter -> ... -> filter -> wire
//
// An exchange has a chain of filters, mostly none. They are added before its answer begins; the one
// that was added last stands nearest to the answerer. A filter is a struct that begins with an
// mg_filter, in memory that release gives back: it comes once, however the exchange ends.
#pragma once

#include "server/answer.h"

typedef struct mg_filter mg_filter;

// A static table. Answers without content (HEAD, 204, 304) have their head filtered alone, which is
// to say what that of a GET would.
typedef struct mg_filter_ops {
    // The head is about to be committed: `a` and the content's `length` (-1: unknown) may be
    // changed. What `a` points at lives until the exchange ends.
    void (*head)(mg_filter *f, mg_answer *a, int64_t *length);
    // Content: what the filter makes of it goes on with mg_filter_pass, now or later. Returns what
    // that did; MG_OK if all was kept.
    int (*content)(mg_filter *f, mg_str data);
    // What was kept is to go on as far as it can, as above.
    int (*flush)(mg_filter *f);
    // There is no more content: the rest goes on. Nothing comes behind this but release, and
    // `trailers` may be changed as the head.
    void (*end)(mg_filter *f, mg_fields *trailers);
    void (*release)(mg_filter *f);
} mg_filter_ops;

struct mg_filter {
    const mg_filter_ops *ops;
    mg_exchange *x;
    mg_filter *next; // towards the wire; NULL: the wire itself
    int64_t left;    // of the content that is to come here; -1: unknown
};

// Takes `f`, whose `ops` are set. No answer has begun.
void mg_filter_add(mg_exchange *x, mg_filter *f);

// For a filter: content goes on to what stands behind it. As mg_exchange_write; of a length that it
// has announced itself it passes on neither more nor less.
int mg_filter_pass(mg_filter *f, mg_str data);

// --- for answer.c and exchange.c; there are filters ---

// What becomes of the head: changes `a` and returns the length that is left for the wire.
int64_t mg_filters_head(mg_exchange *x, mg_answer *a, int64_t length);
int mg_filters_flush(mg_exchange *x);
void mg_filters_end(mg_exchange *x, mg_fields *trailers);
void mg_filters_release(mg_exchange *x);
