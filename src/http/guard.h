// http/guard.h: a byte-level guard in front of the parser of heads and trailers.
//
// Finds the end of a section of lines and refuses what lenient parsers have let through: an LF
// without CR, a CR without LF, a line that begins with SP or HTAB. Counts lines and bytes against
// limits. Its state is a few offsets into the section, which must be contiguous in memory but may
// grow and move between calls: each byte is looked at once however it is split.
#pragma once

#include "http/message.h"

typedef struct mg_guard_limits {
    uint32_t first_line_bytes; // 0: there is no first line (trailers)
    uint32_t bytes;            // all lines after the first, with their CRLF
    uint32_t lines;            // after the first
} mg_guard_limits;

typedef struct mg_guard {
    size_t at;         // bytes before this were looked at
    size_t line_start; // where the line under way begins
    uint32_t lines;    // complete ones, the first included
    uint32_t skipped;  // empty lines before the first one, which RFC 9112 section 2.2 lets pass
    size_t first;      // where the first line begins
    size_t first_end;  // where its CRLF ends; 0 while it is incomplete
    mg_refusal refusal;
} mg_guard;

typedef enum mg_guard_verdict { MG_GUARD_MORE, MG_GUARD_END, MG_GUARD_BAD } mg_guard_verdict;

// Zeroed memory is a valid start. Looks at bytes `g->at` to `n` of the section at `p`.
// MG_GUARD_END: the section ends at `g->at`, its empty line included. MG_GUARD_BAD: `g->refusal`
// says why.
mg_guard_verdict mg_guard_scan(mg_guard *g, const mg_guard_limits *limits, const char *p, size_t n);
