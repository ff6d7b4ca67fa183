// gate/orders.h: what scripts have said of upstreams' servers while the server runs
// (moongate.upstream():set_servers and :drain). The master keeps it for workers to come, each
// worker for its scripts to come; it is written down in no file.
//
// An order is a text, as channels carry it: upstream, verb and what, in lines. "servers" (a list in
// JSON, or empty: those of the configuration) replaces all that was said of that upstream; "drain"
// and "undrain" have a URL.
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "proxy/members.h"

enum { MG_ORDERS_MOST = 4096 }; // kept at once

// Zeroed: none. Owns its texts.
typedef struct mg_orders {
    mg_buf *texts;
    size_t n;
} mg_orders;

void mg_orders_deinit(mg_orders *o);

void mg_order_write(mg_buf *out, mg_str upstream, mg_str verb, mg_str what);

// Whether it can be followed: MG_ECONFIG and a text if not; MG_ELIMIT: it is too long to be
// carried. Relative paths in it begin at `root`.
int mg_order_check(mg_str order, const char *root, mg_error *err);

// Keeps it instead of those that it makes void. MG_ELIMIT: too many; MG_ESYNTAX: it is none.
int mg_orders_keep(mg_orders *o, mg_str order);

// Forgets those of upstreams that the configuration does not have any more.
void mg_orders_prune(mg_orders *o, const mg_upstreams_options *upstreams);

// Follows one, or all of them.
void mg_order_follow(mg_str order, const char *root, mg_upstreams *us);
void mg_orders_follow(const mg_orders *o, const char *root, mg_upstreams *us);
