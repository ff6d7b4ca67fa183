// store/redis_join.h: one reply of several servers' replies to the parts of a command. Pure.
#pragma once

#include "store/redis_keys.h"

// Owns its reply. `places`: of its keys among those of the command; borrowed.
typedef struct mg_redis_part {
    mg_redis_kept kept;
    const uint32_t *places;
    uint32_t n;
} mg_redis_part;

// Makes `out` from all parts of a command of `keys` keys. An error among them is what comes out; an
// answer that does not fit what was asked is one too.
void mg_redis_join_parts(mg_redis_join how, const mg_redis_part *parts, uint32_t count,
                         uint32_t keys, mg_redis_kept *out);
