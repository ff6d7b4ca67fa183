// proxy/upstream.h: upstreams: named sets of servers, which of them a request goes to, and what
// came of it.
//
// mg_upstreams is what one generation of scripts knows: a name for each mg_upstream. A reload makes
// another one; servers that stay (the same upstream, URL and address) are the same objects in both,
// with their connections, counts and latencies. A server that is in no living set drains: its calls
// end, its idle connections close.
//
// Everything belongs to the loop's thread.
#pragma once

#include "client/client.h"
#include "proxy/options.h"
#include "proxy/outcome.h"
#include "server/exchange.h"

typedef struct mg_upstreams mg_upstreams;
typedef struct mg_upstream mg_upstream;
typedef struct mg_upstream_server mg_upstream_server;

// --- all upstreams of a generation ---

// What they are made with besides their options; borrowed for the call but for what it says.
typedef struct mg_upstreams_setup {
    mg_loop *loop;
    mg_upstreams *before;    // whose servers are kept where they are wanted; NULL: none
    const char *nameservers; // event/dns.h; NULL: resolv.conf
    const char *ca;          // for servers of upstreams that name none: client/client.h
    mg_str ca_text;
    mg_guard_limits head; // of responses
    uint64_t seed;        // of what is drawn; 0: the system's
    void *room;           // proxy/shared.h, of all workers; NULL: one of this set's own
    uint32_t worker;      // this one's number
    void (*on_warning)(void *arg, const char *text); // `log_arg` is for both; both may be NULL
    void (*on_news)(void *arg, const char *text);
    void *log_arg;
} mg_upstreams_setup;

// One reference, the caller's. A negative code and a text: a name that cannot be.
int mg_upstreams_new(mg_upstreams **out, const mg_upstreams_options *options,
                     const mg_upstreams_setup *setup, mg_error *err);
mg_upstreams *mg_upstreams_ref(mg_upstreams *us); // accepts NULL
void mg_upstreams_unref(mg_upstreams *us);        // accepts NULL; tickets hold it too

// NULL: there is none of that name, or no set. Lives as long as the set.
mg_upstream *mg_upstreams_find(const mg_upstreams *us, mg_str name);

// For servers that none of them names, which a choice brings along; NULL: those are not asked.
mg_upstream *mg_upstreams_open(const mg_upstreams *us);

// All but that one, one after the other: the first if `before` is NULL; NULL behind the last.
mg_upstream *mg_upstreams_next(const mg_upstreams *us, const mg_upstream *before);

// --- one upstream ---

const mg_upstream_options *mg_upstream_options_of(const mg_upstream *u);

// Whether a request that was refused, with nobody asked, gets a line in the log: few do at once. If
// so, `*missing` says how many had none before it.
bool mg_upstream_may_tell(mg_upstream *u, uint64_t *missing);

// --- one server: one address of one URL ---

// What a try needs; the rest is upstream_inside.h's. Lives as long as a ticket for it.
struct mg_upstream_server {
    mg_call_origin origin;
    mg_client *client;
    mg_str url;       // as configured
    mg_str address;   // "127.0.0.1:9001", "[::1]:80", "unix:/run/x.sock"; a name not yet resolved
    mg_str authority; // host[:port] of the URL, what Host says if `host = "upstream"`
};

// --- choosing ---

typedef struct mg_choice {
    mg_exchange *exchange; // for hash keys and the sticky cookie; NULL: none
    mg_choice_kind kind;
    // Not one of the upstream's, but this one (mg_upstreams_open); NULL: one of them.
    const mg_upstream_server_options *server;
    bool waited; // its turn has come (proxy/waiting.h); others let it go first
    // Those that are not wanted: by a retry or a hedge never, else while there are others.
    const mg_upstream_server *const *tried;
    size_t tried_count;
} mg_choice;

// One try on one server, in the caller's memory: it counts in flight from choose to end.
typedef struct mg_ticket {
    mg_link link;          // in its server's list
    mg_upstream *upstream; // with the options that hold: an arm, if a split was asked
    mg_upstream_server *server;
    uint64_t began_us;
    mg_choice_kind kind;
    mg_admission admission;
    // What the answer is to set so that the client keeps to its arm (a whole Set-Cookie value); it
    // lies in the exchange's arena. Empty: nothing.
    mg_str set_cookie;
} mg_ticket;

// MG_OK and a ticket, to be ended exactly once. MG_EAGAIN: no server may be used now, and `why`
// (accepts NULL) says so. A retry or a hedge is asked of the first ticket's upstream, so that a
// split is drawn once.
int mg_upstream_choose(mg_upstream *u, const mg_choice *choice, mg_ticket *out, mg_no_server *why);

// Where its call goes: to the server, and if the PROXY protocol is wanted there over connections
// that belong to this client. Lies in the exchange's arena or lives with the ticket.
const mg_call_origin *mg_ticket_origin(const mg_ticket *t, mg_exchange *x);

// The ticket is another one's memory's from now on.
void mg_ticket_move(mg_ticket *to, mg_ticket *from);

// It belongs to `u`, an upstream of a newer set with the same server, so that the older set may go.
// Nothing happens where the two share no pool.
void mg_ticket_rehome(mg_ticket *t, mg_upstream *u);

void mg_ticket_end(mg_ticket *t, const mg_outcome *outcome);
