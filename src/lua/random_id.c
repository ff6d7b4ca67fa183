#include "lua/random_id.h"

#include "base/clock.h"

#include <sys/random.h>

void mg_random_id(mg_random_ids *ids, char out[17]) {
    if (ids->prefix == 0 && getrandom(&ids->prefix, sizeof ids->prefix, 0) < 0) {
        ids->prefix = mg_wall_ms();
    }
    uint64_t v = ids->prefix + ++ids->count * 0x9e3779b97f4a7c15u;
    v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9u;
    v = (v ^ (v >> 27)) * 0x94d049bb133111ebu;
    v ^= v >> 31;
    for (int i = 0; i < 16; i++) {
        out[i] = "0123456789abcdef"[v >> (60 - 4 * i) & 15];
    }
    out[16] = '\0';
}
