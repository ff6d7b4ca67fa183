#include "base/json.h"

#include "base/error.h"
#include "unit.h"

#include <math.h>
#include <stdlib.h>

static mg_buf decoded;

static int deinit(void **state) {
    (void)state;
    mg_buf_deinit(&decoded);
    return 0;
}

static mg_json_reader reader_of(mg_str text) {
    mg_json_reader r;
    // Whatever the memory held before must not matter.
    memset(&r, 0xA5, sizeof r);
    mg_json_reader_init(&r, text, &decoded, 0);
    return r;
}

static mg_json_reader reader(const char *text) {
    return reader_of(mg_str_of(text));
}

static void expect_tokens(const char *text, const mg_json_token *want) {
    mg_json_reader r = reader(text);
    for (size_t i = 0;; i++) {
        assert_int_equal(mg_json_next(&r), want[i]);
        if (want[i] == MG_JSON_END || want[i] == MG_JSON_ERROR) {
            return;
        }
    }
}

// Reads `text` to its fault and compares message and place ("offset line:column").
static void expect_fault_of(mg_str text, const char *message, const char *where) {
    mg_json_reader r = reader_of(text);
    mg_json_token token;
    do {
        token = mg_json_next(&r);
        assert_int_not_equal(token, MG_JSON_END);
    } while (token != MG_JSON_ERROR);
    assert_text(message, mg_str_of(r.error));
    mg_json_place place = mg_json_where(&r);
    char got[64];
    snprintf(got, sizeof got, "%zu %zu:%zu", place.offset, place.line, place.column);
    assert_text(where, mg_str_of(got));
    assert_int_equal(mg_json_next(&r), MG_JSON_ERROR);
}

static void expect_fault(const char *text, const char *message, const char *where) {
    expect_fault_of(mg_str_of(text), message, where);
}

static void expect_decoded(const char *text, const char *want, size_t n) {
    mg_json_reader r = reader(text);
    assert_int_equal(mg_json_next(&r), MG_JSON_STRING);
    assert_int_equal(r.text.n, n);
    assert_memory_equal(r.text.p, want, n);
    assert_int_equal(mg_json_next(&r), MG_JSON_END);
}

static void expect_double(const char *text, double want) {
    mg_json_reader r = reader(text);
    assert_int_equal(mg_json_next(&r), MG_JSON_DOUBLE);
    assert_memory_equal(&r.number, &want, sizeof want);
    assert_int_equal(mg_json_next(&r), MG_JSON_END);
}

static void gives_the_tokens_of_a_document(void **state) {
    (void)state;
    expect_tokens(" { \"a\" : [ 1 , null, {} ],\r\n\t\"b\":true } ",
                  (mg_json_token[]){MG_JSON_OBJECT, MG_JSON_KEY, MG_JSON_ARRAY, MG_JSON_I64,
                                    MG_JSON_NULL, MG_JSON_OBJECT, MG_JSON_OBJECT_END,
                                    MG_JSON_ARRAY_END, MG_JSON_KEY, MG_JSON_TRUE,
                                    MG_JSON_OBJECT_END, MG_JSON_END});
    expect_tokens("[[],[false]]", (mg_json_token[]){MG_JSON_ARRAY, MG_JSON_ARRAY, MG_JSON_ARRAY_END,
                                                    MG_JSON_ARRAY, MG_JSON_FALSE, MG_JSON_ARRAY_END,
                                                    MG_JSON_ARRAY_END, MG_JSON_END});
}

static void the_end_comes_again_and_again(void **state) {
    (void)state;
    mg_json_reader r = reader("1");
    assert_int_equal(mg_json_next(&r), MG_JSON_I64);
    assert_int_equal(mg_json_next(&r), MG_JSON_END);
    assert_int_equal(mg_json_next(&r), MG_JSON_END);
}

static void integers_are_exact(void **state) {
    (void)state;
    mg_json_reader r =
        reader("[0, -1, 9007199254740993, 9223372036854775807, -9223372036854775808]");
    static const int64_t want[] = {0, -1, 9007199254740993, INT64_MAX, INT64_MIN};
    assert_int_equal(mg_json_next(&r), MG_JSON_ARRAY);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(mg_json_next(&r), MG_JSON_I64);
        assert_true(r.i64 == want[i]);
    }
    r = reader("9223372036854775808");
    assert_int_equal(mg_json_next(&r), MG_JSON_U64);
    assert_true(r.u64 == (uint64_t)INT64_MAX + 1);
    r = reader("18446744073709551615");
    assert_int_equal(mg_json_next(&r), MG_JSON_U64);
    assert_true(r.u64 == UINT64_MAX);
}

static void other_numbers_are_the_nearest_double(void **state) {
    (void)state;
    expect_double("18446744073709551616", 18446744073709551616.0);
    expect_double("-9223372036854775809", -9223372036854775808.0);
    expect_double("-0", -0.0);
    expect_double("0.0", 0.0);
    expect_double("-0.5", -0.5);
    expect_double("1.1", 1.1);
    expect_double("1e3", 1000);
    expect_double("1E+3", 1000);
    expect_double("25e-1", 2.5);
    expect_double("123456.789e3", 123456789);
    expect_double("9007199254740993.0", 9007199254740992.0);
    // 2^53 + 1 is not exact: taken for 2^53 it would be one step too low after the multiplication.
    expect_double("9007199254740993e11", 900719925474099300000000000.0);
    expect_double("0.1234567890123456789012345678901234567890", 0.12345678901234568);
    expect_double("1.7976931348623157e308", 1.7976931348623157e308);
    expect_double("5e-324", 5e-324);
    expect_double("1e-400", 0);
    expect_double("1e-99999999999999999999", 0);
    expect_double("0e99999999999999999999", 0);
    expect_double("2.2250738585072011e-308", 2.2250738585072011e-308);
    expect_double("1"
                  "00000000000000000000000000000000000000000000000000000000000000000000000000.5",
                  1e74);
}

static void texts_are_cut_and_numbers_are_doubles(void **state) {
    (void)state;
    char text[5];
    mg_json_reader r = reader("[\"gate\",\"gates\",\"\",-7,18446744073709551615,0.5,true]");
    (void)mg_json_next(&r);
    static const char *const texts[] = {"gate", "gate", ""};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(mg_json_next(&r), MG_JSON_STRING);
        mg_json_copy_text(&r, text, sizeof text);
        assert_string_equal(text, texts[i]);
    }
    static const double numbers[] = {-7, 18446744073709551615.0, 0.5, 0};
    for (size_t i = 0; i < 4; i++) {
        mg_json_token t = mg_json_next(&r);
        assert_true(mg_json_double(&r, t) == numbers[i]);
    }
}

static void refuses_numbers_beyond_double(void **state) {
    (void)state;
    expect_fault("1e309", "the number is too large", "0 1:1");
    expect_fault("[-1e309]", "the number is too large", "1 1:2");
    expect_fault("1e99999999999999999999", "the number is too large", "0 1:1");
    char digits[400];
    memset(digits, '9', sizeof digits);
    expect_fault_of((mg_str){digits, sizeof digits}, "the number is too large", "0 1:1");
}

static void refuses_malformed_numbers(void **state) {
    (void)state;
    expect_fault("-", "the text ends too early", "1 1:2");
    expect_fault("-a", "malformed number", "1 1:2");
    expect_fault("[1.]", "malformed number", "3 1:4");
    expect_fault("[1.e3]", "malformed number", "3 1:4");
    expect_fault("[1e]", "malformed number", "3 1:4");
    expect_fault("1e+", "the text ends too early", "3 1:4");
    expect_fault("+1", "expected a value", "0 1:1");
    expect_fault(".5", "expected a value", "0 1:1");
    expect_fault("01", "something follows the value", "1 1:2");
    expect_fault("[-01]", "expected ',' or ']'", "3 1:4");
    expect_fault("[0x10]", "expected ',' or ']'", "2 1:3");
    expect_fault("NaN", "expected a value", "0 1:1");
    expect_fault("-Infinity", "malformed number", "1 1:2");
}

static void strings_without_escapes_point_into_the_input(void **state) {
    (void)state;
    const char *text = "\"gr\xC3\xBC\xC3\x9F dich\x7F\"";
    mg_json_reader r = reader(text);
    assert_int_equal(mg_json_next(&r), MG_JSON_STRING);
    assert_ptr_equal(r.text.p, text + 1);
    assert_int_equal(r.text.n, strlen(text) - 2);
}

static void escapes_are_decoded(void **state) {
    (void)state;
    expect_decoded("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
    expect_decoded("\"a long run before \\u0041\\u00e4\\u20AC and one behind\"",
                   "a long run before A\xC3\xA4\xE2\x82\xAC and one behind", 39);
    expect_decoded("\"\\uD83C\\uDF15\"", "\xF0\x9F\x8C\x95", 4);
    expect_decoded("\"\\uFFFF\\u0000\"", "\xEF\xBF\xBF\0", 4);
    expect_decoded("\"\"", "", 0);
}

static void each_string_has_its_own_decoding(void **state) {
    (void)state;
    mg_json_reader r = reader("{\"\\u0061\":\"\\u0062\"}");
    assert_int_equal(mg_json_next(&r), MG_JSON_OBJECT);
    assert_int_equal(mg_json_next(&r), MG_JSON_KEY);
    assert_text("a", r.text);
    assert_int_equal(mg_json_next(&r), MG_JSON_STRING);
    assert_text("b", r.text);
}

static void refuses_wrong_escapes(void **state) {
    (void)state;
    expect_fault("\"ab\\x\"", "unknown escape", "3 1:4");
    expect_fault("\"\\", "unknown escape", "1 1:2");
    expect_fault("\"\\u12", "four hex digits must follow \\u", "1 1:2");
    expect_fault("\"\\u12G4\"", "four hex digits must follow \\u", "1 1:2");
    expect_fault("\"\\U0041\"", "unknown escape", "1 1:2");
    expect_fault_of(MG_STR("\"\\\0\""), "unknown escape", "1 1:2");
}

static void refuses_lone_surrogates(void **state) {
    (void)state;
    expect_fault("\"\\uD83C\"", "lone surrogate", "1 1:2");
    expect_fault("\"\\uDF15\\uD83C\"", "lone surrogate", "1 1:2");
    expect_fault("\"\\uD83C\\u0041\"", "lone surrogate", "1 1:2");
    expect_fault("\"\\uD83C\\uD83C\"", "lone surrogate", "1 1:2");
    expect_fault("\"\\uD83Cx\"", "lone surrogate", "1 1:2");
    expect_fault("\"\\uDBFF\\uE000\"", "lone surrogate", "1 1:2");
    expect_fault("\"\xED\xA0\x80\"", "invalid UTF-8", "1 1:2");
}

// The scanner looks at words of eight bytes: a fault must be found at each place within one.
static void finds_faults_at_every_place_of_a_word(void **state) {
    (void)state;
    static const struct {
        char byte;
        const char *message;
    } faults[] = {{'\x1F', "control character in a string"},
                  {'\0', "control character in a string"},
                  {'\n', "control character in a string"},
                  {'\x80', "invalid UTF-8"},
                  {'\xFF', "invalid UTF-8"},
                  {'\\', "unknown escape"}};
    for (size_t f = 0; f < sizeof faults / sizeof *faults; f++) {
        for (size_t at = 1; at < 30; at++) {
            char text[32];
            memset(text, '~', sizeof text);
            text[0] = '"';
            text[31] = '"';
            text[at] = faults[f].byte;
            char where[16];
            snprintf(where, sizeof where, "%zu 1:%zu", at, at + 1);
            expect_fault_of((mg_str){text, 32}, faults[f].message, where);
        }
    }
}

static void finds_the_end_at_every_place_of_a_word(void **state) {
    (void)state;
    for (size_t n = 0; n < 40; n++) {
        char text[44];
        memset(text, ' ', sizeof text);
        text[0] = '"';
        text[n + 1] = '"';
        mg_json_reader r = reader_of((mg_str){text, sizeof text});
        assert_int_equal(mg_json_next(&r), MG_JSON_STRING);
        assert_int_equal(r.text.n, n);
        assert_int_equal(mg_json_next(&r), MG_JSON_END);
    }
}

static void refuses_texts_that_end_too_early(void **state) {
    (void)state;
    static const char text[] = "{\"a\\n\":[1.5e1,\"\xC3\xA4\",true,null,{\"b\":false}]}";
    for (size_t n = 0; n < sizeof text - 1; n++) {
        // Exactly as large as the input, so that a sanitizer sees a read beyond it.
        char *cut = malloc(n == 0 ? 1 : n);
        memcpy(cut, text, n);
        mg_json_reader r = reader_of((mg_str){cut, n});
        mg_json_token token;
        do {
            token = mg_json_next(&r);
            assert_int_not_equal(token, MG_JSON_END);
        } while (token != MG_JSON_ERROR);
        free(cut);
    }
    expect_fault_of((mg_str){0}, "the text ends too early", "0 1:1");
    expect_fault("[1,", "the text ends too early", "3 1:4");
    expect_fault("\"abc", "the text ends too early", "4 1:5");
}

static void refuses_wrong_structure(void **state) {
    (void)state;
    expect_fault("[1,]", "expected a value", "3 1:4");
    expect_fault("[,1]", "expected a value", "1 1:2");
    expect_fault("[1 2]", "expected ',' or ']'", "3 1:4");
    expect_fault("[1}", "expected ',' or ']'", "2 1:3");
    expect_fault("{\"a\":1,}", "expected a key in quotes", "7 1:8");
    expect_fault("{a:1}", "expected a key in quotes", "1 1:2");
    expect_fault("{1:1}", "expected a key in quotes", "1 1:2");
    expect_fault("{\"a\" 1}", "expected ':' behind the key", "5 1:6");
    expect_fault("{\"a\":}", "expected a value", "5 1:6");
    expect_fault("{\"a\":1]", "expected ',' or '}'", "6 1:7");
    expect_fault("]", "expected a value", "0 1:1");
    expect_fault("nul", "expected a value", "0 1:1");
    expect_fault("True", "expected a value", "0 1:1");
    expect_fault("truex", "something follows the value", "4 1:5");
    expect_fault("{} {}", "something follows the value", "3 1:4");
    expect_fault("\xEF\xBB\xBF", "the text ends too early", "3 1:4");
    expect_fault("\xEF\xBB{}", "expected a value", "0 1:1");
    expect_fault("\xEF\xBB\xBF\xEF\xBB\xBF{}", "expected a value", "3 1:4");
    expect_fault("[1\f]", "expected ',' or ']'", "2 1:3");
    expect_fault("[1] // no", "something follows the value", "4 1:5");
    expect_fault_of(MG_STR("1\0"), "something follows the value", "1 1:2");
    expect_fault("'a'", "expected a value", "0 1:1");
}

static void counts_lines_and_columns(void **state) {
    (void)state;
    expect_fault("{\n  \"a\": 1,\r\n  \"b\": x\n}", "expected a value", "20 3:8");
}

static void refuses_to_nest_beyond_its_limit(void **state) {
    (void)state;
    char text[2 * MG_JSON_DEPTH_MAX + 4];
    static const unsigned limits[] = {1, 63, 64, 65, 128, 1024};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        unsigned depth = limits[i];
        memset(text, '[', depth + 1);
        memset(text + depth + 1, ']', depth + 1);
        mg_json_reader r;
        mg_json_reader_init(&r, (mg_str){text + 1, 2 * depth}, &decoded, depth);
        for (unsigned t = 0; t < 2 * depth; t++) {
            assert_int_equal(mg_json_next(&r), t < depth ? MG_JSON_ARRAY : MG_JSON_ARRAY_END);
        }
        assert_int_equal(mg_json_next(&r), MG_JSON_END);
        mg_json_reader_init(&r, (mg_str){text, 2 * depth + 2}, &decoded, depth);
        for (unsigned t = 0; t < depth; t++) {
            assert_int_equal(mg_json_next(&r), MG_JSON_ARRAY);
        }
        assert_int_equal(mg_json_next(&r), MG_JSON_ERROR);
        assert_string_equal(r.error, "nested too deep");
    }
}

static void remembers_the_kind_of_each_level(void **state) {
    (void)state;
    mg_buf text = {0};
    for (unsigned i = 0; i < 64; i++) {
        mg_buf_append_str(&text, MG_STR("{\"a\":["));
    }
    for (unsigned i = 0; i < 64; i++) {
        mg_buf_append_str(&text, MG_STR("]}"));
    }
    mg_json_reader r = reader_of(mg_buf_str(&text));
    mg_json_token token;
    do {
        token = mg_json_next(&r);
        assert_int_not_equal(token, MG_JSON_ERROR);
    } while (token != MG_JSON_END);
    mg_buf_deinit(&text);
}

static void writes_strings_with_escapes(void **state) {
    (void)state;
    mg_buf b = {0};
    assert_int_equal(mg_json_write_string(&b, MG_STR("a\"b\\c/\b\f\n\r\t\0\x1F\x7F")), MG_OK);
    assert_text("\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0000\\u001f\x7F\"", mg_buf_str(&b));
    mg_buf_clear(&b);
    assert_int_equal(mg_json_write_string(&b, (mg_str){0}), MG_OK);
    assert_text("\"\"", mg_buf_str(&b));
    mg_buf_clear(&b);
    assert_int_equal(mg_json_write_string(&b, MG_STR("gr\xC3\xBC\xC3\x9F\xE2\x82\xAC")), MG_OK);
    assert_text("\"gr\xC3\xBC\xC3\x9F\xE2\x82\xAC\"", mg_buf_str(&b));
    mg_buf_deinit(&b);
}

static void writing_broken_utf8_appends_nothing(void **state) {
    (void)state;
    mg_buf b = {0};
    mg_buf_append_str(&b, MG_STR("kept"));
    assert_int_equal(mg_json_write_string(&b, MG_STR("good\n\xFFnot")), MG_ESYNTAX);
    assert_int_equal(mg_json_write_string(&b, MG_STR("\xED\xA0\x80")), MG_ESYNTAX);
    assert_text("kept", mg_buf_str(&b));
    mg_buf_deinit(&b);
}

static void writes_integers(void **state) {
    (void)state;
    mg_buf b = {0};
    mg_json_write_i64(&b, 0);
    mg_buf_append_char(&b, ' ');
    mg_json_write_i64(&b, INT64_MIN);
    mg_buf_append_char(&b, ' ');
    mg_json_write_i64(&b, INT64_MAX);
    mg_buf_append_char(&b, ' ');
    mg_json_write_u64(&b, UINT64_MAX);
    assert_text("0 -9223372036854775808 9223372036854775807 18446744073709551615", mg_buf_str(&b));
    mg_buf_deinit(&b);
}

static void expect_written(double v, const char *want) {
    mg_buf b = {0};
    assert_int_equal(mg_json_write_double(&b, v), MG_OK);
    assert_text(want, mg_buf_str(&b));
    mg_buf_deinit(&b);
}

static void writes_the_shortest_double(void **state) {
    (void)state;
    expect_written(0, "0");
    expect_written(-0.0, "-0");
    expect_written(-42, "-42");
    expect_written(999999999999999, "999999999999999");
    expect_written(1e15, "1000000000000000");
    expect_written(1700000000123456, "1700000000123456");
    expect_written(-9007199254740991, "-9007199254740991");
    expect_written(9007199254740992, "9007199254740992");
    expect_written(9007199254740994, "9007199254740994");
    expect_written(1e16, "1e+16");
    expect_written(0.5, "0.5");
    expect_written(-12.34, "-12.34");
    expect_written(1.005, "1.005");
    expect_written(1763882541.123, "1763882541.123");
    expect_written(0.1 + 0.2, "0.30000000000000004");
    expect_written(1.0 / 3, "0.3333333333333333");
    expect_written(0.0001, "0.0001");
    expect_written(1e-7, "1e-07");
    expect_written(1e300, "1e+300");
    expect_written(1.7976931348623157e308, "1.7976931348623157e+308");
    expect_written(5e-324, "5e-324");
    expect_written(2.2250738585072011e-308, "2.225073858507201e-308");
}

// The counts are those of the Encoding standard's decoder.
static void puts_a_replacement_for_what_is_no_utf8(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        const char *want;
    } cases[] = {
        {"", "\"\""},
        {"gr\xC3\xBC\xC3\x9F \"\n", "\"gr\xC3\xBC\xC3\x9F \\\"\\n\""},
        {"\xFF", "\"\xEF\xBF\xBD\""},
        {"a\xFF\xFE.b", "\"a\xEF\xBF\xBD\xEF\xBF\xBD.b\""},
        {"caf\xE9", "\"caf\xEF\xBF\xBD\""},
        {"\xE2\x82", "\"\xEF\xBF\xBD\""},
        {"\xE2\x82\"", "\"\xEF\xBF\xBD\\\"\""},
        {"\xF0\x9F\x98x", "\"\xEF\xBF\xBDx\""},
        {"\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mg_buf b = {0};
        mg_json_write_replaced(&b, mg_str_of(cases[i].bytes));
        assert_text(cases[i].want, mg_buf_str(&b));
        mg_buf_deinit(&b);
    }
}

static void writes_no_infinity_and_no_nan(void **state) {
    (void)state;
    mg_buf b = {0};
    assert_int_equal(mg_json_write_double(&b, INFINITY), MG_ESYNTAX);
    assert_int_equal(mg_json_write_double(&b, -INFINITY), MG_ESYNTAX);
    assert_int_equal(mg_json_write_double(&b, NAN), MG_ESYNTAX);
    assert_int_equal(b.n, 0);
    mg_buf_deinit(&b);
}

static uint64_t next_random(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void expect_round_trip(double v) {
    mg_buf b = {0};
    assert_int_equal(mg_json_write_double(&b, v), MG_OK);
    mg_json_reader r = reader_of(mg_buf_str(&b));
    mg_json_token token = mg_json_next(&r);
    double got = token == MG_JSON_I64 ? (double)r.i64 : r.number;
    assert_true(token == MG_JSON_I64 || token == MG_JSON_DOUBLE);
    assert_memory_equal(&got, &v, sizeof v);
    mg_buf_deinit(&b);
}

static void doubles_survive_writing_and_reading(void **state) {
    (void)state;
    uint64_t seed = 88172645463325252u;
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = next_random(&seed);
        double v;
        memcpy(&v, &bits, sizeof v);
        if (isfinite(v)) {
            expect_round_trip(v);
        }
        expect_round_trip((double)(int64_t)bits / 1e4);
        expect_round_trip((double)(bits >> 40) / 1000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_tokens_of_a_document),
        cmocka_unit_test(the_end_comes_again_and_again),
        cmocka_unit_test(integers_are_exact),
        cmocka_unit_test(other_numbers_are_the_nearest_double),
        cmocka_unit_test(refuses_numbers_beyond_double),
        cmocka_unit_test(texts_are_cut_and_numbers_are_doubles),
        cmocka_unit_test(refuses_malformed_numbers),
        cmocka_unit_test(strings_without_escapes_point_into_the_input),
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(each_string_has_its_own_decoding),
        cmocka_unit_test(refuses_wrong_escapes),
        cmocka_unit_test(refuses_lone_surrogates),
        cmocka_unit_test(finds_faults_at_every_place_of_a_word),
        cmocka_unit_test(finds_the_end_at_every_place_of_a_word),
        cmocka_unit_test(refuses_texts_that_end_too_early),
        cmocka_unit_test(refuses_wrong_structure),
        cmocka_unit_test(counts_lines_and_columns),
        cmocka_unit_test(refuses_to_nest_beyond_its_limit),
        cmocka_unit_test(remembers_the_kind_of_each_level),
        cmocka_unit_test(writes_strings_with_escapes),
        cmocka_unit_test(writing_broken_utf8_appends_nothing),
        cmocka_unit_test(writes_integers),
        cmocka_unit_test(writes_the_shortest_double),
        cmocka_unit_test(puts_a_replacement_for_what_is_no_utf8),
        cmocka_unit_test(writes_no_infinity_and_no_nan),
        cmocka_unit_test(doubles_survive_writing_and_reading),
    };
    return cmocka_run_group_tests(tests, NULL, deinit);
}
