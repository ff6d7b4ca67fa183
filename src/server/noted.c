#include "server/noted.h"

enum { NOTED_BYTES = 8192 }; // of a line in the access log

mg_noted *mg_exchange_noted(mg_exchange *x) {
    if (x->noted == NULL) {
        x->noted = mg_arena_alloc(&x->arena, sizeof *x->noted);
        *x->noted = (mg_noted){.on_end = NULL};
        mg_fields_init(&x->noted->fields, &x->arena);
        x->noted->fields.limit = NOTED_BYTES;
    }
    return x->noted;
}

static mg_str copy(mg_exchange *x, mg_str s) {
    return (mg_str){mg_arena_copy(&x->arena, s), s.n};
}

int mg_exchange_note_field(mg_exchange *x, mg_str name, mg_str json) {
    return mg_fields_set(&mg_exchange_noted(x)->fields, copy(x, name), copy(x, json));
}
