// The cache in memory behind the table of functions: every operation is settled at once.

#include "base/mem.h"
#include "store/cache_ops.h"
#include "store/memory_cache.h"

typedef struct lent {
    mg_cache cache;
    mg_memory_cache *memory;
    mg_loop *loop; // its clock
    uint64_t holder;
} lent;

static uint64_t now_ms(const lent *l) {
    return mg_loop_now_ms(l->loop);
}

static mg_cache_call *get(mg_cache *c, mg_str key, mg_buf *room, mg_cache_result *out) {
    const lent *l = (const lent *)c;
    out->code = mg_memory_cache_get(l->memory, key, now_ms(l), room, &out->tag);
    out->value = mg_buf_str(room);
    out->text = NULL;
    return NULL;
}

static mg_cache_call *settle(mg_cache_result *out, int code) {
    out->code = code;
    out->text = NULL;
    return NULL;
}

static mg_cache_call *set(mg_cache *c, const mg_cache_entry *e, mg_cache_result *out) {
    const lent *l = (const lent *)c;
    return settle(out,
                  mg_memory_cache_set(l->memory, e->key, e->value, e->tag, now_ms(l), e->ttl_ms));
}

static mg_cache_call *remove_key(mg_cache *c, mg_str key, mg_cache_result *out) {
    const lent *l = (const lent *)c;
    return settle(out, mg_memory_cache_delete(l->memory, key, now_ms(l)));
}

static mg_cache_call *increment(mg_cache *c, const mg_cache_step *s, mg_cache_result *out) {
    const lent *l = (const lent *)c;
    return settle(out, mg_memory_cache_increment(l->memory, s->key, s->by, s->initial, s->tag,
                                                 now_ms(l), s->ttl_ms, &out->sum));
}

static mg_cache_call *lease(mg_cache *c, mg_str key, uint64_t for_ms, mg_cache_result *out) {
    const lent *l = (const lent *)c;
    bool mine = mg_memory_cache_lease(l->memory, key, l->holder, now_ms(l), for_ms);
    return settle(out, mine ? MG_OK : MG_EAGAIN);
}

static void release(mg_cache *c, mg_str key) {
    const lent *l = (const lent *)c;
    mg_memory_cache_release(l->memory, key, l->holder);
}

static mg_cache_call *clear(mg_cache *c, mg_cache_result *out) {
    mg_memory_cache_clear(((const lent *)c)->memory);
    return settle(out, MG_OK);
}

static void read_stats(const mg_cache *c, mg_cache_stats *out) {
    mg_memory_cache_read_stats(((const lent *)c)->memory, out);
}

static void free_lent(mg_cache *c) {
    mg_memory_cache_close(((lent *)c)->memory);
    mg_free(c);
}

static const mg_cache_ops ops = {
    .get = get,
    .set = set,
    .remove = remove_key,
    .increment = increment,
    .lease = lease,
    .release = release,
    .clear = clear,
    .read_stats = read_stats,
    .free = free_lent,
};

mg_cache *mg_memory_cache_lend(mg_memory_cache *c, mg_loop *loop, uint64_t holder) {
    lent *l = mg_malloc(sizeof *l);
    *l = (lent){.cache = {&ops}, .memory = c, .loop = loop, .holder = holder};
    return &l->cache;
}
