// reads.h: what a pipeline of requests is read as, whole and split at every place.
#pragma once

#include "../../fuzz/h1_rig.h"
#include "unit.h"

static inline void read_split(const char *input, size_t n, size_t cut, mg_buf *out) {
    h1_rig r;
    rig_init(&r, out);
    rig_feed(&r, input, cut);
    rig_feed(&r, input + cut, n - cut);
    rig_deinit(&r);
}

static inline void reads_n(const char *input, size_t n, const char *want) {
    for (size_t cut = 0; cut <= n; cut++) {
        mg_buf got = {0};
        read_split(input, n, cut, &got);
        assert_text(want, mg_buf_str(&got));
        mg_buf_deinit(&got);
    }
}

static inline void reads(const char *input, const char *want) {
    reads_n(input, strlen(input), want);
}
