// http/range.h: byte ranges (RFC 9110 section 14).
#pragma once

#include "base/buf.h"

enum { MG_RANGES_MAX = 16 };

typedef struct mg_range {
    uint64_t first;
    uint64_t length; // at least 1
} mg_range;

typedef enum mg_range_verdict {
    MG_RANGE_IGNORE,        // no valid `bytes` range set, or too many ranges: answer the whole
    MG_RANGE_SOME,          // `ranges` holds `count`
    MG_RANGE_UNSATISFIABLE, // 416
} mg_range_verdict;

// Reads the value of a Range field for content of `size` bytes. Ranges that overlap or adjoin are
// joined, unsatisfiable ones among others are dropped; the order of the rest is kept. Empty content
// has no ranges: clients that always ask for one get the whole.
mg_range_verdict mg_range_parse(mg_str value, uint64_t size, mg_range ranges[MG_RANGES_MAX],
                                size_t *count);

// Appends "bytes 0-9/100", the value of Content-Range.
void mg_range_write(mg_buf *out, mg_range r, uint64_t size);
