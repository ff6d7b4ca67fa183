// http/h2_huffman.h: the code of HPACK's strings (RFC 7541 section 5.2 and appendix B). For
// http/h2* alone.
#pragma once

#include <stddef.h>
#include <stdint.h>

// The shortest code of a character has 5 bits.
static inline size_t mg_h2_huffman_most(size_t n) {
    return n * 8 / 5;
}

// Decodes `n` bytes into `out`, which has room for mg_h2_huffman_most(n), and returns how many that
// made; SIZE_MAX: it is wrong, in its padding or by an EOS.
size_t mg_h2_huffman_decode(const uint8_t *p, size_t n, char *out);
