#include "http/h2_huffman.h"

#include <stdbool.h>

// The code is canonical: shorter codes come first, those of one length are numbers in a row, and
// their characters rise. So the characters in the order of their codes, and the codes that each
// length ends with, say all of it.
static const uint8_t order[] = {
    48,  49,  50,  97,  99,  101, 105, 111, 115, 116, 32,  37,  45,  46,  47,  51,  52,  53,  54,
    55,  56,  57,  61,  65,  95,  98,  100, 102, 103, 104, 108, 109, 110, 112, 114, 117, 58,  66,
    67,  68,  69,  70,  71,  72,  73,  74,  75,  76,  77,  78,  79,  80,  81,  82,  83,  84,  85,
    86,  87,  89,  106, 107, 113, 118, 119, 120, 121, 122, 38,  42,  44,  59,  88,  90,  33,  34,
    40,  41,  63,  39,  43,  124, 35,  62,  0,   36,  64,  91,  93,  126, 94,  125, 60,  96,  123,
    92,  195, 208, 128, 130, 131, 162, 184, 194, 224, 226, 153, 161, 167, 172, 176, 177, 179, 209,
    216, 217, 227, 229, 230, 129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173,
    178, 181, 185, 186, 187, 189, 190, 196, 198, 228, 232, 233, 1,   135, 137, 138, 139, 140, 141,
    143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175, 180, 182, 183, 188, 191,
    197, 231, 239, 9,   142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237, 199, 207, 234, 235,
    192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255, 203, 204, 211, 212,
    214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254, 2,   3,   4,   5,
    6,   7,   8,   11,  12,  14,  15,  16,  17,  18,  19,  20,  21,  23,  24,  25,  26,  27,  28,
    29,  30,  31,  127, 220, 249, 10,  13,  22,
};

// The codes of one length, moved to the left end of 32 bits.
typedef struct row {
    uint32_t last;  // the largest that begins with one of them
    uint32_t first; // the smallest
    uint8_t bits;
    uint8_t at; // of the first one's character
} row;

static const row rows[] = {
    {0x4fffffff, 0x00000000, 5, 0},    {0xb7ffffff, 0x50000000, 6, 10},
    {0xf7ffffff, 0xb8000000, 7, 36},   {0xfdffffff, 0xf8000000, 8, 68},
    {0xff3fffff, 0xfe000000, 10, 74},  {0xff9fffff, 0xff400000, 11, 79},
    {0xffbfffff, 0xffa00000, 12, 82},  {0xffefffff, 0xffc00000, 13, 84},
    {0xfff7ffff, 0xfff00000, 14, 90},  {0xfffdffff, 0xfff80000, 15, 92},
    {0xfffe5fff, 0xfffe0000, 19, 95},  {0xfffedfff, 0xfffe6000, 20, 98},
    {0xffff47ff, 0xfffee000, 21, 106}, {0xffffafff, 0xffff4800, 22, 119},
    {0xffffe9ff, 0xffffb000, 23, 145}, {0xfffff5ff, 0xffffea00, 24, 174},
    {0xfffff7ff, 0xfffff600, 25, 186}, {0xfffffbbf, 0xfffff800, 26, 190},
    {0xfffffe1f, 0xfffffbc0, 27, 205}, {0xffffffef, 0xfffffe20, 28, 224},
    {0xffffffff, 0xfffffff0, 30, 253},
};

enum { EOS = 0x3fffffff }; // a code of 30 bits, and no character

// What is left behind the last character: fewer than 8 bits, all of them ones.
static bool is_padding(uint64_t left, unsigned bits) {
    return bits < 8 && left == ((uint64_t)1 << bits) - 1;
}

size_t mg_h2_huffman_decode(const uint8_t *p, size_t n, char *out) {
    const uint8_t *end = p + n;
    char *to = out;
    uint64_t left = 0; // bits that were not taken yet, at the lower end; none above them is set
    unsigned bits = 0;
    for (;;) {
        while (bits <= 56 && p < end) {
            left = left << 8 | *p++;
            bits += 8;
        }
        // Ones behind the end: no code is cut short by what is not there.
        uint32_t next = bits >= 32 ? (uint32_t)(left >> (bits - 32))
                                   : (uint32_t)(left << (32 - bits)) | UINT32_MAX >> bits;
        const row *r = rows;
        while (next > r->last) {
            r++;
        }
        if (r->bits > bits) {
            return is_padding(left, bits) ? (size_t)(to - out) : SIZE_MAX;
        }
        if (next >> 2 == EOS) {
            return SIZE_MAX;
        }
        *to++ = (char)order[r->at + ((next - r->first) >> (32 - r->bits))];
        bits -= r->bits;
        left &= ((uint64_t)1 << bits) - 1;
    }
}
