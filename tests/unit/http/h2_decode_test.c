#include "http/h2_decode.h"

#include "base/buf.h"
#include "unit.h"

// Decodes a whole block, in pieces of `step` bytes (0: in one).
static void decode(mg_h2_decoder *d, mg_str block, size_t step, mg_buf *text) {
    mg_h2_decoded f;
    do {
        size_t n = step > 0 && step < block.n ? step : block.n;
        mg_str piece = {block.p, n};
        mg_str_skip(&block, n);
        int rc;
        while ((rc = mg_h2_decode(d, &piece, block.n == 0, &f)) == MG_OK) {
            mg_buf_printf(text, "%.*s: %.*s\n", (int)f.name.n, f.name.p, (int)f.value.n, f.value.p);
        }
        assert_int_equal(MG_EAGAIN, rc);
    } while (block.n > 0);
}

// RFC 7541 section C.4: requests with Huffman coding, which share a dynamic table.
static void decodes_the_examples_of_the_rfc(void **state) {
    (void)state;
    static const mg_str blocks[] = {
        {"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff", 17},
        {"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf", 12},
        {"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8"
         "\xb4\xbf",
         24},
    };
    for (size_t step = 0; step < 5; step++) {
        mg_h2_decoder *d = mg_h2_decoder_new();
        mg_buf text = {0};
        for (size_t i = 0; i < 3; i++) {
            decode(d, blocks[i], step, &text);
        }
        assert_text(":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\n"
                    ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\n"
                    "cache-control: no-cache\n"
                    ":method: GET\n:scheme: https\n:path: /index.html\n"
                    ":authority: www.example.com\ncustom-key: custom-value\n",
                    mg_buf_str(&text));
        mg_buf_deinit(&text);
        mg_h2_decoder_free(d);
    }
}

static void refuses_what_cannot_be_decoded(void **state) {
    (void)state;
    static const mg_str wrong[] = {
        {"\x80", 1},                          // index 0
        {"\xff\x80\x80\x80\x80\x80\x01", 7},  // an integer without end
        {"\xc0", 1},                          // beyond the tables
        {"\x3f\xe2\x1f", 3},                  // a table larger than was allowed
        {"\x82\x20", 2},                      // its size behind a field
        {"\x41\x8c\xf1", 3},                  // cut
        {"\x00\x81\x00\x01x", 5},             // Huffman padding of zeros
        {"\x00\x84\xff\xff\xff\xff\x01x", 8}, // EOS
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        mg_h2_decoder *d = mg_h2_decoder_new();
        mg_str in = wrong[i];
        mg_h2_decoded f;
        int rc;
        while ((rc = mg_h2_decode(d, &in, true, &f)) == MG_OK) {
        }
        if (rc != MG_ESYNTAX) {
            fail_msg("block %zu was taken", i);
        }
        mg_h2_decoder_free(d);
    }
}

// RFC 7541 section 4.4: the name of the new entry is that of one which has to go for it.
static void a_name_outlives_its_entry(void **state) {
    (void)state;
    static const mg_str block = {"\x3f\x0a" // 41 bytes
                                 "\x40\x04name\x01"
                                 "1"
                                 "\x7e\x02"
                                 "22"
                                 "\x7e\x81\x67"
                                 "\xbe",
                                 18};
    for (size_t step = 0; step < 9; step++) {
        mg_h2_decoder *d = mg_h2_decoder_new();
        mg_buf text = {0};
        decode(d, block, step, &text);
        assert_text("name: 1\nname: 22\nname: 3\nname: 3\n", mg_buf_str(&text));
        mg_h2_decoder_rest(d);
        mg_buf_clear(&text);
        decode(d, MG_STR("\xbe"), 0, &text);
        assert_text("name: 3\n", mg_buf_str(&text));
        mg_buf_deinit(&text);
        mg_h2_decoder_free(d);
    }
}

static void a_peer_has_to_tell_its_smaller_table(void **state) {
    (void)state;
    mg_h2_decoder *d = mg_h2_decoder_new();
    mg_h2_decoder_resize(d, 100);
    mg_str in = MG_STR("\x82");
    mg_h2_decoded f;
    assert_int_equal(MG_ESYNTAX, mg_h2_decode(d, &in, true, &f));
    mg_h2_decoder_free(d);
    d = mg_h2_decoder_new();
    mg_h2_decoder_resize(d, 100);
    assert_int_equal(MG_ESYNTAX, mg_h2_decode(d, &in, true, &f)); // by any block
    mg_h2_decoder_free(d);
}

static void its_size_may_come_in_pieces(void **state) {
    (void)state;
    mg_h2_decoder *d = mg_h2_decoder_new();
    mg_buf text = {0};
    mg_h2_decoder_resize(d, 100);
    decode(d, MG_STR("\x20\x3f\x45\x82"), 1, &text); // none, then 100
    decode(d, MG_STR("\x3f\x45\x82"), 1, &text);     // again, in another block
    assert_text(":method: GET\n:method: GET\n", mg_buf_str(&text));
    mg_buf_deinit(&text);
    mg_h2_decoder_free(d);
}

static void nothing_is_freed(void **state) {
    (void)state;
    mg_h2_decoder_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_the_examples_of_the_rfc),
        cmocka_unit_test(refuses_what_cannot_be_decoded),
        cmocka_unit_test(a_name_outlives_its_entry),
        cmocka_unit_test(a_peer_has_to_tell_its_smaller_table),
        cmocka_unit_test(its_size_may_come_in_pieces),
        cmocka_unit_test(nothing_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
