// HPACK: the same blocks go to our decoder, whole and in pieces, and to nghttp2's. All take them,
// or none does, and read the same fields. The first byte says how large pieces are, the second
// which size the table gets behind the first block; before each block stands how long it is.
#include "fuzz.h"

#include "base/buf.h"
#include "http/h2_decode.h"

#include <nghttp2/nghttp2.h>

static void note(mg_buf *log, mg_str name, mg_str value) {
    mg_buf_printf(log, "%zu ", name.n);
    mg_buf_append_str(log, name);
    mg_buf_printf(log, " %zu ", value.n);
    mg_buf_append_str(log, value);
}

static bool take(mg_h2_decoder *d, mg_str block, size_t step, mg_buf *log) {
    mg_h2_decoded f;
    do {
        mg_str piece = {block.p, step < block.n ? step : block.n};
        mg_str_skip(&block, piece.n);
        int rc;
        while ((rc = mg_h2_decode(d, &piece, block.n == 0, &f)) == MG_OK) {
            note(log, f.name, f.value);
        }
        if (rc != MG_EAGAIN) {
            return false;
        }
        must(piece.n == 0);
    } while (block.n > 0);
    return true;
}

static bool they_take(nghttp2_hd_inflater *d, mg_str block, mg_buf *log) {
    for (;;) {
        nghttp2_nv field;
        int flags = 0;
        ssize_t used =
            nghttp2_hd_inflate_hd2(d, &field, &flags, (const uint8_t *)block.p, block.n, 1);
        if (used < 0) {
            return false;
        }
        mg_str_skip(&block, (size_t)used);
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
            note(log, (mg_str){(const char *)field.name, field.namelen},
                 (mg_str){(const char *)field.value, field.valuelen});
        }
        if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) {
            nghttp2_hd_inflate_end_headers(d);
            return true;
        }
    }
}

typedef struct three {
    mg_h2_decoder *whole, *cut;
    nghttp2_hd_inflater *theirs;
    size_t step;
} three;

// Whether it was taken.
static bool compare(const three *t, mg_str block) {
    mg_buf whole = {0}, cut = {0}, theirs = {0};
    bool taken = take(t->whole, block, SIZE_MAX, &whole);
    must(take(t->cut, block, t->step, &cut) == taken);
    must(they_take(t->theirs, block, &theirs) == taken);
    must(mg_str_eq(mg_buf_str(&whole), mg_buf_str(&cut)));
    must(mg_str_eq(mg_buf_str(&whole), mg_buf_str(&theirs)));
    mg_buf_deinit(&whole);
    mg_buf_deinit(&cut);
    mg_buf_deinit(&theirs);
    return taken;
}

static bool next_block(mg_str *input, mg_str *block) {
    if (input->n == 0) {
        return false;
    }
    size_t n = (uint8_t)input->p[0];
    mg_str_skip(input, 1);
    *block = (mg_str){input->p, n < input->n ? n : input->n};
    mg_str_skip(input, block->n);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    three t = {mg_h2_decoder_new(), mg_h2_decoder_new(), NULL, data[0] % 32 + 1};
    uint32_t table = (uint32_t)data[1] * 32;
    mg_str input = {(const char *)data + 2, size - 2}, block;
    nghttp2_hd_inflate_new(&t.theirs);
    for (int i = 0; next_block(&input, &block) && compare(&t, block); i++) {
        if (i == 0 && table > 0) {
            mg_h2_decoder_resize(t.whole, table);
            mg_h2_decoder_resize(t.cut, table);
            nghttp2_hd_inflate_change_table_size(t.theirs, table);
        }
        mg_h2_decoder_rest(t.whole);
    }
    mg_h2_decoder_free(t.whole);
    mg_h2_decoder_free(t.cut);
    nghttp2_hd_inflate_del(t.theirs);
    return 0;
}
