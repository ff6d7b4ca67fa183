// proxy/health.h: active health checks of one server: by HTTP, or by a connection that opens.
//
// Every worker has an mg_check for each server, and whichever finds that one is due, and says so
// first in the server's cell, makes it: one check an interval in all workers together, and the next
// one by another if that worker dies. What it finds is a verdict in the cell (proxy/verdict.h),
// which all workers read. Intervals are longer by up to a tenth, so that checks do not march.
//
// A check has a connection of its own: what an upstream's pool is waiting for says nothing of the
// server. An mg_check owns its call and its timer.
#pragma once

#include "base/random.h"
#include "event/dns.h"
#include "proxy/changes.h"
#include "proxy/upstream.h"

typedef struct mg_check mg_check;

// Borrowed until the check is stopped.
typedef struct mg_check_setup {
    mg_loop *loop;
    mg_client *client; // of checks: it keeps no idle connections (mg_check_client)
    mg_dns *dns;
    const mg_health_options *options;
    const mg_upstream_server *server;
    const mg_server_hold *hold;
    mg_random *random;
    mg_changes changes;
} mg_check_setup;

// What the client of checks needs to be besides `o`, which says of the rest.
mg_client_options mg_check_client(const mg_client_options *o);

// The first check is due at once, unless one was made lately.
mg_check *mg_check_start(const mg_check_setup *setup);

// One that is under way finds nothing. Accepts NULL.
void mg_check_stop(mg_check *c);
