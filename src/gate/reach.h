// gate/reach.h: `moongate check --connect`: tries every store and every server of an upstream that
// a configuration names, all at once, and says which can be had.
//
// Each kind has a file of its own (reach_database.c, reach_redis.c, reach_upstream.c) that adds
// probes; a probe ends by mg_probe_end, or by the time that all have. reach.c owns the loop, the
// resolver and the probes, and prints what came of them.
#pragma once

#include "base/arena.h"
#include "config/config.h"
#include "event/dns.h"
#include "event/tls_cache.h"

enum { MG_REACH_MS = 5000 }; // that all together have

typedef struct mg_reach mg_reach;
typedef struct mg_probe mg_probe;

struct mg_reach {
    const mg_config *config;
    mg_loop *loop;
    mg_dns *dns;
    mg_tls_cache *tls;
    mg_arena arena; // of what lasts until all is over
    mg_link probes;
    uint32_t open; // that have not ended
};

// One thing that is tried; part of a kind's own struct, which lies in the arena.
struct mg_probe {
    mg_link link;
    mg_reach *reach;
    const char *what;  // "database default"
    const char *where; // without secrets; NULL: nothing more to say
    char why[320];     // it cannot be had; "": it can
    bool ended;
    uint64_t begun_us, took_ms;
    void (*free)(mg_probe *p); // gives back what is no memory of the arena. NULL: there is nothing
};

// `p`: in the arena, zeroed. `what` is printed; both texts are copied.
void mg_probe_begin(mg_reach *r, mg_probe *p, const char *what, const char *where,
                    void (*free)(mg_probe *p));
void mg_probe_end(mg_probe *p, const char *why); // NULL: it can be had

// The kinds. Each adds its probes; a probe may end inside.
void mg_reach_databases(mg_reach *r);
void mg_reach_redis(mg_reach *r);
void mg_reach_upstreams(mg_reach *r);

// Appends a line for each, what fails last. Returns how many cannot be had.
size_t mg_reach_all(const mg_config *config, mg_buf *out);
