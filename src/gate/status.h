// gate/status.h: what `moongate status` is told, as JSON. Plain data in, text out; status_text.h
// reads it at the other end.
#pragma once

#include "base/buf.h"
#include "base/shm.h"

typedef struct mg_status_worker {
    uint32_t number; // from 1
    const char *state;
    uint64_t uptime_ms; // 0: it does not serve
    uint32_t restarts;
    const mg_cell *cell; // its worker may write meanwhile
} mg_status_worker;

// All borrowed.
typedef struct mg_status {
    const char *conf;
    int pid;
    uint32_t generation;
    bool stopping;
    uint64_t now_ms, uptime_ms;
    const char *const *addresses;
    size_t address_count;
    const mg_status_worker *workers;
    size_t worker_count;
    const char *const *certificates; // JSON objects, of those that a directory issues
    size_t certificate_count;
    size_t served_count;    // of all certificates; 0: the next two say nothing
    int64_t first_expiry_s; // when the first of them ends, and wall_s, now: since 1970
    mg_str first_expiry_file;
    int64_t wall_s;
    void *proxy; // what workers know of upstreams (mg_shm_proxy); NULL: nothing is told of it
} mg_status;

// One object with a line end.
void mg_status_append(const mg_status *s, mg_buf *out);
