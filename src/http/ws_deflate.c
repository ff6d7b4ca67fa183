#include "http/ws_deflate.h"

#include "base/mem.h"

#include <zlib.h>

enum {
    PIECE = 16384,
    RAW_BITS = -15,
    LEVEL = 1, // what compresses in this place is a loop that others wait for
    MEM_LEVEL = 8,
    AT_BLOCK = 128, // of z_stream.data_type: the decoder is between two blocks
};

// The end of a flushed block, which a message does not carry (RFC 7692 section 7.2.1).
static const char flush_end[] = {0, 0, (char)0xff, (char)0xff};

struct mg_ws_deflate {
    z_stream out, in;
    bool out_begun, in_begun;
};

mg_ws_deflate *mg_ws_deflate_new(void) {
    return mg_calloc(1, sizeof(mg_ws_deflate));
}

void mg_ws_deflate_free(mg_ws_deflate *z) {
    if (z != NULL && z->out_begun) {
        deflateEnd(&z->out);
    }
    if (z != NULL && z->in_begun) {
        inflateEnd(&z->in);
    }
    mg_free(z);
}

// --- compressing ---

static bool begin_out(mg_ws_deflate *z) {
    if (z->out_begun) {
        return deflateReset(&z->out) == Z_OK;
    }
    z->out_begun =
        deflateInit2(&z->out, LEVEL, Z_DEFLATED, RAW_BITS, MEM_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK;
    return z->out_begun;
}

bool mg_ws_compress(mg_ws_deflate *z, mg_str message, mg_buf *out) {
    if (message.n <= MG_WS_DEFLATE_ABOVE || message.n > UINT32_MAX || !begin_out(z)) {
        return false;
    }
    // There is room for what is smaller than the message, and no more.
    z->out.next_in = (Bytef *)(uintptr_t)message.p;
    z->out.avail_in = (uInt)message.n;
    z->out.next_out = (Bytef *)mg_buf_reserve(out, message.n);
    z->out.avail_out = (uInt)message.n;
    if (deflate(&z->out, Z_SYNC_FLUSH) != Z_OK || z->out.avail_out == 0) {
        return false;
    }
    out->n += message.n - z->out.avail_out - sizeof flush_end;
    return true;
}

// --- decompressing ---

static bool begin_in(mg_ws_deflate *z) {
    if (z->in_begun) {
        return inflateReset(&z->in) == Z_OK;
    }
    z->in_begun = inflateInit2(&z->in, RAW_BITS) == Z_OK;
    return z->in_begun;
}

// All of `data`, which may end anywhere. Behind a final block, which senders may make, another one
// follows (RFC 7692 section 7.2.3.4).
static int run(z_stream *in, mg_str data, mg_buf *out, size_t end) {
    in->next_in = (Bytef *)(uintptr_t)data.p;
    in->avail_in = (uInt)data.n;
    for (;;) {
        // One byte more than is allowed tells that there is more.
        size_t left = end - out->n;
        size_t room = left < PIECE ? left + 1 : PIECE;
        in->next_out = (Bytef *)mg_buf_reserve(out, room);
        in->avail_out = (uInt)room;
        int rc = inflate(in, Z_SYNC_FLUSH);
        size_t made = room - in->avail_out;
        if (made > left) {
            return MG_ELIMIT;
        }
        out->n += made;
        if (rc == Z_STREAM_END && inflateReset(in) != Z_OK) {
            return MG_ESYNTAX;
        }
        if (rc != Z_OK && rc != Z_BUF_ERROR && rc != Z_STREAM_END) {
            return MG_ESYNTAX;
        }
        if (in->avail_in == 0 && in->avail_out > 0) {
            return MG_OK;
        }
    }
}

int mg_ws_decompress(mg_ws_deflate *z, mg_str data, mg_buf *out, size_t max_bytes) {
    size_t begin = out->n;
    if (data.n == 0) {
        return MG_OK; // some senders make nothing of nothing
    }
    if (data.n > UINT32_MAX || !begin_in(z)) {
        return MG_ELIMIT;
    }
    size_t end = max_bytes < SIZE_MAX - begin ? begin + max_bytes : SIZE_MAX - 1;
    int rc = run(&z->in, data, out, end);
    if (rc == MG_OK) {
        rc = run(&z->in, (mg_str){flush_end, sizeof flush_end}, out, end);
    }
    // Between two blocks, and no bit is left over: what was cut off is amid one.
    if (rc == MG_OK && z->in.data_type != AT_BLOCK) {
        rc = MG_ESYNTAX;
    }
    if (rc != MG_OK) {
        out->n = begin;
    }
    return rc;
}
