#include "store/redis_join.h"

#include "base/mem.h"

static void settle(mg_redis_kept *out, uint32_t count) {
    out->reply = (mg_redis_reply){.values = out->values, .count = count, .text = out->text.p};
}

static void make_error(mg_redis_kept *out, const char *text) {
    *out = (mg_redis_kept){.values = mg_malloc(sizeof *out->values)};
    mg_buf_append_str(&out->text, mg_str_of(text));
    out->values[0] = (mg_redis_value){.type = MG_REDIS_ERROR, .n = (uint32_t)out->text.n};
    settle(out, 1);
}

static void misfit(mg_redis_kept *out) {
    make_error(out, "ERR a server of the cluster has answered something else than was asked");
}

static const mg_redis_reply *first_error(const mg_redis_part *parts, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const mg_redis_reply *r = &parts[i].kept.reply;
        if (r->count > 0 && r->values[0].type == MG_REDIS_ERROR) {
            return r;
        }
    }
    return NULL;
}

static void add_up(const mg_redis_part *parts, uint32_t count, mg_redis_kept *out) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        const mg_redis_reply *r = &parts[i].kept.reply;
        if (r->count != 1 || r->values[0].type != MG_REDIS_INTEGER) {
            misfit(out);
            return;
        }
        sum += (uint64_t)r->values[0].integer;
    }
    *out = (mg_redis_kept){.values = mg_malloc(sizeof *out->values)};
    out->values[0] = (mg_redis_value){.type = MG_REDIS_INTEGER, .integer = (int64_t)sum};
    settle(out, 1);
}

// A list of as many simple values as the part has keys.
static bool is_list(const mg_redis_part *p) {
    const mg_redis_reply *r = &p->kept.reply;
    return r->count == p->n + 1 && r->values[0].type == MG_REDIS_ARRAY && r->values[0].n == p->n;
}

static void make_list(const mg_redis_part *parts, uint32_t count, uint32_t keys,
                      mg_redis_kept *out) {
    *out = (mg_redis_kept){.values = mg_calloc((size_t)keys + 1, sizeof *out->values)};
    out->values[0] = (mg_redis_value){.type = MG_REDIS_ARRAY, .n = keys};
    for (uint32_t i = 0; i < count; i++) {
        const mg_redis_part *p = &parts[i];
        if (!is_list(p)) {
            mg_redis_kept_deinit(out);
            misfit(out);
            return;
        }
        for (uint32_t n = 0; n < p->n; n++) {
            mg_redis_value v = p->kept.reply.values[n + 1];
            if (mg_redis_is_text(&v)) {
                mg_str text = mg_redis_text(&p->kept.reply, &v);
                v.at = out->text.n;
                mg_buf_append_str(&out->text, text);
            }
            out->values[1 + p->places[n]] = v;
        }
    }
    settle(out, keys + 1);
}

void mg_redis_join_parts(mg_redis_join how, const mg_redis_part *parts, uint32_t count,
                         uint32_t keys, mg_redis_kept *out) {
    const mg_redis_reply *error = first_error(parts, count);
    if (error != NULL) {
        mg_redis_keep(error, out);
    } else if (how == MG_REDIS_SUM) {
        add_up(parts, count, out);
    } else if (how == MG_REDIS_LIST) {
        make_list(parts, count, keys, out);
    } else {
        mg_redis_keep(&parts[0].kept.reply, out);
    }
}
