// http/h2_table.h: the tables of HPACK as its reader has them (RFC 7541 section 2.3). For http/h2*
// alone.
#pragma once

#include "base/buf.h"
#include "http/fields.h"

enum { MG_H2_STATIC_FIELDS = 61 };

// A field as it was decoded. Both texts are borrowed.
typedef struct mg_h2_decoded {
    mg_str name, value;
    uint8_t known; // an index of the static table that has this name; 0: none is known
} mg_h2_decoded;

// That of its name; `index` is one of the static table.
mg_field_id mg_h2_static_id(uint8_t index);

// One of the dynamic table. Its texts, a name and a value, lie one behind the other.
typedef struct mg_h2_entry {
    uint32_t at; // bytes that had ever come before them
    uint32_t name_bytes, value_bytes;
    uint8_t known;
} mg_h2_entry;

// A zeroed one is empty and takes nothing. It needs memory for what it holds, not for what it
// might.
typedef struct mg_h2_dynamic {
    mg_h2_entry *entries; // owned; the oldest first
    uint32_t first, count, cap;
    uint32_t bytes, limit; // as section 4.1 counts them
    uint32_t begin;        // what `at` is of the first byte of `texts`
    mg_buf texts;
} mg_h2_dynamic;

void mg_h2_dynamic_deinit(mg_h2_dynamic *t);

// The oldest go until the rest fits.
void mg_h2_dynamic_resize(mg_h2_dynamic *t, uint32_t limit);

// Copies its texts, which may not lie in the table, and forgets what is pushed out; one that is
// larger than the table empties it (section 4.4).
void mg_h2_dynamic_add(mg_h2_dynamic *t, const mg_h2_decoded *f);

// The field that has that index (section 2.3.3), borrowed until the table changes. False: none has.
bool mg_h2_table_get(const mg_h2_dynamic *t, uint32_t index, mg_h2_decoded *f);
