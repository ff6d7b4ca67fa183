#include "http/inflate.h"

#include "base/mem.h"
#include "unit.h"

#include <zlib.h>

enum { GZIP = 15 + 16, ZLIB = 15, RAW = -15, MB = 1024 * 1024 };

static void pack(mg_str plain, int bits, mg_buf *out) {
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t most = deflateBound(&z, plain.n) + 64;
    z.next_in = (Bytef *)(uintptr_t)plain.p;
    z.avail_in = (uInt)plain.n;
    z.next_out = (Bytef *)mg_buf_reserve(out, most);
    z.avail_out = (uInt)most;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->n += z.total_out;
    deflateEnd(&z);
}

static mg_coding coding_of(int bits) {
    return bits == GZIP ? MG_CODING_GZIP : MG_CODING_DEFLATE;
}

typedef struct verdict {
    int rc;
    bool complete;
} verdict;

// Feeds pieces of `step` bytes, the first of `first`.
static verdict decode(mg_str data, mg_coding coding, size_t limit, size_t first, size_t step,
                      mg_buf *out) {
    mg_inflate *z = mg_inflate_new(coding);
    verdict v = {.rc = MG_OK};
    for (size_t at = 0, n = first; at <= data.n && v.rc == MG_OK; at += n, n = step) {
        n = n < data.n - at ? n : data.n - at;
        char *piece = mg_malloc(n + 1); // so that a read beyond the piece is seen
        memcpy(piece, data.p + at, n);
        v.rc = mg_inflate_feed(z, (mg_str){piece, n}, out, limit);
        mg_free(piece);
        if (at == data.n) {
            break;
        }
    }
    v.complete = mg_inflate_complete(z);
    mg_inflate_free(z);
    return v;
}

static void check(verdict v, verdict want, mg_str content, mg_buf *out) {
    assert_int_equal(v.rc, want.rc);
    if (want.rc == MG_OK) {
        assert_int_equal(v.complete, want.complete);
    }
    assert_int_equal(out->n, content.n);
    assert_true(mg_str_eq(mg_buf_str(out), content));
    mg_buf_clear(out);
}

// Whole, byte by byte, and split at every byte.
static void gives(mg_str data, mg_coding coding, size_t limit, verdict want, mg_str content) {
    mg_buf out = {0};
    check(decode(data, coding, limit, data.n, data.n, &out), want, content, &out);
    check(decode(data, coding, limit, 1, 1, &out), want, content, &out);
    for (size_t cut = 0; cut <= data.n; cut++) {
        check(decode(data, coding, limit, cut, data.n, &out), want, content, &out);
    }
    mg_buf_deinit(&out);
}

static const verdict whole = {MG_OK, true};
static const verdict cut_off = {MG_OK, false};
static const verdict broken = {MG_ESYNTAX, false};
static const verdict too_large = {MG_ELIMIT, false};
static const int all[] = {GZIP, ZLIB, RAW};

#define PLAIN "a plain text, a plain text, and a plain text again"

static void reads_the_field(void **state) {
    (void)state;
    assert_int_equal(mg_coding_of(MG_STR("")), MG_CODING_IDENTITY);
    assert_int_equal(mg_coding_of((mg_str){NULL, 0}), MG_CODING_IDENTITY);
    assert_int_equal(mg_coding_of(MG_STR("Identity")), MG_CODING_IDENTITY);
    assert_int_equal(mg_coding_of(MG_STR(" GZip\t")), MG_CODING_GZIP);
    assert_int_equal(mg_coding_of(MG_STR("x-gzip")), MG_CODING_GZIP);
    assert_int_equal(mg_coding_of(MG_STR("deflate")), MG_CODING_DEFLATE);
    assert_int_equal(mg_coding_of(MG_STR("gzip, gzip")), MG_CODING_OTHER);
    assert_int_equal(mg_coding_of(MG_STR("br")), MG_CODING_OTHER);
    assert_int_equal(mg_coding_of(MG_STR("gzipx")), MG_CODING_OTHER);
}

static void decodes_gzip_zlib_and_raw_deflate(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        mg_buf data = {0};
        pack(MG_STR(PLAIN), all[i], &data);
        gives(mg_buf_str(&data), coding_of(all[i]), 1000, whole, MG_STR(PLAIN));
        mg_buf_clear(&data);
        pack(MG_STR(""), all[i], &data);
        gives(mg_buf_str(&data), coding_of(all[i]), 1000, whole, MG_STR(""));
        gives(mg_buf_str(&data), coding_of(all[i]), 0, whole, MG_STR(""));
        mg_buf_deinit(&data);
    }
}

static void decodes_members_in_a_row(void **state) {
    (void)state;
    mg_buf data = {0};
    pack(MG_STR("one "), GZIP, &data);
    pack(MG_STR(""), GZIP, &data);
    pack(MG_STR("two"), GZIP, &data);
    gives(mg_buf_str(&data), MG_CODING_GZIP, 7, whole, MG_STR("one two"));
    gives(mg_buf_str(&data), MG_CODING_GZIP, 6, too_large, MG_STR("one tw"));
    gives((mg_str){data.p, data.n - 1}, MG_CODING_GZIP, 7, cut_off, MG_STR("one two"));
    mg_buf_deinit(&data);
}

static void zeros_behind_the_last_gzip_member_are_padding(void **state) {
    (void)state;
    mg_buf data = {0};
    pack(MG_STR("one "), GZIP, &data);
    pack(MG_STR("two"), GZIP, &data);
    mg_buf_append(&data, "\0\0\0\0", 4);
    gives(mg_buf_str(&data), MG_CODING_GZIP, 7, whole, MG_STR("one two"));
    size_t before = data.n;
    mg_buf_append(&data, "x", 1);
    gives(mg_buf_str(&data), MG_CODING_GZIP, 7, broken, MG_STR("one two"));
    data.n = before;
    pack(MG_STR("more"), GZIP, &data);
    gives(mg_buf_str(&data), MG_CODING_GZIP, 11, broken, MG_STR("one two"));
    mg_buf_clear(&data);
    pack(MG_STR("one"), ZLIB, &data);
    mg_buf_append(&data, "\0", 1);
    gives(mg_buf_str(&data), MG_CODING_DEFLATE, 7, broken, MG_STR("one"));
    mg_buf_deinit(&data);
}

static void the_limit_is_exact(void **state) {
    (void)state;
    size_t n = strlen(PLAIN);
    for (size_t i = 0; i < 3; i++) {
        mg_buf data = {0};
        pack(MG_STR(PLAIN), all[i], &data);
        gives(mg_buf_str(&data), coding_of(all[i]), n, whole, MG_STR(PLAIN));
        gives(mg_buf_str(&data), coding_of(all[i]), n - 1, too_large, (mg_str){PLAIN, n - 1});
        gives(mg_buf_str(&data), coding_of(all[i]), 0, too_large, MG_STR(""));
        mg_buf_deinit(&data);
    }
}

static void a_limit_around_one_piece_of_output_is_exact(void **state) {
    (void)state;
    static char plain[40000];
    memset(plain, 'x', sizeof plain);
    for (size_t n = 16382; n <= 16386; n++) {
        mg_buf data = {0};
        pack((mg_str){plain, n}, GZIP, &data);
        gives(mg_buf_str(&data), MG_CODING_GZIP, n, whole, (mg_str){plain, n});
        gives(mg_buf_str(&data), MG_CODING_GZIP, n - 1, too_large, (mg_str){plain, n - 1});
        mg_buf_deinit(&data);
    }
}

static void what_lies_in_the_buffer_counts(void **state) {
    (void)state;
    mg_buf data = {0};
    mg_buf out = {0};
    pack(MG_STR("abc"), ZLIB, &data);
    mg_buf_append(&out, "12", 2);
    assert_int_equal(decode(mg_buf_str(&data), MG_CODING_DEFLATE, 5, data.n, 1, &out).rc, MG_OK);
    assert_text("12abc", mg_buf_str(&out));
    assert_int_equal(decode(mg_buf_str(&data), MG_CODING_DEFLATE, 6, data.n, 1, &out).rc,
                     MG_ELIMIT);
    assert_text("12abca", mg_buf_str(&out));
    assert_int_equal(decode(mg_buf_str(&data), MG_CODING_DEFLATE, 1, data.n, 1, &out).rc,
                     MG_ELIMIT);
    assert_text("12abca", mg_buf_str(&out));
    mg_buf_deinit(&out);
    mg_buf_deinit(&data);
}

static void without_a_limit_all_is_decoded(void **state) {
    (void)state;
    mg_buf data = {0};
    pack(MG_STR(PLAIN), RAW, &data);
    gives(mg_buf_str(&data), MG_CODING_DEFLATE, SIZE_MAX, whole, MG_STR(PLAIN));
    mg_buf_deinit(&data);
}

static void what_is_cut_off_is_not_complete(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        mg_buf data = {0};
        mg_buf out = {0};
        pack(MG_STR(PLAIN), all[i], &data);
        for (size_t n = 1; n < data.n; n++) {
            verdict v = decode((mg_str){data.p, n}, coding_of(all[i]), 1000, n, n, &out);
            assert_int_equal(v.rc, MG_OK);
            assert_false(v.complete);
            mg_buf_clear(&out);
        }
        mg_buf_deinit(&out);
        mg_buf_deinit(&data);
    }
}

static void an_empty_body_is_complete(void **state) {
    (void)state;
    gives(MG_STR(""), MG_CODING_GZIP, 10, whole, MG_STR(""));
    gives(MG_STR(""), MG_CODING_DEFLATE, 10, whole, MG_STR(""));
    mg_inflate *z = mg_inflate_new(MG_CODING_GZIP);
    assert_true(mg_inflate_complete(z));
    mg_inflate_free(z);
    mg_inflate_free(NULL);
}

static void garbage_behind_the_end_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        mg_buf data = {0};
        pack(MG_STR(PLAIN), all[i], &data);
        mg_buf_append(&data, "xyz", 3);
        gives(mg_buf_str(&data), coding_of(all[i]), 1000, broken, MG_STR(PLAIN));
        mg_buf_deinit(&data);
    }
}

static void broken_data_is_refused(void **state) {
    (void)state;
    mg_buf data = {0};
    gives(MG_STR("plain text"), MG_CODING_GZIP, 100, broken, MG_STR(""));
    gives(MG_STR("\xff\xff\xff\xff"), MG_CODING_DEFLATE, 100, broken, MG_STR(""));
    pack(MG_STR("abc"), GZIP, &data);
    gives(mg_buf_str(&data), MG_CODING_DEFLATE, 100, broken, MG_STR(""));
    data.p[data.n - 5] ^= 1; // the checksum
    gives(mg_buf_str(&data), MG_CODING_GZIP, 100, broken, MG_STR("abc"));
    data.p[data.n - 5] ^= 1;
    data.p[data.n - 1] ^= 1; // the length
    gives(mg_buf_str(&data), MG_CODING_GZIP, 100, broken, MG_STR("abc"));
    mg_buf_deinit(&data);
}

static void a_dictionary_that_nobody_has_is_refused(void **state) {
    (void)state;
    gives(MG_STR("\x78\xbb\0\0\0\1\x4b\x04\0"), MG_CODING_DEFLATE, 100, broken, MG_STR(""));
}

// One raw stream in 31 begins with a multiple of it, as a zlib stream does.
static void raw_deflate_is_told_from_zlib_by_more_than_a_multiple(void **state) {
    (void)state;
    int multiples = 0;
    for (int i = 0; i < 500; i++) {
        mg_buf data = {0};
        char plain[16];
        size_t n = (size_t)snprintf(plain, sizeof plain, "%d", i * 7919);
        pack((mg_str){plain, n}, RAW, &data);
        uint8_t first = (uint8_t)data.p[0];
        multiples += first >> 4 <= 7 && (first << 8 | (uint8_t)data.p[1]) % 31 == 0;
        gives(mg_buf_str(&data), MG_CODING_DEFLATE, 100, whole, (mg_str){plain, n});
        mg_buf_deinit(&data);
    }
    assert_true(multiples > 0);
}

static void a_bomb_stops_at_the_limit(void **state) {
    (void)state;
    size_t limit = 100000;
    char *zeros = mg_calloc(1, 10 * MB);
    for (size_t i = 0; i < 3; i++) {
        mg_buf data = {0};
        mg_buf out = {0};
        pack((mg_str){zeros, 10 * MB}, all[i], &data);
        assert_true(data.n < 20000);
        verdict v = decode(mg_buf_str(&data), coding_of(all[i]), limit, data.n, 1, &out);
        assert_int_equal(v.rc, MG_ELIMIT);
        assert_int_equal(out.n, limit);
        assert_true(out.cap <= 2 * limit); // a buffer doubles
        mg_buf_deinit(&out);
        mg_buf_deinit(&data);
    }
    mg_free(zeros);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_field),
        cmocka_unit_test(decodes_gzip_zlib_and_raw_deflate),
        cmocka_unit_test(decodes_members_in_a_row),
        cmocka_unit_test(zeros_behind_the_last_gzip_member_are_padding),
        cmocka_unit_test(the_limit_is_exact),
        cmocka_unit_test(a_limit_around_one_piece_of_output_is_exact),
        cmocka_unit_test(what_lies_in_the_buffer_counts),
        cmocka_unit_test(without_a_limit_all_is_decoded),
        cmocka_unit_test(what_is_cut_off_is_not_complete),
        cmocka_unit_test(an_empty_body_is_complete),
        cmocka_unit_test(garbage_behind_the_end_is_refused),
        cmocka_unit_test(broken_data_is_refused),
        cmocka_unit_test(a_dictionary_that_nobody_has_is_refused),
        cmocka_unit_test(raw_deflate_is_told_from_zlib_by_more_than_a_multiple),
        cmocka_unit_test(a_bomb_stops_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
