// base/json_text.h: what stands between the quotes of a JSON string. For the reader and the writer
// alone.
#pragma once

#include "base/buf.h"

// How many bytes at the start of `p` stand for themselves. Behind them comes the end, a quote, a
// backslash, a control character, or (a byte of 0x80 and above; not with `any_bytes`) broken UTF-8.
size_t mg_json_run(const char *p, size_t n, bool any_bytes);

// Appends the character whose escape is at the start of `s` (a backslash) and sets `*taken` to the
// length of that escape. Returns NULL, or what is wrong (static text).
const char *mg_json_unescape(mg_str s, mg_buf *out, size_t *taken);
