// base/suggest.h: "did you mean": the known word nearest to a mistyped one.
#pragma once

#include "base/buf.h"

typedef struct mg_suggest {
    mg_str word; // what was typed
    mg_str best; // the nearest candidate so far; borrowed
    size_t distance;
} mg_suggest;

void mg_suggest_init(mg_suggest *s, mg_str word);

// Considers a candidate. Swapped neighbours count as one mistake; far-off candidates are never
// taken.
void mg_suggest_offer(mg_suggest *s, mg_str candidate);

// Appends ` (did you mean "..."?)`, or nothing if no candidate was near.
void mg_suggest_append(const mg_suggest *s, mg_buf *out);
