// server/noted.h: what an app notes beside an exchange: fields of its line in the access log, and
// whoever is to hear of its end.
//
// Lies in the exchange's arena and goes with it.
#pragma once

#include "server/exchange.h"

typedef struct mg_noted {
    mg_fields fields; // names, and values as JSON
    // The last byte of the answer is on its way, or it was broken off. NULL: nobody listens.
    void (*on_end)(mg_exchange *x, bool aborted);
    void *arg;
} mg_noted;

// The notes of `x`, made when first asked for.
mg_noted *mg_exchange_noted(mg_exchange *x);

// Adds a field to the line in the access log, in place of one of that name. `json` is its value;
// both texts are copied. MG_ESYNTAX: the name is no token, or `json` holds a control character;
// MG_ELIMIT: there are too many.
int mg_exchange_note_field(mg_exchange *x, mg_str name, mg_str json);
