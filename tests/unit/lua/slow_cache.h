// slow_cache.h: a second kind of cache: nothing is settled at once, each operation takes SLOW_MS of
// the loop's time, and the way to it may be broken.
#pragma once

#include "base/list.h"
#include "base/mem.h"
#include "event/timer.h"
#include "store/cache_ops.h"

#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SLOW_MS = 5, SLOW_KEYS = 16 };

typedef enum slow_verb {
    SLOW_GET,
    SLOW_SET,
    SLOW_DELETE,
    SLOW_INCREMENT,
    SLOW_LEASE,
    SLOW_CLEAR,
} slow_verb;

typedef struct slow_key {
    char *key, *value; // NULL: none
    uint8_t tag;
    bool leased;
} slow_key;

typedef struct slow_cache {
    mg_cache cache; // first
    mg_loop *loop;
    mg_link calls;
    slow_key keys[SLOW_KEYS];
    bool broken;
    int begun, done, cancelled, released;
} slow_cache;

typedef struct slow_call {
    mg_cache_call call; // first
    mg_link link;
    mg_timer timer;
    slow_verb verb;
    char *key, *value;
    uint8_t tag;
    int64_t by, initial;
} slow_call;

static inline void slow_free_call(slow_call *o) {
    mg_link_remove(&o->link);
    mg_timer_stop(&o->timer);
    mg_free(o->key);
    mg_free(o->value);
    mg_free(o);
}

static inline void slow_forget(slow_key *k) {
    mg_free(k->value);
    k->value = NULL;
    k->leased = false;
}

// The place of a key, which is made.
static inline slow_key *slow_find(slow_cache *c, const char *key) {
    for (int i = 0; i < SLOW_KEYS; i++) {
        slow_key *k = &c->keys[i];
        if (k->key == NULL) {
            k->key = mg_strdup(key);
        }
        if (strcmp(k->key, key) == 0) {
            return k;
        }
    }
    abort();
}

static inline void slow_store(slow_key *k, const char *value, uint8_t tag) {
    char *copy = mg_strdup(value);
    slow_forget(k);
    k->value = copy;
    k->tag = tag;
}

static inline void slow_add(slow_key *k, const slow_call *o, mg_cache_result *r) {
    char text[24];
    r->sum = (k->value != NULL ? strtoll(k->value, NULL, 10) : o->initial) + o->by;
    snprintf(text, sizeof text, "%lld", (long long)r->sum);
    slow_store(k, text, o->tag);
}

static inline void slow_run(slow_cache *c, const slow_call *o, mg_cache_result *r) {
    slow_key *k = o->verb == SLOW_CLEAR ? NULL : slow_find(c, o->key);
    switch (o->verb) {
    case SLOW_GET:
    case SLOW_DELETE:
        r->code = k->value != NULL ? MG_OK : -ENOENT;
        r->value = mg_str_of(k->value != NULL ? k->value : "");
        r->tag = k->tag;
        break;
    case SLOW_SET:
        slow_store(k, o->value, o->tag);
        break;
    case SLOW_INCREMENT:
        slow_add(k, o, r);
        break;
    case SLOW_LEASE:
        r->code = k->leased ? MG_EAGAIN : MG_OK;
        k->leased = true;
        break;
    case SLOW_CLEAR:
        for (int i = 0; i < SLOW_KEYS; i++) {
            slow_forget(&c->keys[i]);
        }
        break;
    }
    if (o->verb == SLOW_DELETE) {
        slow_forget(k);
        r->value = (mg_str){0};
    }
}

static inline void slow_on_time(mg_timer *t) {
    slow_call *o = MG_OF(t, slow_call, timer);
    slow_cache *c = (slow_cache *)o->call.cache;
    mg_cache_result r = {0};
    if (c->broken) {
        r = (mg_cache_result){.code = -ECONNREFUSED, .text = "nobody is there"};
    } else {
        slow_run(c, o, &r);
    }
    c->done++;
    o->call.on_done(o->call.arg, &r);
    slow_free_call(o);
}

static inline slow_call *slow_begin(mg_cache *cache, slow_verb verb, mg_str key, mg_str value) {
    slow_cache *c = (slow_cache *)cache;
    slow_call *o = mg_calloc(1, sizeof *o);
    o->call.cache = cache;
    o->verb = verb;
    o->key = mg_strndup(key.p, key.n);
    o->value = value.p != NULL ? mg_strndup(value.p, value.n) : NULL;
    mg_link_append(&c->calls, &o->link);
    mg_timer_start(c->loop, &o->timer, SLOW_MS, 0, slow_on_time);
    c->begun++;
    return o;
}

static inline mg_cache_call *slow_get(mg_cache *c, mg_str key, mg_buf *room, mg_cache_result *out) {
    (void)room;
    (void)out;
    return &slow_begin(c, SLOW_GET, key, (mg_str){0})->call;
}

static inline mg_cache_call *slow_set(mg_cache *c, const mg_cache_entry *e, mg_cache_result *out) {
    slow_call *o = slow_begin(c, SLOW_SET, e->key, e->value);
    (void)out;
    o->tag = e->tag;
    return &o->call;
}

static inline mg_cache_call *slow_delete(mg_cache *c, mg_str key, mg_cache_result *out) {
    (void)out;
    return &slow_begin(c, SLOW_DELETE, key, (mg_str){0})->call;
}

static inline mg_cache_call *slow_increment(mg_cache *c, const mg_cache_step *s,
                                            mg_cache_result *out) {
    slow_call *o = slow_begin(c, SLOW_INCREMENT, s->key, (mg_str){0});
    (void)out;
    o->by = s->by;
    o->initial = s->initial;
    o->tag = s->tag;
    return &o->call;
}

static inline mg_cache_call *slow_lease(mg_cache *c, mg_str key, uint64_t for_ms,
                                        mg_cache_result *out) {
    (void)for_ms;
    (void)out;
    return &slow_begin(c, SLOW_LEASE, key, (mg_str){0})->call;
}

static inline void slow_release(mg_cache *cache, mg_str key) {
    slow_cache *c = (slow_cache *)cache;
    char *text = mg_strndup(key.p, key.n);
    slow_find(c, text)->leased = false;
    c->released++;
    mg_free(text);
}

static inline mg_cache_call *slow_clear(mg_cache *c, mg_cache_result *out) {
    (void)out;
    return &slow_begin(c, SLOW_CLEAR, MG_STR(""), (mg_str){0})->call;
}

static inline void slow_cancel(mg_cache_call *call) {
    ((slow_cache *)call->cache)->cancelled++;
    slow_free_call((slow_call *)call);
}

static inline void slow_read_stats(const mg_cache *c, mg_cache_stats *out) {
    *out = (mg_cache_stats){.sets = (uint64_t)((const slow_cache *)c)->begun};
}

static inline void slow_free(mg_cache *cache) {
    slow_cache *c = (slow_cache *)cache;
    while (!mg_link_alone(&c->calls)) {
        slow_free_call(MG_OF(c->calls.next, slow_call, link));
    }
    for (int i = 0; i < SLOW_KEYS; i++) {
        mg_free(c->keys[i].key);
        mg_free(c->keys[i].value);
    }
    mg_free(c);
}

static inline slow_cache *slow_cache_new(mg_loop *loop) {
    static const mg_cache_ops ops = {
        .get = slow_get,
        .set = slow_set,
        .remove = slow_delete,
        .increment = slow_increment,
        .lease = slow_lease,
        .release = slow_release,
        .clear = slow_clear,
        .cancel = slow_cancel,
        .read_stats = slow_read_stats,
        .free = slow_free,
    };
    slow_cache *c = mg_calloc(1, sizeof *c);
    c->cache.ops = &ops;
    c->loop = loop;
    mg_link_init(&c->calls);
    return c;
}
