// client/client_inside.h: what the files of this room know of each other.
//
//   client.c     origins, who waits, which connection is given to whom
//   outbound.c   one connection, which carries as many calls as its wire has places for
//   call_wire.h  between calls and what carries them; h1_call.c: HTTP/1.1; h2_*.c: HTTP/2
//   call.c       one request and its response; see call_inside.h
//   raw.c        a stream that carries no call
//   rules.c      which addresses may be dialled
#pragma once

#include "base/list.h"
#include "client/client.h"
#include "client/outbound.h"
#include "client/rules.h"
#include "event/connect.h"
#include "event/deadline.h"
#include "event/descriptors.h"
#include "http/h2_limits.h"

enum { MG_CLIENT_BUCKETS = 256, MG_CLIENT_WARNED = 256 };

struct mg_client {
    mg_loop *loop;
    mg_client_options options;
    mg_h2_limits h2;   // of connections that speak HTTP/2
    mg_rules *rules;   // NULL: none
    mg_dns *dns;       // its own unless options.dns is set
    mg_tls_cache *tls; // likewise
    mg_deadlines idle; // idle connections of all origins, the longest idle first
    mg_holder holder;  // of idle connections
    mg_link outbounds; // all of them, also those that are closing
    mg_link calls;     // all of them
    mg_link raws;      // streams that are no calls
    mg_link spare;     // calls that are over, for others to come
    uint32_t spare_count;
    mg_link buckets[MG_CLIENT_BUCKETS]; // of origins
    mg_link starved;                    // origins whose calls wait for room in the whole client
    mg_link soon;                       // origins whose calls wait until the loop has heard all
    mg_turn turn;                       // when it has; a hook only while there are such
    mg_timer relief;                    // there is room: they are looked at
    uint32_t origins, connections, idle_count, waiting;
    uint64_t epoch; // another one whenever an origin goes
    uint64_t started, reused, dialled, failed;
    uint32_t warned[MG_CLIENT_WARNED]; // hashes of origins that were called insecure
    uint32_t warned_count;
    mg_buf lines; // what a wire is about to write; between its own functions alone
    bool freed;   // the memory goes with the last connection
};

// Lives while it has connections or waiting calls.
struct mg_origin {
    mg_link link;
    mg_client *client;
    char *host;
    char *unix_path; // NULL: none
    char *server_name;
    char *ca;         // NULL: the client's
    char *cert, *key; // NULL: none
    mg_buf prelude;   // sent first on each connection
    mg_buf rules_text;
    mg_rules *rules; // NULL: none but the client's
    mg_link starved; // in mg_client.starved
    mg_link soon;    // in mg_client.soon
    mg_link idle;    // connections, the last used one last
    mg_link shared;  // busy ones with a place for one more call
    mg_link dials;   // connections that are not ready yet, the oldest first
    mg_link waiting; // calls, in order: each dial is for the next `places` of them
    uint32_t connections, connecting, idle_count, waiting_count;
    uint32_t places;  // calls that a connection probably carries at a time
    uint32_t untimed; // calls, the last that wait, whose time begins when they have been looked at
    mg_http2 http2;
    uint16_t port;
    bool is_tls;
    bool insecure;
    bool pumping;
    bool draining; // its connections close when they are free
    bool plain;    // one of them speaks HTTP/2 and nothing else (no RFC 8441)
    char name[];   // "https://host:port", for texts
};

// --- client.c ---

// Gives connections to calls that wait, and dials for those that get none: now, or in this turn
// when the loop has heard which connections have ended.
void mg_origin_pump(mg_origin *o);
mg_call *mg_origin_first_waiting(const mg_origin *o);   // NULL: none
mg_outbound *mg_origin_oldest_dial(const mg_origin *o); // NULL: none

// A call waits from now on. MG_ELIMIT: too many do, and it is to fail.
int mg_origin_enter(mg_client *c, const mg_call_origin *from, mg_call *call);

// The call has entered: it gets a connection, or its time to wait for one begins.
void mg_origin_serve(mg_origin *o, mg_call *call);

// Puts a call in front of all others.
void mg_origin_requeue(mg_origin *o, mg_call *call);
// A connection that had served was found dead, and so are probably all idle ones: they are closed.
void mg_origin_distrust(mg_origin *o);
void mg_origin_forget_call(mg_origin *o, mg_call *call); // it waits no more; `o` may go

// So many calls a connection of it carries, as far as is known by now.
void mg_origin_expect(mg_origin *o, uint32_t places);
// Whether its connections of HTTP/2 can carry other protocols.
void mg_origin_learn(mg_origin *o, bool switches);
// How many calls wait for the dials that are under way.
uint32_t mg_origin_provided(const mg_origin *o);

// The connection is ready, a call has left it, or it has more places: it can serve others.
void mg_origin_take_back(mg_origin *o, mg_outbound *c);

// The connection is gone; `o` may go.
void mg_origin_drop(mg_origin *o, mg_outbound *c);

void mg_client_release(mg_client *c); // a connection's memory went

// Whether `address` may be dialled: neither `own`, the rules of one origin (NULL: none), nor the
// client's refuse it; else `why` says which.
bool mg_client_allows(const mg_client *c, const mg_rules *own,
                      const struct sockaddr_storage *address, char why[MG_CONNECT_WHY_BYTES]);

// Says once for each place, which `name` names, that its certificate is not verified.
void mg_client_warn_insecure(mg_client *c, mg_str host, uint16_t port, const char *name);

// --- raw.c ---

void mg_raws_end(mg_client *c);
