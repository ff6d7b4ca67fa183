#include "event/dns_cache.h"

#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"

#include <string.h>

enum { BUCKETS = 1024 };

typedef struct entry {
    mg_link bucket;
    mg_link age;
    mg_dns_answer *answer;
    uint64_t until_ms;
    char name[];
} entry;

struct mg_dns_cache {
    mg_link buckets[BUCKETS];
    mg_link ages; // the entry put first stands first
    uint32_t count;
    uint32_t entries;
};

static entry *find(mg_dns_cache *c, const char *name);
static void drop(mg_dns_cache *c, entry *e);

mg_dns_answer *mg_dns_answer_new(int status, const char *text, size_t n) {
    mg_dns_answer *a = mg_calloc(1, sizeof *a + n * sizeof a->addresses[0]);
    a->refs = 1;
    a->status = status;
    a->text = mg_strdup(text);
    a->n = n;
    return a;
}

mg_dns_answer *mg_dns_answer_ref(mg_dns_answer *a) {
    a->refs++;
    return a;
}

void mg_dns_answer_unref(mg_dns_answer *a) {
    if (a != NULL && --a->refs == 0) {
        mg_free(a->text);
        mg_free(a);
    }
}

mg_dns_cache *mg_dns_cache_new(uint32_t entries) {
    mg_dns_cache *c = mg_malloc(sizeof *c);
    for (size_t i = 0; i < BUCKETS; i++) {
        mg_link_init(&c->buckets[i]);
    }
    mg_link_init(&c->ages);
    c->count = 0;
    c->entries = entries;
    return c;
}

void mg_dns_cache_free(mg_dns_cache *c) {
    if (c != NULL) {
        mg_dns_cache_clear(c);
        mg_free(c);
    }
}

void mg_dns_cache_clear(mg_dns_cache *c) {
    while (!mg_link_alone(&c->ages)) {
        drop(c, MG_OF(c->ages.next, entry, age));
    }
}

mg_dns_answer *mg_dns_cache_find(mg_dns_cache *c, const char *name, uint64_t now_ms) {
    entry *e = find(c, name);
    if (e == NULL) {
        return NULL;
    }
    if (e->until_ms <= now_ms) {
        drop(c, e);
        return NULL;
    }
    return e->answer;
}

uint64_t mg_dns_cache_life_ms(mg_dns_cache *c, const char *name, uint64_t now_ms) {
    const entry *e = find(c, name);
    return e != NULL && e->until_ms > now_ms ? e->until_ms - now_ms : 0;
}

void mg_dns_cache_put(mg_dns_cache *c, const char *name, mg_dns_answer *a, uint64_t until_ms) {
    entry *e = find(c, name);
    if (e != NULL) {
        drop(c, e);
    } else if (c->count >= c->entries) {
        drop(c, MG_OF(c->ages.next, entry, age));
    }
    size_t n = strlen(name) + 1;
    e = mg_malloc(sizeof *e + n);
    memcpy(e->name, name, n);
    e->answer = mg_dns_answer_ref(a);
    e->until_ms = until_ms;
    mg_link_append(&c->buckets[mg_str_hash(mg_str_of(name)) % BUCKETS], &e->bucket);
    mg_link_append(&c->ages, &e->age);
    c->count++;
}

static entry *find(mg_dns_cache *c, const char *name) {
    mg_link *head = &c->buckets[mg_str_hash(mg_str_of(name)) % BUCKETS];
    for (mg_link *l = head->next; l != head; l = l->next) {
        entry *e = MG_OF(l, entry, bucket);
        if (strcmp(e->name, name) == 0) {
            return e;
        }
    }
    return NULL;
}

static void drop(mg_dns_cache *c, entry *e) {
    mg_link_remove(&e->bucket);
    mg_link_remove(&e->age);
    mg_dns_answer_unref(e->answer);
    mg_free(e);
    c->count--;
}
