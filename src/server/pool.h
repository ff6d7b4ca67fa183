// server/pool.h: exchanges and output buffers between two uses.
//
// A pool owns what lies in it. Zeroed memory is a valid empty one.
#pragma once

#include "server/wire.h"

enum { MG_OUTPUT_POOL = 64, MG_EXCHANGE_POOL = 256 };

// Exchanges of one wire.
typedef struct mg_exchange_pool {
    mg_exchange *free;
    uint32_t count;
} mg_exchange_pool;

// An exchange in its first state, zeroed behind mg_exchange as far as the wire's own struct goes.
mg_exchange *mg_exchange_take(mg_exchange_pool *p, mg_server *server, const mg_wire *wire);

// Its memory may be used again at once.
void mg_exchange_give(mg_exchange_pool *p, mg_exchange *x);
void mg_exchange_pool_deinit(mg_exchange_pool *p);

// What a connection sends in this turn.
typedef struct mg_output {
    mg_link dirty; // in the server's list of connections with output
    mg_conn *conn;
    mg_buf bytes;
} mg_output;

typedef struct mg_output_pool {
    mg_output *free[MG_OUTPUT_POOL];
    uint32_t count;
} mg_output_pool;

mg_output *mg_output_take(mg_output_pool *p);
void mg_output_give(mg_output_pool *p, mg_output *o);
void mg_output_pool_deinit(mg_output_pool *p);
