// Whatever the pieces, the same bytes decode to the same content and verdict, never beyond the
// limit; and what zlib packs is decoded to what it was. The first byte chooses the coding and the
// limit, the second the pieces.
#include "fuzz.h"
#include "http/inflate.h"

#include <zlib.h>

typedef struct result {
    mg_buf out;
    int rc;
    bool complete;
} result;

static int feed_copy(mg_inflate *z, mg_str piece, mg_buf *out, size_t limit) {
    // A copy of its own, so that a read beyond the piece is seen.
    char *copy = malloc(piece.n);
    must(copy != NULL);
    memcpy(copy, piece.p, piece.n);
    int rc = mg_inflate_feed(z, (mg_str){copy, piece.n}, out, limit);
    free(copy);
    return rc;
}

// `seed` 0: in one piece.
static result decode(mg_str input, mg_coding coding, size_t limit, unsigned seed) {
    result r = {.rc = MG_OK};
    mg_inflate *z = mg_inflate_new(coding);
    while (input.n > 0 && r.rc == MG_OK) {
        unsigned draw = seed * 1103515245u + 12345u;
        size_t n = seed == 0 ? input.n : 1 + (draw >> 16) % 7;
        seed = seed == 0 ? 0 : draw | 1;
        n = n < input.n ? n : input.n;
        r.rc = feed_copy(z, (mg_str){input.p, n}, &r.out, limit);
        must(r.out.n <= limit);
        must(r.rc == MG_OK || r.rc == MG_ESYNTAX || (r.rc == MG_ELIMIT && r.out.n == limit));
        input = (mg_str){input.p + n, input.n - n};
    }
    must(r.out.cap <= 512 + 2 * limit);
    r.complete = r.rc == MG_OK && mg_inflate_complete(z);
    mg_inflate_free(z);
    return r;
}

static void check_input(mg_str input, mg_coding coding, size_t limit, unsigned seed) {
    result whole = decode(input, coding, limit, 0);
    result split = decode(input, coding, limit, seed);
    must(whole.rc == split.rc);
    must(whole.complete == split.complete);
    must(mg_str_eq(mg_buf_str(&whole.out), mg_buf_str(&split.out)));
    mg_buf_deinit(&whole.out);
    mg_buf_deinit(&split.out);
}

static mg_buf pack(mg_str plain, int bits) {
    z_stream z = {0};
    mg_buf packed = {0};
    must(deflateInit2(&z, 1, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    size_t most = deflateBound(&z, plain.n);
    z.next_in = (Bytef *)(uintptr_t)plain.p;
    z.avail_in = (uInt)plain.n;
    z.next_out = (Bytef *)mg_buf_reserve(&packed, most);
    z.avail_out = (uInt)most;
    must(deflate(&z, Z_FINISH) == Z_STREAM_END);
    packed.n = z.total_out;
    deflateEnd(&z);
    return packed;
}

static void check_packed(mg_str plain, int bits, unsigned seed) {
    mg_buf packed = pack(plain, bits);
    mg_coding coding = bits > 15 ? MG_CODING_GZIP : MG_CODING_DEFLATE;
    result r = decode(mg_buf_str(&packed), coding, plain.n, seed);
    must(r.rc == MG_OK && r.complete && mg_str_eq(mg_buf_str(&r.out), plain));
    mg_buf_deinit(&r.out);
    r = decode((mg_str){packed.p, packed.n - 1}, coding, plain.n, seed);
    must(r.rc == MG_OK && !r.complete);
    mg_buf_deinit(&r.out);
    if (plain.n > 0) {
        r = decode(mg_buf_str(&packed), coding, plain.n - 1, seed);
        must(r.rc == MG_ELIMIT);
        mg_buf_deinit(&r.out);
    }
    mg_buf_deinit(&packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    mg_str input = {(const char *)data + 2, size - 2};
    unsigned seed = data[1] | 256u;
    size_t limit = (size_t)(data[0] >> 1) * 128;
    check_input(input, data[0] & 1 ? MG_CODING_GZIP : MG_CODING_DEFLATE, limit, seed);
    static const int bits[] = {15 + 16, 15, -15};
    check_packed(input, bits[data[1] % 3], seed);
    return 0;
}
