// Whatever a peer of HTTP/2 sends, both ends tell their owner the same, however it is cut; nothing
// is told of a stream behind its end; what is sent keeps within the windows, and is whole frames.
// The first byte chooses the end, the second the pieces.
#include "h2_rig.h"
#include "http/h2_inside.h"

static void must_be_frames(mg_str out, bool client) {
    mg_str_skip(&out, client ? sizeof MG_H2_PREFACE - 1 : 0);
    while (out.n > 0) {
        must(out.n >= MG_H2_FRAME_HEADER);
        const uint8_t *p = (const uint8_t *)out.p;
        size_t n = MG_H2_FRAME_HEADER + ((size_t)p[0] << 16 | mg_h2_get16(p + 1));
        must(n <= out.n && n <= MG_H2_FRAME_HEADER + MG_H2_FRAME_MAX);
        mg_str_skip(&out, n);
    }
}

// The connection's window: what has come is stored, or will be given back.
static void must_lose_no_window(const mg_h2 *h) {
    uint64_t stored = 0;
    for (uint32_t i = 0; i < h->streams.count; i++) {
        stored += h->streams.at[i]->stored;
    }
    int64_t left = h->phase == MG_H2_IN_DATA ? h->frame.left : 0; // DATA that has not come yet
    must(h->receive_left + (int64_t)h->taken + (int64_t)stored + left ==
         (int64_t)h->limits->connection_window);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    bool client = (data[0] & 1) != 0;
    mg_str input = {(const char *)data + 2, size - 2};
    h2_rig *whole = mg_malloc(sizeof *whole);
    h2_rig *cut = mg_malloc(sizeof *cut);
    rig_init(whole, client);
    rig_init(cut, client);
    rig_play(whole, input, 0);
    rig_play(cut, input, data[1] % 32 + 1);
    must(mg_str_eq(mg_buf_str(&whole->log), mg_buf_str(&cut->log)));
    must(whole->h.over == cut->h.over);
    if (!whole->h.over) {
        must_lose_no_window(&whole->h);
        must_lose_no_window(&cut->h);
    }
    rig_send(whole);
    must_be_frames(mg_buf_str(&whole->out), client);
    must_be_frames(mg_buf_str(&cut->out), client);
    rig_deinit(whole);
    rig_deinit(cut);
    mg_free(whole);
    mg_free(cut);
    return 0;
}
