#include "store/cache_ops.h"

mg_cache_call *mg_cache_get(mg_cache *c, mg_str key, mg_buf *room, mg_cache_result *out) {
    return c->ops->get(c, key, room, out);
}

mg_cache_call *mg_cache_set(mg_cache *c, const mg_cache_entry *e, mg_cache_result *out) {
    return c->ops->set(c, e, out);
}

mg_cache_call *mg_cache_delete(mg_cache *c, mg_str key, mg_cache_result *out) {
    return c->ops->remove(c, key, out);
}

mg_cache_call *mg_cache_increment(mg_cache *c, const mg_cache_step *s, mg_cache_result *out) {
    return c->ops->increment(c, s, out);
}

mg_cache_call *mg_cache_lease(mg_cache *c, mg_str key, uint64_t for_ms, mg_cache_result *out) {
    return c->ops->lease(c, key, for_ms, out);
}

void mg_cache_release(mg_cache *c, mg_str key) {
    c->ops->release(c, key);
}

mg_cache_call *mg_cache_clear(mg_cache *c, mg_cache_result *out) {
    return c->ops->clear(c, out);
}

void mg_cache_await(mg_cache_call *call, mg_cache_done_cb on_done, void *arg) {
    call->on_done = on_done;
    call->arg = arg;
}

void mg_cache_cancel(mg_cache_call *call) {
    call->cache->ops->cancel(call);
}

void mg_cache_read_stats(const mg_cache *c, mg_cache_stats *out) {
    c->ops->read_stats(c, out);
}

void mg_cache_free(mg_cache *c) {
    if (c != NULL) {
        c->ops->free(c);
    }
}
