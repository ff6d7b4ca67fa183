#include "http/inflate.h"

#include "base/mem.h"

#include <zlib.h>

enum { PIECE = 16384, GZIP_BITS = 15 + 16, ZLIB_BITS = 15, RAW_BITS = -15 };

struct mg_inflate {
    z_stream z;
    mg_coding coding;
    uint8_t head[2]; // of a deflate stream, until it is clear whether it is wrapped
    uint8_t head_n;
    bool begun;
    bool ended;
    bool padded; // zeros have come behind the end
};

mg_coding mg_coding_of(mg_str field) {
    field = mg_str_trim(field);
    if (field.n == 0 || mg_str_ieq(field, MG_STR("identity"))) {
        return MG_CODING_IDENTITY;
    }
    if (mg_str_ieq(field, MG_STR("gzip")) || mg_str_ieq(field, MG_STR("x-gzip"))) {
        return MG_CODING_GZIP;
    }
    return mg_str_ieq(field, MG_STR("deflate")) ? MG_CODING_DEFLATE : MG_CODING_OTHER;
}

mg_inflate *mg_inflate_new(mg_coding coding) {
    mg_inflate *z = mg_calloc(1, sizeof *z);
    z->coding = coding;
    return z;
}

void mg_inflate_free(mg_inflate *z) {
    if (z != NULL && z->begun) {
        inflateEnd(&z->z);
    }
    mg_free(z);
}

static int begin(mg_inflate *z, int bits) {
    z->begun = inflateInit2(&z->z, bits) == Z_OK;
    return z->begun ? MG_OK : MG_ESYNTAX;
}

// The first two bytes of a zlib stream: method 8, a window that there is, a multiple of 31.
static bool is_wrapped(const uint8_t head[2]) {
    return (head[0] & 0x0f) == 8 && head[0] >> 4 <= 7 && (head[0] << 8 | head[1]) % 31 == 0;
}

// Zeros fill a block up, behind the last member (gzip's manual): they are no content.
static void skip_padding(mg_inflate *z) {
    while (z->z.avail_in > 0 && *z->z.next_in == 0) {
        z->padded = true;
        z->z.next_in++;
        z->z.avail_in--;
    }
}

// Behind the end of a gzip member another one may follow (RFC 1952 section 2.2).
static bool goes_on(mg_inflate *z) {
    if (!z->ended) {
        return true;
    }
    if (z->coding != MG_CODING_GZIP) {
        return false;
    }
    skip_padding(z);
    if (z->padded || z->z.avail_in == 0) {
        return false;
    }
    z->ended = inflateReset(&z->z) != Z_OK;
    return !z->ended;
}

static int run(mg_inflate *z, mg_str data, mg_buf *out, size_t max_bytes) {
    z->z.next_in = (Bytef *)(uintptr_t)data.p;
    z->z.avail_in = (uInt)data.n;
    while (goes_on(z)) {
        // One byte more than is allowed tells that there is more.
        size_t left = max_bytes > out->n ? max_bytes - out->n : 0;
        size_t room = left < PIECE ? left + 1 : PIECE;
        z->z.next_out = (Bytef *)mg_buf_reserve(out, room);
        z->z.avail_out = (uInt)room;
        int rc = inflate(&z->z, Z_NO_FLUSH);
        size_t made = room - z->z.avail_out;
        if (made > left) {
            out->n += left;
            return MG_ELIMIT;
        }
        out->n += made;
        if (rc == Z_BUF_ERROR || (rc == Z_OK && z->z.avail_in == 0 && z->z.avail_out > 0)) {
            return MG_OK;
        }
        if (rc != Z_OK && rc != Z_STREAM_END) {
            return MG_ESYNTAX;
        }
        z->ended = rc == Z_STREAM_END;
    }
    return z->z.avail_in == 0 ? MG_OK : MG_ESYNTAX;
}

// Holds the first two bytes of a deflate stream back until both are there.
static int begin_deflate(mg_inflate *z, mg_str *data, mg_buf *out, size_t max_bytes) {
    while (z->head_n < 2 && data->n > 0) {
        z->head[z->head_n++] = (uint8_t)*data->p++;
        data->n--;
    }
    if (z->head_n < 2) {
        return MG_OK;
    }
    int rc = begin(z, is_wrapped(z->head) ? ZLIB_BITS : RAW_BITS);
    return rc == MG_OK ? run(z, (mg_str){(const char *)z->head, 2}, out, max_bytes) : rc;
}

int mg_inflate_feed(mg_inflate *z, mg_str data, mg_buf *out, size_t max_bytes) {
    int rc = MG_OK;
    if (data.n > UINT32_MAX) {
        return MG_ELIMIT;
    }
    if (!z->begun && data.n > 0) {
        rc = z->coding == MG_CODING_GZIP ? begin(z, GZIP_BITS)
                                         : begin_deflate(z, &data, out, max_bytes);
    }
    return rc == MG_OK && data.n > 0 && z->begun ? run(z, data, out, max_bytes) : rc;
}

bool mg_inflate_complete(const mg_inflate *z) {
    return z->ended || (!z->begun && z->head_n == 0); // an empty body needs no decoding
}
