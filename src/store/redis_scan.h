// store/redis_scan.h: SCAN in a cluster: its servers one after the other. The cursor that callers
// get tells which server is asked, as one of its slots, and what its own cursor is. A server's
// cursor means nothing to another one, not even to the replica that takes its place: so it also
// tells who it was, and whoever else has the slot begins anew. Pure.
#pragma once

#include "base/buf.h"

typedef struct mg_redis_scan {
    uint16_t slot;
    uint32_t server; // tells servers apart (mg_redis_scan_server); 0: none was asked yet
    uint64_t cursor; // its own
} mg_redis_scan;

// "0" begins. False: it is no cursor.
bool mg_redis_scan_read(mg_str text, mg_redis_scan *out);
void mg_redis_scan_write(mg_buf *out, const mg_redis_scan *s);

uint32_t mg_redis_scan_server(const char *name);
