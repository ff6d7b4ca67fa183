#include "base/codec.h"

#include "base/error.h"
#include "unit.h"

static mg_buf out;

static int deinit(void **state) {
    (void)state;
    mg_buf_deinit(&out);
    return 0;
}

static void expect_base64(const char *bytes, const char *text, unsigned flags) {
    mg_buf_clear(&out);
    mg_base64_encode(&out, mg_str_of(bytes), flags);
    assert_text(text, mg_buf_str(&out));
    mg_buf_clear(&out);
    assert_int_equal(mg_base64_decode(&out, mg_str_of(text), flags), MG_OK);
    assert_text(bytes, mg_buf_str(&out));
}

static void base64_agrees_with_the_rfc(void **state) {
    (void)state;
    expect_base64("", "", 0);
    expect_base64("f", "Zg==", 0);
    expect_base64("fo", "Zm8=", 0);
    expect_base64("foo", "Zm9v", 0);
    expect_base64("foob", "Zm9vYg==", 0);
    expect_base64("fooba", "Zm9vYmE=", 0);
    expect_base64("foobar", "Zm9vYmFy", 0);
    expect_base64("f", "Zg", MG_BASE64_UNPADDED);
    expect_base64("fo", "Zm8", MG_BASE64_URL | MG_BASE64_UNPADDED);
    expect_base64("\xFB\xEF\xFE\xFF", "++/+/w==", 0);
    expect_base64("\xFB\xEF\xFE\xFF", "--_-_w==", MG_BASE64_URL);
}

static void base64_appends(void **state) {
    (void)state;
    mg_buf_clear(&out);
    mg_buf_append_str(&out, MG_STR("Basic "));
    mg_base64_encode(&out, MG_STR("a:b"), 0);
    assert_text("Basic YTpi", mg_buf_str(&out));
    assert_int_equal(mg_base64_decode(&out, MG_STR("eA"), 0), MG_OK);
    assert_text("Basic YTpix", mg_buf_str(&out));
}

typedef int decode_fn(mg_buf *b, mg_str in);

static int decode_standard(mg_buf *b, mg_str in) {
    return mg_base64_decode(b, in, 0);
}

static int decode_url(mg_buf *b, mg_str in) {
    return mg_base64_decode(b, in, MG_BASE64_URL);
}

static void expect_refused(decode_fn *decode, mg_str text) {
    mg_buf_clear(&out);
    mg_buf_append_str(&out, MG_STR("kept"));
    if (decode(&out, text) != MG_ESYNTAX) {
        fail_msg("accepted: %.*s", (int)text.n, text.p);
    }
    assert_text("kept", mg_buf_str(&out));
}

static void base64_refuses_malformed_text(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "A",       "AAAAA", "=",     "==",   "===",  "====",  "A===",   "AA=",      "AAA==",
        "AAAA=",   "AA==A", "A=A=",  "AA A", "AAA ", " AAA",  "AAA\n",  "AA==AA==", "AA\r\n",
        "AA=\xC3", "AAA*",  "AAA\\", "AAA-", "AAA_", "AA===", "AA\x80", "AAAA====",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        expect_refused(decode_standard, mg_str_of(wrong[i]));
    }
    expect_refused(decode_standard, MG_STR("AAA\0"));
    expect_refused(decode_url, MG_STR("AAA+"));
    expect_refused(decode_url, MG_STR("AAA/"));
}

static void base64_refuses_bits_that_no_byte_uses(void **state) {
    (void)state;
    expect_refused(decode_standard, MG_STR("Zh=="));
    expect_refused(decode_standard, MG_STR("Zg/="));
    expect_refused(decode_standard, MG_STR("Zm9="));
    expect_refused(decode_url, MG_STR("Zm9"));
}

static void every_byte_survives_each_codec(void **state) {
    (void)state;
    char all[256];
    for (int i = 0; i < 256; i++) {
        all[i] = (char)i;
    }
    mg_buf text = {0};
    for (size_t n = 0; n <= sizeof all; n++) {
        mg_str bytes = {all + sizeof all - n, n};
        for (unsigned codec = 0; codec < 6; codec++) {
            mg_buf_clear(&text);
            mg_buf_clear(&out);
            int rc = MG_OK;
            if (codec < 4) {
                mg_base64_encode(&text, bytes, codec);
                rc = mg_base64_decode(&out, mg_buf_str(&text), codec);
            } else if (codec == 4) {
                mg_hex_encode(&text, bytes);
                rc = mg_hex_decode(&out, mg_buf_str(&text));
            } else {
                mg_percent_encode(&text, bytes);
                rc = mg_percent_decode(&out, mg_buf_str(&text));
            }
            assert_int_equal(rc, MG_OK);
            assert_true(mg_str_eq(bytes, mg_buf_str(&out)));
        }
    }
    mg_buf_deinit(&text);
}

static void hex_is_lower_case_and_reads_both(void **state) {
    (void)state;
    mg_buf_clear(&out);
    mg_hex_encode(&out, MG_STR("\x00\xAB\xF0"));
    assert_text("00abf0", mg_buf_str(&out));
    mg_buf_clear(&out);
    assert_int_equal(mg_hex_decode(&out, MG_STR("aBFf")), MG_OK);
    assert_text("\xAB\xFF", mg_buf_str(&out));
}

static void hex_refuses_malformed_text(void **state) {
    (void)state;
    static const char *const wrong[] = {"a", "abc", "0g", "g0", " 0", "0x", "0 ", "\xC3\xA4"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        expect_refused(mg_hex_decode, mg_str_of(wrong[i]));
    }
}

static void percent_keeps_unreserved_characters_only(void **state) {
    (void)state;
    mg_buf_clear(&out);
    mg_percent_encode(&out, MG_STR("azAZ09-._~ +/?&=%@\xC3\xA4\0"));
    assert_text("azAZ09-._~%20%2B%2F%3F%26%3D%25%40%C3%A4%00", mg_buf_str(&out));
}

static void percent_decoding_leaves_a_plus_alone(void **state) {
    (void)state;
    mg_buf_clear(&out);
    assert_int_equal(mg_percent_decode(&out, MG_STR("a+b%2b%2F/")), MG_OK);
    assert_text("a+b+//", mg_buf_str(&out));
}

static void percent_refuses_broken_codes(void **state) {
    (void)state;
    static const char *const wrong[] = {"%", "a%", "%4", "a%2", "%zz", "%4g", "%%41", "% 41"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        expect_refused(mg_percent_decode, mg_str_of(wrong[i]));
    }
}

static void empty_input_may_be_null(void **state) {
    (void)state;
    mg_buf_clear(&out);
    mg_base64_encode(&out, (mg_str){0}, 0);
    mg_hex_encode(&out, (mg_str){0});
    mg_percent_encode(&out, (mg_str){0});
    assert_int_equal(mg_base64_decode(&out, (mg_str){0}, 0), MG_OK);
    assert_int_equal(mg_hex_decode(&out, (mg_str){0}), MG_OK);
    assert_int_equal(mg_percent_decode(&out, (mg_str){0}), MG_OK);
    assert_int_equal(out.n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_agrees_with_the_rfc),
        cmocka_unit_test(base64_appends),
        cmocka_unit_test(base64_refuses_malformed_text),
        cmocka_unit_test(base64_refuses_bits_that_no_byte_uses),
        cmocka_unit_test(every_byte_survives_each_codec),
        cmocka_unit_test(hex_is_lower_case_and_reads_both),
        cmocka_unit_test(hex_refuses_malformed_text),
        cmocka_unit_test(percent_keeps_unreserved_characters_only),
        cmocka_unit_test(percent_decoding_leaves_a_plus_alone),
        cmocka_unit_test(percent_refuses_broken_codes),
        cmocka_unit_test(empty_input_may_be_null),
    };
    return cmocka_run_group_tests(tests, NULL, deinit);
}
