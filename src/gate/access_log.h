// gate/access_log.h: one line for each finished exchange, in Apache's combined form or as JSON.
//
// Belongs to one loop. Owns a line buffer and the date text of the current second; borrows the log.
#pragma once

#include "base/log.h"
#include "server/options.h"

typedef struct mg_access_log mg_access_log;

// Appends `"name":value`.
typedef void (*mg_access_field_put)(const mg_access_log *a, mg_buf *out, const mg_access_record *r);

typedef struct mg_access_field {
    mg_str name;             // terminated; owned
    mg_access_field_put put; // NULL: one that scripts note
} mg_access_field;

struct mg_access_log {
    mg_log *log;
    bool json;
    uint64_t second; // that `date` shows
    char date[32];
    size_t date_n;
    mg_buf line;
    mg_access_field *chosen; // of the JSON form
    size_t chosen_count;     // 0: all
};

// Prepares caller-owned memory. `log` is borrowed and must outlive `a`.
void mg_access_log_init(mg_access_log *a, mg_log *log, bool json);
void mg_access_log_deinit(mg_access_log *a);

// Right after init: the JSON form has these fields alone, in this order: its own and those that
// scripts note (ctx:log_field), which are left out where a request has none of that name. None
// named: all. The names are copied.
void mg_access_log_choose(mg_access_log *a, const mg_texts *names);

// Formats and queues the line. Combined: absent values are "-", bytes outside printable ASCII,
// quotes and backslashes are \xXX, and a peer that left before an answer began has status 499.
// JSON: one object with the keys time, client_ip, method, target, host, status (0 for such a peer),
// bytes, duration (seconds), referer, user_agent, request_id, route, aborted, and behind them what
// the app notes; absent values are null. Of one over TLS behind host also tls, its version. Of a
// proxied one before aborted also upstream, server (the one tried last), tries, upstream_status,
// connect, first_byte and total (seconds since that try began; null: it did not come to that),
// bytes_received and bytes_sent (content from and to it). The combined form, which others' tools
// read, has none of these.
void mg_access_log_write(mg_access_log *a, const mg_access_record *r);
