#include "http/h2_decode.h"

#include "base/mem.h"

#include <nghttp2/nghttp2.h>

// --- memory: there, or the end of the process ---

static void *on_malloc(size_t n, void *arg) {
    (void)arg;
    return mg_malloc(n);
}

static void on_free(void *p, void *arg) {
    (void)arg;
    mg_free(p);
}

static void *on_calloc(size_t count, size_t n, void *arg) {
    (void)arg;
    return mg_calloc(count, n);
}

static void *on_realloc(void *p, size_t n, void *arg) {
    (void)arg;
    return mg_realloc(p, n);
}

static nghttp2_mem memory = {NULL, on_malloc, on_free, on_calloc, on_realloc};

// --- reading ---

mg_h2_decoder *mg_h2_decoder_new(void) {
    nghttp2_hd_inflater *d = NULL;
    nghttp2_hd_inflate_new2(&d, &memory);
    return d;
}

void mg_h2_decoder_free(mg_h2_decoder *d) {
    if (d != NULL) {
        nghttp2_hd_inflate_del(d);
    }
}

void mg_h2_decoder_resize(mg_h2_decoder *d, uint32_t table) {
    nghttp2_hd_inflate_change_table_size(d, table);
}

int mg_h2_decode(mg_h2_decoder *d, mg_str *in, bool last, mg_str *name, mg_str *value) {
    for (;;) {
        nghttp2_nv field;
        int flags = 0;
        ssize_t used =
            nghttp2_hd_inflate_hd2(d, &field, &flags, (const uint8_t *)in->p, in->n, last);
        if (used < 0) {
            return MG_ESYNTAX;
        }
        mg_str_skip(in, (size_t)used);
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
            *name = (mg_str){(const char *)field.name, field.namelen};
            *value = (mg_str){(const char *)field.value, field.valuelen};
            return MG_OK;
        }
        if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) {
            nghttp2_hd_inflate_end_headers(d);
            return MG_EAGAIN;
        }
        if (in->n == 0 && !last) {
            return MG_EAGAIN;
        }
    }
}
