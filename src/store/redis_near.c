#include "store/redis_near.h"

#include "base/mem.h"
#include "store/cache_ops.h"

#include <errno.h>

typedef struct near_view {
    mg_cache cache;
    mg_redis *redis;
    mg_cache *far;
    mg_near_cache *near;
    mg_link calls;
    mg_redis_observer observer;
} near_view;

// A read of its own, or what stands around a call to the cache far away.
typedef struct call {
    mg_cache_call base;
    mg_link link;
    mg_cache_call *far; // NULL: it reads
    mg_redis_request request;
    mg_near_read read;
    mg_buf key; // with its prefix
    size_t prefix_n;
    bool all; // everything may have changed
    bool tracked;
    mg_redis_kept value;
} call;

static near_view *view_of(const call *c) {
    return (near_view *)c->base.cache;
}

static mg_str key_of(const call *c) {
    return (mg_str){c->key.p + c->prefix_n, c->key.n - c->prefix_n};
}

static call *new_call(near_view *v, mg_str key) {
    const char *prefix = mg_redis_settings_of(v->redis)->prefix;
    call *c = mg_calloc(1, sizeof *c);
    c->base.cache = &v->cache;
    c->prefix_n = strlen(prefix);
    mg_buf_append(&c->key, prefix, c->prefix_n);
    mg_buf_append_str(&c->key, key);
    mg_link_append(&v->calls, &c->link);
    return c;
}

static void free_call(call *c) {
    mg_link_remove(&c->link);
    mg_redis_kept_deinit(&c->value);
    mg_buf_deinit(&c->key);
    mg_free(c);
}

static void finish(call *c, const mg_cache_result *r) {
    if (c->base.on_done != NULL) {
        c->base.on_done(c->base.arg, r);
    }
    free_call(c);
}

// --- reading ---

static bool is_ok(const mg_redis_reply *r) {
    return r->count == 1 && r->values[0].type == MG_REDIS_STRING &&
           mg_str_eq(mg_redis_text(r, r->values), MG_STR("OK"));
}

// -1: there is no such key any more, or nobody knows.
static int64_t ttl_of(const mg_redis_reply *r) {
    bool known = r->count == 1 && r->values[0].type == MG_REDIS_INTEGER;
    int64_t ms = known ? r->values[0].integer : -2;
    return ms == -1 ? 0 : ms > 0 ? ms : -1;
}

static void keep(call *c, const mg_redis_reply *ttl, const mg_cache_result *r) {
    mg_near_cache *near = view_of(c)->near;
    int64_t ttl_ms = ttl_of(ttl);
    if (c->tracked && r->code == MG_OK && ttl_ms >= 0) {
        mg_near_cache_end(near, &c->read,
                          &(mg_near_value){key_of(c), r->value, r->tag, (uint64_t)ttl_ms});
    } else {
        mg_near_cache_drop(near, &c->read);
    }
}

static void on_reply(mg_redis_request *q, uint32_t index, const mg_redis_reply *r, bool last) {
    call *c = MG_OF(q, call, request);
    if (index == 0) {
        c->tracked = is_ok(r);
    } else if (index == 1) {
        mg_redis_keep(r, &c->value);
    }
    if (!last) {
        return;
    }
    char text[MG_REDIS_SAID];
    mg_cache_result result;
    mg_redis_cache_read(view_of(c)->far, &c->value.reply, text, &result);
    keep(c, r, &result);
    finish(c, &result);
}

static void on_fault(mg_redis_request *q, const mg_redis_fault *f) {
    call *c = MG_OF(q, call, request);
    mg_near_cache_drop(view_of(c)->near, &c->read);
    finish(c, &(mg_cache_result){.code = MG_ECLOSED, .text = f->text});
}

// CACHING is for the command behind it alone; how long the value lasts is told apart: if it changes
// in between, that is told too.
static int send_read(near_view *v, call *c, mg_error *err) {
    const mg_str caching[] = {MG_STR("CLIENT"), MG_STR("CACHING"), MG_STR("YES")};
    const mg_str get[] = {MG_STR("GET"), mg_buf_str(&c->key)};
    const mg_str ttl[] = {MG_STR("PTTL"), mg_buf_str(&c->key)};
    const mg_redis_command commands[] = {{caching, 3}, {get, 2}, {ttl, 2}};
    c->request = (mg_redis_request){.on_reply = on_reply, .on_fault = on_fault};
    return mg_redis_send(v->redis, &c->request, commands, 3, err);
}

static mg_cache_call *get(mg_cache *cache, mg_str key, mg_buf *room, mg_cache_result *out) {
    near_view *v = (near_view *)cache;
    mg_near_read read;
    if (mg_near_cache_get(v->near, key, room, &out->tag) == MG_OK) {
        out->code = MG_OK;
        out->value = mg_buf_str(room);
        out->text = NULL;
        return NULL;
    }
    if (key.n > MG_CACHE_KEY_MAX || !mg_near_cache_begin(v->near, key, &read)) {
        return mg_cache_get(v->far, key, room, out);
    }
    call *c = new_call(v, key);
    mg_error err;
    c->read = read;
    if (send_read(v, c, &err) == MG_OK) {
        return &c->base;
    }
    mg_near_cache_drop(v->near, &read);
    free_call(c);
    return mg_cache_get(v->far, key, room, out); // which knows how to say so
}

// --- writing: what is near goes when it begins, and once more when it is done ---

static void forget(const call *c) {
    near_view *v = view_of(c);
    if (c->all) {
        mg_near_cache_forget_all(v->near);
    } else {
        mg_near_cache_forget(v->near, key_of(c));
    }
}

static void on_done(void *arg, const mg_cache_result *r) {
    call *c = arg;
    c->far = NULL;
    forget(c);
    finish(c, r);
}

static mg_cache_call *around(call *c, mg_cache_call *far) {
    if (far == NULL) { // it has failed at once
        free_call(c);
        return NULL;
    }
    c->far = far;
    mg_cache_await(far, on_done, c);
    return &c->base;
}

static call *begin_write(near_view *v, mg_str key, bool all) {
    call *c = new_call(v, key);
    c->all = all;
    forget(c);
    return c;
}

static mg_cache_call *set(mg_cache *cache, const mg_cache_entry *e, mg_cache_result *out) {
    near_view *v = (near_view *)cache;
    call *c = begin_write(v, e->key, false);
    return around(c, mg_cache_set(v->far, e, out));
}

static mg_cache_call *remove_key(mg_cache *cache, mg_str key, mg_cache_result *out) {
    near_view *v = (near_view *)cache;
    call *c = begin_write(v, key, false);
    return around(c, mg_cache_delete(v->far, key, out));
}

static mg_cache_call *increment(mg_cache *cache, const mg_cache_step *s, mg_cache_result *out) {
    near_view *v = (near_view *)cache;
    call *c = begin_write(v, s->key, false);
    return around(c, mg_cache_increment(v->far, s, out));
}

static mg_cache_call *clear(mg_cache *cache, mg_cache_result *out) {
    near_view *v = (near_view *)cache;
    call *c = begin_write(v, (mg_str){NULL, 0}, true);
    return around(c, mg_cache_clear(v->far, out));
}

// --- what is not near ---

static mg_cache_call *lease(mg_cache *cache, mg_str key, uint64_t for_ms, mg_cache_result *out) {
    return mg_cache_lease(((near_view *)cache)->far, key, for_ms, out);
}

static void release(mg_cache *cache, mg_str key) {
    mg_cache_release(((near_view *)cache)->far, key);
}

static void read_stats(const mg_cache *cache, mg_cache_stats *out) {
    const near_view *v = (const near_view *)cache;
    mg_near_stats near;
    mg_cache_read_stats(v->far, out);
    mg_near_cache_read_stats(v->near, &near);
    out->hits += near.hits;
    out->near_hits = near.hits;
    out->near_keys = near.keys;
    out->near_flushes = near.flushes;
}

// --- ends ---

static void cancel(mg_cache_call *base) {
    call *c = (call *)base;
    if (c->far != NULL) {
        mg_cache_cancel(c->far);
        forget(c); // it may have been done all the same
    } else {
        mg_redis_cancel(&c->request);
        mg_near_cache_drop(view_of(c)->near, &c->read);
    }
    free_call(c);
}

static void free_view(mg_cache *cache) {
    near_view *v = (near_view *)cache;
    while (!mg_link_alone(&v->calls)) {
        cancel(&MG_OF(v->calls.next, call, link)->base);
    }
    mg_redis_observe(v->redis, NULL);
    mg_cache_free(v->far);
    mg_near_cache_free(v->near);
    mg_free(v);
}

// --- what the server tells ---

static void forget_told(near_view *v, mg_str key) {
    const char *prefix = mg_redis_settings_of(v->redis)->prefix;
    if (mg_str_starts(key, mg_str_of(prefix))) {
        mg_str_skip(&key, strlen(prefix));
        mg_near_cache_forget(v->near, key);
    }
}

// ["invalidate", [key ...]]; null: all of them.
static void on_push(void *arg, const mg_redis_reply *r) {
    near_view *v = arg;
    if (r->count == 0) { // too large to be read: whatever it was
        mg_near_cache_forget_all(v->near);
        return;
    }
    if (r->count < 3 || !mg_redis_is_text(&r->values[1]) ||
        !mg_str_eq(mg_redis_text(r, &r->values[1]), MG_STR("invalidate"))) {
        return;
    }
    if (r->values[2].type != MG_REDIS_ARRAY) {
        mg_near_cache_forget_all(v->near);
    }
    for (uint32_t i = 3; i < r->count; i++) {
        if (mg_redis_is_text(&r->values[i])) {
            forget_told(v, mg_redis_text(r, &r->values[i]));
        }
    }
}

static void on_lost(void *arg) {
    mg_near_cache_forget_all(((near_view *)arg)->near);
}

static const mg_cache_ops ops = {
    .get = get,
    .set = set,
    .remove = remove_key,
    .increment = increment,
    .lease = lease,
    .release = release,
    .clear = clear,
    .cancel = cancel,
    .read_stats = read_stats,
    .free = free_view,
};

mg_cache *mg_redis_near_lend(mg_redis *r, mg_cache *far, mg_near_cache *near) {
    static const mg_str words[] = {{"CLIENT", 6}, {"TRACKING", 8}, {"ON", 2}, {"OPTIN", 5}};
    static const mg_redis_command tracking = {words, 4};
    near_view *v = mg_calloc(1, sizeof *v);
    *v = (near_view){.cache = {&ops}, .redis = r, .far = far, .near = near};
    mg_link_init(&v->calls);
    v->observer = (mg_redis_observer){.greetings = &tracking,
                                      .greeting_count = 1,
                                      .on_push = on_push,
                                      .on_lost = on_lost,
                                      .arg = v};
    mg_redis_observe(r, &v->observer);
    return &v->cache;
}
