// proxy/names.h: what the names of servers mean now, asked again whenever an answer's time is over,
// however busy the servers are.
//
// An mg_names belongs to a loop and owns what it knows of names; those who watch a name share it.
// The last good answer holds while the resolver fails.
#pragma once

#include "base/list.h"
#include "event/dns.h"

typedef struct mg_names mg_names;
typedef struct mg_name mg_name;

// Whoever wants to know; in the caller's memory, until mg_name_leave.
typedef struct mg_name_watch mg_name_watch;
struct mg_name_watch {
    mg_link link; // in its name's list
    mg_name *name;
    // Its addresses are others now. Any watch may be left inside of this.
    void (*on_change)(mg_name_watch *w);
};

// `dns` is borrowed.
mg_names *mg_names_new(mg_loop *loop, mg_dns *dns);
void mg_names_free(mg_names *n); // nobody watches any more; accepts NULL

// Watches `host`, which is copied. It is asked for at once if nobody watched it before.
void mg_name_watch_begin(mg_name_watch *w, mg_names *n, const char *host,
                         void (*on_change)(mg_name_watch *w));
void mg_name_watch_end(mg_name_watch *w); // does no harm on one that has not begun

// Its addresses (port 0), without those of a family that this machine has no route for; none: they
// are not known yet. Borrowed until the next change.
const struct sockaddr_storage *mg_name_addresses(const mg_name_watch *w, size_t *count);
