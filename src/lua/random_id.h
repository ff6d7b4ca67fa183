// lua/random_id.h: ids of requests: unique enough to find a line in a log.
#pragma once

#include <stdint.h>

// Zeroed: the first id draws a prefix.
typedef struct mg_random_ids {
    uint64_t prefix;
    uint64_t count;
} mg_random_ids;

// Writes 16 hex digits and a terminator, different at each call. Consecutive ones do not look
// alike.
void mg_random_id(mg_random_ids *ids, char out[17]);
