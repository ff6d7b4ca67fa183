#include "store/redis_scan.h"

#include "store/redis_slots.h"

// "5461-2886794121-17": slot, server, cursor.
bool mg_redis_scan_read(mg_str text, mg_redis_scan *out) {
    uint64_t slot, server;
    *out = (mg_redis_scan){.slot = 0};
    if (mg_str_eq(text, MG_STR("0"))) {
        return true;
    }
    bool good = mg_str_to_u64(mg_str_cut(&text, '-'), MG_REDIS_SLOTS - 1, &slot) &&
                mg_str_to_u64(mg_str_cut(&text, '-'), UINT32_MAX, &server) &&
                mg_str_to_u64(text, UINT64_MAX, &out->cursor);
    if (good) {
        out->slot = (uint16_t)slot;
        out->server = (uint32_t)server;
    }
    return good;
}

void mg_redis_scan_write(mg_buf *out, const mg_redis_scan *s) {
    mg_buf_printf(out, "%u-%u-%llu", s->slot, s->server, (unsigned long long)s->cursor);
}

uint32_t mg_redis_scan_server(const char *name) {
    return mg_str_hash(mg_str_of(name)) | 1;
}
