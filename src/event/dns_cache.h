// event/dns_cache.h: answers of nameservers, shared by reference, and those that are remembered.
//
// A cache owns its entries and holds one reference of each answer. Not for other rooms.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

typedef struct mg_dns_answer {
    uint32_t refs;
    int status;
    char *text;
    size_t n;
    struct sockaddr_storage addresses[];
} mg_dns_answer;

// One reference, the caller's. `text` is copied; the `n` addresses are zeroed.
mg_dns_answer *mg_dns_answer_new(int status, const char *text, size_t n);
mg_dns_answer *mg_dns_answer_ref(mg_dns_answer *a);
void mg_dns_answer_unref(mg_dns_answer *a); // accepts NULL

typedef struct mg_dns_cache mg_dns_cache;

mg_dns_cache *mg_dns_cache_new(uint32_t entries);
void mg_dns_cache_free(mg_dns_cache *c); // accepts NULL
void mg_dns_cache_clear(mg_dns_cache *c);

// What is known of `name` at `now_ms`, borrowed; NULL: nothing. An expired entry goes.
mg_dns_answer *mg_dns_cache_find(mg_dns_cache *c, const char *name, uint64_t now_ms);

uint64_t mg_dns_cache_life_ms(mg_dns_cache *c, const char *name, uint64_t now_ms); // 0: unknown

// Remembers `a` (takes a reference of its own) instead of what was known of `name`. In a full cache
// the entry that was put first makes room.
void mg_dns_cache_put(mg_dns_cache *c, const char *name, mg_dns_answer *a, uint64_t until_ms);
