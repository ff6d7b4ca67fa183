// Upstreams on a virtual clock, with what is drawn fixed by a seed.
#pragma once

#include "proxy/upstream_inside.h"

#include "../unit.h"

#include <stdio.h>

enum { RIG_SERVERS = 64 };

static mg_loop *loop;
static mg_upstream_server_options servers[RIG_SERVERS];
static char urls[RIG_SERVERS][40];
static mg_upstream_options shop;

// The options of one upstream "shop" with `n` servers on ports from 9001.
static inline void rig_begin(size_t n) {
    const mg_loop_options o = {.virtual_clock = true};
    assert_int_equal(mg_loop_new(&loop, &o), MG_OK);
    for (size_t i = 0; i < n; i++) {
        snprintf(urls[i], sizeof urls[i], "http://127.0.0.1:%zu", 9001 + i);
        servers[i] = (mg_upstream_server_options){
            .url = urls[i], .host = "127.0.0.1", .port = (uint16_t)(9001 + i), .weight = 1};
    }
    shop = (mg_upstream_options){
        .name = "shop",
        .servers = {servers, n},
        .balance = MG_BALANCE_ROUND_ROBIN,
        .connections = 64,
        .idle_ms = 4000,
        .retries = {.count = 1, .budget = 0.2},
    };
}

static inline mg_upstreams *rig_made(const mg_upstream_options *open, mg_upstreams *before) {
    mg_error err;
    mg_upstreams *us = NULL;
    const mg_upstreams_options all = {&shop, 1, open};
    const mg_upstreams_setup setup = {
        .loop = loop,
        .before = before,
        .head = {.first_line_bytes = 8192, .bytes = 32768, .lines = 100},
        .seed = 1,
    };
    assert_int_equal(mg_upstreams_new(&us, &all, &setup, &err), MG_OK);
    return us;
}

static inline mg_upstreams *rig_set(mg_upstreams *before) {
    return rig_made(NULL, before);
}

static inline mg_upstreams *rig_open_set(const mg_upstream_options *open) {
    return rig_made(open, NULL);
}

static inline void rig_end(mg_upstreams *us) {
    mg_upstreams_unref(us);
    assert_int_equal(mg_loop_free(loop), 0);
}

// The number of the server of a ticket, from 0.
static inline int number_of(const mg_ticket *t) {
    return t->server->origin.port - 9001;
}

static inline int choose(mg_upstream *u, mg_ticket *t) {
    const mg_choice first = {.kind = MG_CHOICE_FIRST};
    assert_int_equal(mg_upstream_choose(u, &first, t, NULL), MG_OK);
    return number_of(t);
}

static inline void end_ticket(mg_ticket *t) {
    mg_ticket_end(t, &(mg_outcome){.status = 200, .answer_us = 1000});
}

// Chooses and ends at once.
static inline int once(mg_upstream *u) {
    mg_ticket t;
    int i = choose(u, &t);
    end_ticket(&t);
    return i;
}
