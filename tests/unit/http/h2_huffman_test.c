#include "http/h2_huffman.h"

#include "unit.h"

#include <stdlib.h>

// Decodes it and compares; NULL: it must be wrong.
static void decodes(const char *code, size_t n, const char *want) {
    char *exact = malloc(n); // so that a sanitizer sees each byte behind the end
    char out[256];
    memcpy(exact, code, n);
    size_t got = mg_h2_huffman_decode((const uint8_t *)exact, n, out);
    free(exact);
    if (want == NULL) {
        assert_true(got == SIZE_MAX);
    } else {
        assert_true(got <= mg_h2_huffman_most(n));
        mg_str text = {out, got};
        assert_text(want, text);
    }
}

// RFC 7541 sections C.4 and C.6.
static void decodes_the_examples_of_the_rfc(void **state) {
    (void)state;
    decodes("", 0, "");
    decodes("\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff", 12, "www.example.com");
    decodes("\xa8\xeb\x10\x64\x9c\xbf", 6, "no-cache");
    decodes("\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f", 8, "custom-key");
    decodes("\x64\x02", 2, "302");
    decodes(
        "\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff",
        22, "Mon, 21 Oct 2013 20:13:21 GMT");
    decodes("\x94\xe7\x82\x1d\xd7\xf2\xe6\xc7\xb3\x35\xdf\xdf\xcd\x5b\x39\x60\xd5\xaf\x27\x08\x7f"
            "\x36\x72\xc1\xab\x27\x0f\xb5\x29\x1f\x95\x87\x31\x60\x65\xc0\x03\xed\x4e\xe5\xb1\x06"
            "\x3d\x50\x07",
            45, "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1");
}

// Appendix B: the first and the last character of each length.
static const struct {
    uint32_t code;
    uint8_t bits;
    uint8_t first, last; // characters
    uint8_t count;
} lengths[] = {
    {0x0, 5, '0', 't', 10},        {0x14, 6, ' ', 'u', 26},      {0x5c, 7, ':', 'z', 32},
    {0xf8, 8, '&', 'Z', 6},        {0x3f8, 10, '!', '?', 5},     {0x7fa, 11, '\'', '|', 3},
    {0xffa, 12, '#', '>', 2},      {0x1ff8, 13, 0, '~', 6},      {0x3ffc, 14, '^', '}', 2},
    {0x7ffc, 15, '<', '{', 3},     {0x7fff0, 19, '\\', 208, 3},  {0xfffe6, 20, 128, 226, 8},
    {0x1fffdc, 21, 153, 230, 13},  {0x3fffd2, 22, 129, 233, 26}, {0x7fffd8, 23, 1, 239, 29},
    {0xffffea, 24, 9, 237, 12},    {0x1ffffec, 25, 199, 235, 4}, {0x3ffffe0, 26, 192, 255, 15},
    {0x7ffffde, 27, 203, 254, 19}, {0xfffffe2, 28, 2, 249, 29},  {0x3ffffffc, 30, 10, 22, 3},
};

// The character that has this code.
static uint8_t decoded(uint32_t code, unsigned bits) {
    uint64_t padded = (uint64_t)code << (40 - bits) | (((uint64_t)1 << (40 - bits)) - 1);
    char bytes[5], out[16];
    for (int i = 0; i < 5; i++) {
        bytes[i] = (char)(padded >> (32 - 8 * i));
    }
    assert_int_equal(1, mg_h2_huffman_decode((const uint8_t *)bytes, (bits + 7) / 8, out));
    return (uint8_t)out[0];
}

static void each_character_has_its_code(void **state) {
    (void)state;
    bool seen[256] = {false};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        int before = -1;
        for (uint32_t k = 0; k < lengths[i].count; k++) {
            uint8_t c = decoded(lengths[i].code + k, lengths[i].bits);
            assert_true(c > before && !seen[c]);
            assert_true(k > 0 || c == lengths[i].first);
            seen[c] = true;
            before = c;
        }
        assert_int_equal(lengths[i].last, before);
    }
    for (int c = 0; c < 256; c++) {
        assert_true(seen[c]);
    }
}

// Section 5.2.
static void refuses_wrong_padding_and_eos(void **state) {
    (void)state;
    decodes("\x1f", 1, "a");                      // three ones
    decodes("\x18", 1, NULL);                     // zeros
    decodes("\x1f\xff", 2, NULL);                 // more than seven
    decodes("\xff", 1, NULL);                     // eight, and nothing else
    decodes("\xfe", 1, NULL);                     // a code that is cut
    decodes("\xff\xff\xff\xff", 4, NULL);         // EOS, and its padding
    decodes("\xff\xff\xff\xfc\x1f", 5, NULL);     // a character, then what is none
    decodes("\x1f\xff\xff\xff\xff\x1f", 6, NULL); // EOS within
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_the_examples_of_the_rfc),
        cmocka_unit_test(each_character_has_its_code),
        cmocka_unit_test(refuses_wrong_padding_and_eos),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
