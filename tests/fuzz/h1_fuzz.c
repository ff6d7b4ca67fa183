// The same bytes are read as the same requests, and refused with the same status, however they are
// split. The first byte chooses the pieces.
#include "fuzz.h"
#include "h1_rig.h"

static void read_in_pieces(mg_str input, unsigned seed, mg_buf *out) {
    h1_rig r;
    rig_init(&r, out);
    size_t at = 0;
    while (at < input.n) {
        seed = seed * 1103515245u + 12345u;
        size_t n = seed % 251 == 0 ? input.n - at : 1 + (seed >> 16) % 9;
        n = n < input.n - at ? n : input.n - at;
        // A copy of its own, so that a read beyond the piece is seen.
        char *piece = malloc(n);
        must(piece != NULL);
        memcpy(piece, input.p + at, n);
        rig_feed(&r, piece, n);
        free(piece);
        at += n;
    }
    rig_deinit(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    mg_str input = {(const char *)data + 1, size - 1};
    mg_buf whole = {0};
    mg_buf split = {0};
    h1_rig r;
    rig_init(&r, &whole);
    rig_feed(&r, input.p, input.n);
    rig_deinit(&r);
    read_in_pieces(input, data[0], &split);
    must(mg_str_eq(mg_buf_str(&whole), mg_buf_str(&split)));
    mg_buf_deinit(&whole);
    mg_buf_deinit(&split);
    return 0;
}
