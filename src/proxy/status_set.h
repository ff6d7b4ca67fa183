// proxy/status_set.h: a set of HTTP statuses.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// The bit of each.
typedef struct mg_status_set {
    uint64_t bits[16];
} mg_status_set;

static inline bool mg_status_set_has(const mg_status_set *s, int status) {
    return status >= 0 && status < 1024 && (s->bits[status / 64] >> (status % 64) & 1) != 0;
}
