// field_list.h: lists of fields for tests.
#pragma once

#include "unit.h"

#include "http/fields.h"

// Names and values in turn, in that arena.
#define FIELD_LIST(arena, ...) field_list((arena), (const char *const[]){__VA_ARGS__, NULL})

static inline mg_fields field_list(mg_arena *arena, const char *const *texts) {
    mg_fields l;
    mg_fields_init(&l, arena);
    for (size_t i = 0; texts[i] != NULL; i += 2) {
        int rc = mg_fields_add(&l, mg_str_of(texts[i]), mg_str_of(texts[i + 1]));
        assert_int_equal(rc, MG_OK);
    }
    return l;
}
