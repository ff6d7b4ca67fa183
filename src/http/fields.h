// http/fields.h: the fields of a head or of trailers as a list of names and values (RFC 9110
// section 5). Only the writer of a wire makes text of it.
//
// A list lies in an arena, which is borrowed and goes with the message. Names and values are
// borrowed too, unless they are copied. What enters through these functions is a field that every
// wire can carry: a token, and a value without control characters.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "http/field_names.h"

// Common names as numbers; looked up once, when a field enters a list.
typedef enum mg_field_id {
    MG_FIELD_OTHER,
#define MG_FIELD_ID(id, name, first, last) MG_FIELD_##id,
    MG_FIELD_NAMES(MG_FIELD_ID)
#undef MG_FIELD_ID
        MG_FIELD_COUNT,
} mg_field_id;

typedef struct mg_field {
    mg_str name;  // as it came
    mg_str value; // without OWS around it
    mg_field_id id;
} mg_field;

enum {
    MG_FIELD_OVERHEAD = 32,    // bytes that each counts beside its texts (RFC 9113 section 10.5.1)
    MG_FIELDS_BYTES = 1 << 20, // that a list holds unless it is told another limit
};

// A zeroed one is an empty list that nothing can be added to.
typedef struct mg_fields {
    mg_field *at;
    uint32_t count, cap;
    uint32_t bytes, limit; // names, values and overhead
    mg_arena *arena;
    uint64_t ids; // a bit for each id that a field of it has, or had, modulo 64
} mg_fields;

// --- names and values ---

mg_field_id mg_field_id_of(mg_str name);
mg_str mg_field_name(mg_field_id id); // as it is written; static memory

static inline mg_field mg_field_of(mg_str name, mg_str value) {
    return (mg_field){name, value, mg_field_id_of(name)};
}

// No control character but a tab.
bool mg_field_is_value(mg_str value);

// Of the connection, not of the message: never passed on (RFC 9110 section 7.6.1).
bool mg_field_id_is_hop_by_hop(mg_field_id id);

static inline uint64_t mg_field_bit(mg_field_id id) {
    return (uint64_t)1 << (id % 64);
}

// --- making ---

void mg_fields_init(mg_fields *l, mg_arena *arena);

// Adds a field behind the others; borrows both texts. MG_ESYNTAX: the name or the value is not
// allowed in HTTP; MG_ELIMIT: the list is full. The list is as it was then.
int mg_fields_add(mg_fields *l, mg_str name, mg_str value);
int mg_fields_add_id(mg_fields *l, mg_field_id id, mg_str value);

// Room for `n` more, so that none of them moves the list.
void mg_fields_reserve(mg_fields *l, uint32_t n);

int mg_fields_pass_on(mg_fields *l, const mg_field *f); // of mg_fields_pass

// Adds a field as it is that was found to be allowed: when it entered another list, or just now.
// MG_ELIMIT as above.
static inline int mg_fields_pass(mg_fields *l, const mg_field *f) {
    uint64_t bytes = (uint64_t)f->name.n + f->value.n + MG_FIELD_OVERHEAD + l->bytes;
    if (bytes > l->limit || l->count == l->cap) {
        return mg_fields_pass_on(l, f);
    }
    l->at[l->count++] = *f;
    l->bytes = (uint32_t)bytes;
    l->ids |= mg_field_bit(f->id);
    return MG_OK;
}

// The same instead of all of that name, in the place of the first.
int mg_fields_set(mg_fields *l, mg_str name, mg_str value);

// Returns how many there were.
uint32_t mg_fields_remove(mg_fields *l, mg_str name);

// Adds those members of the comma separated `members` that the list of that name lacks (Vary,
// Connection), ignoring case; it is one field afterwards. A Vary with "*" is nothing but that.
int mg_fields_merge(mg_fields *l, mg_field_id id, mg_str members);

// Adds copies of all of `from`, whose texts lie in the arena of `l`. MG_ELIMIT: not all.
int mg_fields_copy(mg_fields *l, const mg_fields *from);

// --- reading ---

// The first field of that name, or NULL.
const mg_field *mg_fields_find_name(const mg_fields *l, mg_str name);

// The next one behind `before`, or the first if that is NULL; NULL at the end. Most are looked for
// in vain: that costs nothing.
static inline const mg_field *mg_fields_next(const mg_fields *l, const mg_field *before,
                                             mg_field_id id) {
    if ((l->ids & mg_field_bit(id)) == 0) {
        return NULL;
    }
    for (size_t i = before != NULL ? (size_t)(before - l->at) + 1 : 0; i < l->count; i++) {
        if (l->at[i].id == id) {
            return &l->at[i];
        }
    }
    return NULL;
}

static inline const mg_field *mg_fields_find(const mg_fields *l, mg_field_id id) {
    return mg_fields_next(l, NULL, id);
}

// All values of that name as one (RFC 9110 section 5.3; Cookie: RFC 9113 section 8.2.3), in the
// arena of `l` if there are several; {NULL, 0}: there is none. Set-Cookie cannot be joined: of it
// the first.
mg_str mg_fields_join(const mg_fields *l, mg_str name);

// Whether a comma separated list has that member, ignoring case.
bool mg_fields_has_member(const mg_fields *l, mg_field_id id, mg_str member);

// Whether `f`, one of `l`, is of the connection: by its name, or because Connection names it. It
// cannot name what everybody on the way relies on.
bool mg_fields_is_hop_by_hop(const mg_fields *l, const mg_field *f);
