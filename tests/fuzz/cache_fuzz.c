// Two caches from one input: the first is worked on beside a simple model, the second is scribbled
// on between operations, as a process gone mad could do to the memory that all share.
#include "fuzz.h"
#include "store/memory_cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { BYTES = 1 << 20, KEYS = 64, TAG = 3, HEAD_BYTES = 4096 };

typedef struct model {
    bool there;
    uint32_t length;
    uint64_t until_ms;
    uint8_t fill;
} model;

static void *room;
static char value[MG_CACHE_VALUE_MAX];

static mg_memory_cache *fresh(void) {
    mg_memory_cache *c;
    if (room == NULL) { // between two pages that nobody may touch
        char *p = mmap(NULL, BYTES + 2 * HEAD_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        must(p != MAP_FAILED);
        must(mprotect(p + HEAD_BYTES, BYTES, PROT_READ | PROT_WRITE) == 0);
        room = p + HEAD_BYTES;
    }
    memset(room, 0, BYTES);
    must(mg_memory_cache_format(room, BYTES, NULL) == MG_OK);
    must(mg_memory_cache_open(&c, room, BYTES, NULL) == MG_OK);
    return c;
}

static mg_str key_of(uint8_t n) {
    static char key[KEYS + 1];
    memset(key, 'k', sizeof key);
    return (mg_str){key, (size_t)n % KEYS + 1};
}

static void check_get(mg_memory_cache *c, const model *m, mg_str key, uint64_t now_ms) {
    mg_buf out = {0};
    uint8_t tag = 0;
    if (mg_memory_cache_get(c, key, now_ms, &out, &tag) ==
        MG_OK) { // eviction is free to take what it likes
        must(m->there && out.n == m->length && tag == TAG);
        must(m->until_ms == 0 || m->until_ms > now_ms);
        must(out.n == 0 || ((uint8_t)out.p[0] == m->fill && (uint8_t)out.p[out.n - 1] == m->fill));
    }
    mg_buf_deinit(&out);
}

static void set(mg_memory_cache *c, model *m, mg_str key, const uint8_t *op, uint64_t now_ms) {
    uint32_t length = ((uint32_t)op[2] << 8 | op[3]) * (op[0] & 0x10 ? 5u : 1u);
    uint64_t ttl_ms = op[0] & 0x20 ? op[3] : 0;
    memset(value, op[2], length);
    int rc = mg_memory_cache_set(c, key, (mg_str){value, length}, TAG, now_ms, ttl_ms);
    must(rc == MG_OK || rc == MG_ELIMIT);
    if (rc == MG_OK) {
        *m = (model){true, length, ttl_ms == 0 ? 0 : now_ms + ttl_ms, op[2]};
        check_get(c, m, key, now_ms);
    }
}

static void work(const uint8_t *data, size_t n) {
    model models[KEYS] = {{0}};
    mg_memory_cache *c = fresh();
    uint64_t now_ms = 1;
    for (; n >= 4; data += 4, n -= 4) {
        mg_str key = key_of(data[1]);
        model *m = &models[data[1] % KEYS];
        switch (data[0] % 4) {
        case 0:
            set(c, m, key, data, now_ms);
            break;
        case 1:
            check_get(c, m, key, now_ms);
            break;
        case 2:
            mg_memory_cache_delete(c, key, now_ms);
            m->there = false;
            break;
        default:
            now_ms += data[2];
        }
    }
    mg_cache_stats s;
    mg_memory_cache_read_stats(c, &s);
    must(s.emptied == 0 && s.bytes <= s.capacity_bytes);
    mg_memory_cache_close(c);
}

static void scribble(const uint8_t *op) {
    size_t at = ((size_t)op[1] << 16 | (size_t)op[2] << 8 | op[3]) % BYTES;
    if (op[0] & 0x40) {
        at = HEAD_BYTES + at % 4096; // lock, index and leases
    }
    if ((op[0] & 0xc0) == 0x80) {
        at %= 64; // the head
    }
    size_t left = BYTES - at;
    memset((char *)room + at, op[3], left < 4 ? left : 4);
}

static void survive(const uint8_t *data, size_t n) {
    mg_memory_cache *c = fresh();
    mg_buf out = {0};
    for (; n >= 4; data += 4, n -= 4) {
        uint8_t tag;
        int64_t sum;
        mg_str key = key_of(data[1]);
        uint32_t length = (uint32_t)data[2] << 8 | data[3];
        mg_buf_clear(&out);
        switch (data[0] % 6) {
        case 0:
            (void)mg_memory_cache_set(c, key, (mg_str){value, length}, TAG, data[3], data[2]);
            break;
        case 1:
            (void)mg_memory_cache_get(c, key, data[2], &out, &tag);
            break;
        case 2:
            (void)mg_memory_cache_delete(c, key, data[2]);
            break;
        case 3:
            (void)mg_memory_cache_increment(c, key, 1, 0, TAG, data[2], data[3], &sum);
            break;
        case 4:
            (void)mg_memory_cache_lease(c, key, 1u + data[2], data[3], 100);
            break;
        default:
            scribble(data);
        }
    }
    mg_memory_cache_clear(c);
    must(mg_memory_cache_set(c, MG_STR("k"), MG_STR("v"), TAG, 0, 0) == MG_OK);
    mg_buf_deinit(&out);
    mg_memory_cache_close(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 4096) {
        return 0;
    }
    work(data, size);
    survive(data, size);
    return 0;
}
