// http/h1_section.h: gathers the first line and the fields of an HTTP/1.x message, and splits the
// fields. What comes whole and is plain, as almost every head is, takes one pass; all else is
// guarded, then split here if its lines are plain, by llhttp if not. Shared by the readers of
// requests and of responses.
#pragma once

#include "base/arena.h"
#include "http/guard.h"

// Lives inside its reader; `arena` is borrowed and holds the bytes.
typedef struct mg_h1_section {
    mg_arena *arena;
    const mg_guard_limits *limits;
    mg_guard guard;
    char *bytes; // in the arena
    size_t n;
    size_t cap;
    mg_field *plain; // split already, in the arena: guard.lines - 1 of them; NULL: they are not
    uint64_t ids;    // theirs, as in mg_fields
} mg_h1_section;

void mg_h1_section_init(mg_h1_section *s, mg_arena *arena, const mg_guard_limits *limits);

// Takes up to `n` bytes. MG_GUARD_MORE: all were taken. MG_GUARD_END: it is whole, in `s->bytes`,
// and `*used` bytes belonged to it. MG_GUARD_BAD: s->guard.refusal. In any case `*p` is where the
// bytes seen so far lie now.
mg_guard_verdict mg_h1_section_take(mg_h1_section *s, const char *data, size_t n, size_t *used,
                                    const char **p);

// The section is refused (MG_GUARD_BAD), its first line being whole: from now on it is the lines
// that came whole, in `s->bytes`. `p` as above.
void mg_h1_section_cut(mg_h1_section *s, const char *p);

// The first line without its CRLF; `p` as above, or s->bytes. Only if guard.first_end is not 0.
mg_str mg_h1_section_line(const mg_h1_section *s, const char *p);

// Splits the field lines of a whole section. NULL, or what is wrong with them (static text); the
// fields that came before the fault are there in both cases.
const char *mg_h1_section_fields(const mg_h1_section *s, mg_fields *fields);
