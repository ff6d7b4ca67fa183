// base/utf8.h: UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, nothing above U+10FFFF.
#pragma once

#include "base/str.h"

// The length, 1 to 4, of the sequence that begins at `p` within `n` bytes; 0 if there is no whole,
// valid one.
size_t mg_utf8_sequence(const char *p, size_t n);

// How many bytes one U+FFFD stands for, 1 to 3, where mg_utf8_sequence found none: the longest
// start of a sequence that could have become valid (the Encoding standard's decoder; Unicode's
// "maximal subparts"). `n` is above 0.
size_t mg_utf8_subpart(const char *p, size_t n);

bool mg_utf8_valid(mg_str s);

// How many bytes at the front of `s` are whole, valid sequences. `*broken`: what follows them can
// never become one; else it is nothing, or the begin of one.
size_t mg_utf8_whole(mg_str s, bool *broken);

// Writes the sequence of `code` and returns its length. `code` is a Unicode scalar value; `out`
// holds 4 bytes.
size_t mg_utf8_write(char *out, uint32_t code);
