// Whatever a server says of slots: ranges lie within a reply and hold what they say, redirections
// name what stands in them, and cursors are read again as they were written.
#include "fuzz.h"
#include "store/redis_scan.h"
#include "store/redis_slots.h"

enum { BYTES = 4096, VALUES = 512 };

static void must_lie_in(const mg_redis_reply *r, const mg_redis_reader *from, mg_str s) {
    must(s.n == 0 || (s.p >= r->text && s.p + s.n <= r->text + from->text.n));
}

static void look_at_ranges(const mg_redis_reply *r, const mg_redis_reader *from) {
    mg_redis_range range;
    const char *fault;
    uint32_t at = 0;
    uint32_t ranges = 0;
    uint32_t before = 0;
    while (mg_redis_next_range(r, &at, &range, &fault)) {
        must(fault == NULL);
        must(at > before && at <= r->count);
        must(++ranges <= r->values[0].n);
        must(range.first <= range.last && range.last < MG_REDIS_SLOTS);
        must(range.n >= 1 && range.n <= MG_REDIS_RANGE_SERVERS);
        for (uint32_t i = 0; i < range.n; i++) {
            must(range.servers[i].port > 0);
            must(!mg_str_eq(range.servers[i].host, MG_STR("?")));
            must_lie_in(r, from, range.servers[i].host);
        }
        before = at;
    }
    must(fault != NULL || at == r->count || r->count == 0 || r->values[0].n == 0);
}

static void look_at_redirection(const mg_redis_reply *r, const mg_redis_reader *from) {
    mg_redis_redirect d = mg_redis_redirect_of(r);
    if (d.kind == MG_REDIS_STAY) {
        return;
    }
    mg_str text = mg_redis_text(r, r->values);
    must(r->values[0].type == MG_REDIS_ERROR);
    must(mg_str_starts(text, d.kind == MG_REDIS_ASK ? MG_STR("ASK ") : MG_STR("MOVED ")));
    must(d.slot < MG_REDIS_SLOTS && d.port > 0);
    must(d.host.n == 0 || memchr(d.host.p, ' ', d.host.n) == NULL);
    must_lie_in(r, from, d.host);
}

static void look_at_cursor(mg_str text) {
    mg_redis_scan scan, again;
    if (mg_redis_scan_read(text, &scan)) {
        mg_buf b = {0};
        mg_redis_scan_write(&b, &scan);
        must(mg_redis_scan_read(mg_buf_str(&b), &again));
        must(scan.slot < MG_REDIS_SLOTS && again.slot == scan.slot);
        must(again.server == scan.server && again.cursor == scan.cursor);
        mg_buf_deinit(&b);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mg_redis_reader reader = {.limits = {BYTES, VALUES}};
    mg_str in = {(const char *)data, size};
    mg_redis_reply r;
    const char *fault;
    look_at_cursor(in);
    must(mg_redis_slot(in) < MG_REDIS_SLOTS);
    while (mg_redis_read(&reader, &in, &r, &fault)) {
        look_at_ranges(&r, &reader);
        look_at_redirection(&r, &reader);
    }
    mg_redis_reader_deinit(&reader);
    return 0;
}
