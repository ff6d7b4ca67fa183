// store/redis_cache.h: a cache whose values lie in Redis, for all nodes that use it.
//
// Values can be read with redis-cli: JSON is stored as JSON, a counter as its digits, a string as
// it is unless it looks like JSON, then as a JSON string. What other programs have stored is read
// likewise: as JSON if it is that, else as a string.
#pragma once

#include "store/cache.h"
#include "store/redis.h"

// Borrows `r`, which must outlive it.
mg_cache *mg_redis_cache_lend(mg_redis *r);

// --- for whoever keeps values beside it ---

// Appends what is stored for a value.
void mg_redis_cache_write(mg_buf *out, uint8_t tag, mg_str value);

// How what is stored is to be read: MG_CACHE_STRING, or MG_CACHE_UNSURE.
uint8_t mg_redis_cache_tag(mg_str stored);

enum { MG_REDIS_SAID = 300 };

// What the reply to GET means: a value, -ENOENT, or a fault, whose text is put into `text`. Borrows
// from both.
void mg_redis_cache_read(mg_cache *c, const mg_redis_reply *r, char text[MG_REDIS_SAID],
                         mg_cache_result *out);
