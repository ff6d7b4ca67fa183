#include "http/ws_deflate.h"

#include "base/mem.h"
#include "unit.h"

enum { MB = 1024 * 1024 };

static mg_ws_deflate *z;

static int begin(void **state) {
    (void)state;
    z = mg_ws_deflate_new();
    return 0;
}

static int end(void **state) {
    (void)state;
    mg_ws_deflate_free(z);
    return 0;
}

static mg_buf repeated(const char *text, size_t n) {
    mg_buf b = {0};
    while (b.n < n) {
        size_t piece = strlen(text) < n - b.n ? strlen(text) : n - b.n;
        mg_buf_append(&b, text, piece);
    }
    return b;
}

static void compresses_only_what_is_larger_than_a_kilobyte(void **state) {
    (void)state;
    mg_buf small = repeated("moon ", MG_WS_DEFLATE_ABOVE), out = {0};
    assert_false(mg_ws_compress(z, mg_buf_str(&small), &out));
    mg_buf_append_char(&small, '.');
    assert_true(mg_ws_compress(z, mg_buf_str(&small), &out));
    assert_in_range(out.n, 1, 200);
    mg_buf_deinit(&small);
    mg_buf_deinit(&out);
}

static void what_does_not_become_smaller_goes_as_it_is(void **state) {
    (void)state;
    mg_buf noise = {0}, out = {0};
    uint64_t x = 88172645463325252u;
    while (noise.n < 5000) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        mg_buf_append(&noise, &x, sizeof x);
    }
    mg_buf_append_str(&out, MG_STR("before"));
    assert_false(mg_ws_compress(z, mg_buf_str(&noise), &out));
    assert_text("before", mg_buf_str(&out));
    mg_buf_deinit(&noise);
    mg_buf_deinit(&out);
}

// No message leans on the one before it, in whichever order they are decoded.
static void every_message_stands_for_itself(void **state) {
    (void)state;
    mg_buf texts[2] = {repeated("half a moon ", 2000), repeated("half a moon ", 300000)};
    mg_buf packed[2] = {{0}};
    for (int i = 0; i < 2; i++) {
        assert_true(mg_ws_compress(z, mg_buf_str(&texts[i]), &packed[i]));
    }
    for (int i = 3; i >= 0; i--) {
        mg_buf plain = {0};
        mg_buf_append_str(&plain, MG_STR("> "));
        assert_int_equal(mg_ws_decompress(z, mg_buf_str(&packed[i / 2]), &plain, texts[i / 2].n),
                         0);
        mg_buf_consume(&plain, 2);
        assert_true(mg_str_eq(mg_buf_str(&plain), mg_buf_str(&texts[i / 2])));
        mg_buf_deinit(&plain);
    }
    for (int i = 0; i < 2; i++) {
        mg_buf_deinit(&texts[i]);
        mg_buf_deinit(&packed[i]);
    }
}

static void a_bomb_is_not_blown_up(void **state) {
    (void)state;
    mg_buf zeros = repeated("0000000000000000", 64 * MB), bomb = {0}, out = {0};
    assert_true(mg_ws_compress(z, mg_buf_str(&zeros), &bomb));
    assert_in_range(bomb.n, 1, MB);
    assert_int_equal(mg_ws_decompress(z, mg_buf_str(&bomb), &out, 100000), MG_ELIMIT);
    assert_int_equal(out.n, 0);
    assert_in_range(out.cap, 0, 4 * 100000);
    assert_int_equal(mg_ws_decompress(z, mg_buf_str(&bomb), &out, 64 * MB), 0);
    assert_int_equal(mg_ws_decompress(z, mg_buf_str(&bomb), &out, 64 * MB - 1), MG_ELIMIT);
    mg_buf_deinit(&zeros);
    mg_buf_deinit(&bomb);
    mg_buf_deinit(&out);
}

static void decodes(mg_str data, int rc, const char *want) {
    mg_buf out = {0};
    assert_int_equal(mg_ws_decompress(z, data, &out, 100), rc);
    assert_text(want, mg_buf_str(&out));
    mg_buf_deinit(&out);
}

// RFC 7692 section 7.2.3; what was cut off at any place is broken.
static void reads_the_examples_of_the_rfc(void **state) {
    (void)state;
    decodes(MG_STR("\xf2\x48\xcd\xc9\xc9\x07\x00"), 0, "Hello");
    decodes(MG_STR("\x00\x05\x00\xfa\xff"
                   "Hello\x00"),
            0, "Hello");
    decodes(MG_STR("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), 0, "Hello");
    decodes(MG_STR("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), 0, "Hello");
    decodes(MG_STR("\x00"), 0, "");
    decodes((mg_str){NULL, 0}, 0, "");
    mg_str whole = MG_STR("\xf2\x48\xcd\xc9\xc9\x07\x00");
    for (size_t n = 1; n < whole.n; n++) {
        decodes((mg_str){whole.p, n}, MG_ESYNTAX, "");
    }
}

static void refuses_broken_data(void **state) {
    (void)state;
    decodes(MG_STR("\xff\xff\xff"), MG_ESYNTAX, "");
    decodes(MG_STR("\x00\x05\x00\xfa\xfeHello\x00"), MG_ESYNTAX, "");
    decodes(MG_STR("\xf2\x48\xcd\xc9\xc9\x07\x00\x05"), MG_ESYNTAX, "");
    decodes(MG_STR("\xf2\x48\xcd\xc9\xc9\x07\x00"), 0, "Hello"); // it goes on well afterwards
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compresses_only_what_is_larger_than_a_kilobyte),
        cmocka_unit_test(what_does_not_become_smaller_goes_as_it_is),
        cmocka_unit_test(every_message_stands_for_itself),
        cmocka_unit_test(a_bomb_is_not_blown_up),
        cmocka_unit_test(reads_the_examples_of_the_rfc),
        cmocka_unit_test(refuses_broken_data),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
