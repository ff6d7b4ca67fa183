// server/kept_record.h: the line in the access log of what goes on behind its exchange, such as a
// WebSocket: it is told when that ends.
#pragma once

#include "server/exchange.h"

typedef struct mg_kept_record mg_kept_record;

// What is known of `x`, which is about to be taken over, with `status` for an answer. The line is
// not told with the end of `x` then, but with mg_kept_record_tell. NULL: nobody listens. One block;
// lives no longer than the server.
mg_kept_record *mg_exchange_keep_record(mg_exchange *x, int status);

// What another server has to do with it: borrowed until it is told. Accepts NULL for `k`.
void mg_kept_record_relayed(mg_kept_record *k, const struct mg_relayed *relayed);

// Tells it, with what was sent and the time since the request came, and frees it. Accepts NULL.
void mg_kept_record_tell(mg_kept_record *k, uint64_t bytes_out, bool aborted);
