// server/fixed_answerer.h: the smallest answerer: the same answer at once.
#pragma once

#include "base/mem.h"
#include "server/answer.h"
#include "server/answerer.h"

typedef struct fixed_answerer {
    mg_answerer answerer; // first
    const char *text;
    int *freed; // counts
} fixed_answerer;

static inline void fixed_on_request(mg_app *app, mg_exchange *x) {
    mg_exchange_respond(x, &(mg_answer){.status = 200}, mg_str_of(((fixed_answerer *)app)->text));
}

static inline void fixed_free(mg_answerer *a) {
    ++*((fixed_answerer *)a)->freed;
    mg_free(a);
}

// Borrows both.
static inline mg_answerer *fixed_answerer_new(const char *text, int *freed) {
    fixed_answerer *f = mg_calloc(1, sizeof *f);
    *f = (fixed_answerer){
        .answerer = {.app = {.on_request = fixed_on_request}, .free = fixed_free},
        .text = text,
        .freed = freed,
    };
    return &f->answerer;
}
