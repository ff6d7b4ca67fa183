// gate/access_log.h: one line for each finished exchange, in Apache's combined form or as JSON.
//
// Belongs to one loop. Owns a line buffer and the date text of the current second; borrows the log.
#pragma once

#include "base/log.h"
#include "server/options.h"

typedef struct mg_access_log {
    mg_log *log;
    bool json;
    uint64_t second; // that `date` shows
    char date[32];
    size_t date_n;
    mg_buf line;
} mg_access_log;

// Prepares caller-owned memory. `log` is borrowed and must outlive `a`.
void mg_access_log_init(mg_access_log *a, mg_log *log, bool json);
void mg_access_log_deinit(mg_access_log *a);

// Formats and queues the line. Combined: absent values are "-", bytes outside printable ASCII,
// quotes and backslashes are \xXX, and a peer that left before an answer began has status 499.
// JSON: one object with the keys time, client_ip, method, target, host, status (0 for such a peer),
// bytes, duration (seconds), referer, user_agent, request_id, route, aborted; absent values are
// null. Of a proxied one also upstream, server (the one tried last), tries, upstream_status,
// connect, first_byte and total (seconds since that try began; null: it did not come to
// that), bytes_received and bytes_sent (content from and to it). The combined form, which others'
// tools read, has none of these.
void mg_access_log_write(mg_access_log *a, const mg_access_record *r);
