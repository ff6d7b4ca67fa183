// Replies come alike whole and in pieces; what was read is read again from what is written of it;
// limits hold.
#include "base/buf.h"
#include "fuzz.h"
#include "store/redis_codec.h"

#include <string.h>

enum { BYTES = 4096, VALUES = 256 };

static const mg_redis_limits limits = {BYTES, VALUES};

static void write_text(mg_buf *out, char type, mg_str text) {
    mg_buf_printf(out, "%c%zu\r\n", type, text.n);
    mg_buf_append_str(out, text);
    mg_buf_append_str(out, MG_STR("\r\n"));
}

static void write_value(mg_buf *out, const mg_redis_reply *r, const mg_redis_value *v) {
    switch ((mg_redis_type)v->type) {
    case MG_REDIS_NULL:
        mg_buf_append_str(out, MG_STR("_\r\n"));
        break;
    case MG_REDIS_STRING:
        write_text(out, '$', mg_redis_text(r, v));
        break;
    case MG_REDIS_ERROR:
        write_text(out, '!', mg_redis_text(r, v));
        break;
    case MG_REDIS_INTEGER:
        mg_buf_printf(out, ":%lld\r\n", (long long)v->integer);
        break;
    case MG_REDIS_DOUBLE:
        mg_buf_printf(out, ",%.17g\r\n", v->number);
        break;
    case MG_REDIS_BOOLEAN:
        mg_buf_printf(out, "#%c\r\n", v->integer ? 't' : 'f');
        break;
    case MG_REDIS_NUMBER:
        mg_buf_append_char(out, '(');
        mg_buf_append_str(out, mg_redis_text(r, v));
        mg_buf_append_str(out, MG_STR("\r\n"));
        break;
    default:
        mg_buf_printf(out, "%c%u\r\n", "*%~>"[v->type - MG_REDIS_ARRAY],
                      v -> type == MG_REDIS_MAP ? v -> n / 2 : v -> n);
    }
}

static void write_reply(mg_buf *out, const mg_redis_reply *r) {
    size_t bytes = 0;
    must(r->count <= VALUES);
    if (r->count == 0) {
        mg_buf_append_str(out, MG_STR("+lost\r\n"));
        return;
    }
    must(mg_redis_behind(r, 0) == r->count);
    for (uint32_t i = 0; i < r->count; i++) {
        bytes += mg_redis_is_text(&r->values[i]) ? r->values[i].n : 0;
        write_value(out, r, &r->values[i]);
    }
    must(bytes <= BYTES);
}

// What is written of all replies; `*fault` tells how it ended.
static mg_buf read_all(const char *data, size_t size, size_t piece, const char **fault) {
    mg_redis_reader reader = {.limits = limits};
    mg_buf out = {0};
    *fault = NULL;
    for (size_t at = 0; at < size && *fault == NULL; at += piece) {
        mg_str in = {data + at, piece < size - at ? piece : size - at};
        mg_redis_reply reply;
        while (mg_redis_read(&reader, &in, &reply, fault)) {
            write_reply(&out, &reply);
        }
        must(*fault != NULL || in.n == 0);
    }
    mg_redis_reader_deinit(&reader);
    return out;
}

static void must_be_same(const mg_buf *a, const mg_buf *b) {
    must(mg_str_eq(mg_buf_str(a), mg_buf_str(b)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    const char *fault;
    const char *again;
    mg_buf whole = read_all(text, size, size > 0 ? size : 1, &fault);
    for (size_t piece = 1; piece < size && piece <= 16; piece += 5) {
        mg_buf pieces = read_all(text, size, piece, &again);
        must_be_same(&whole, &pieces);
        must(fault == again);
        mg_buf_deinit(&pieces);
    }
    mg_buf second = read_all(whole.p, whole.n, whole.n > 0 ? whole.n : 1, &again);
    must(again == NULL);
    must_be_same(&whole, &second);
    mg_buf_deinit(&second);
    mg_buf_deinit(&whole);
    return 0;
}
