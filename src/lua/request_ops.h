// lua/request_ops.h: operations that wait for an exchange, and what the vm keeps beside one.
#pragma once

#include "lua/op.h"
#include "server/exchange.h"

// Embedded at the start of each one's own heap struct.
typedef struct mg_request_op {
    mg_op op;
    mg_exchange *x; // NULL: it is over
    // Content has come, or will come no more: is it what was waited for? Of those that read.
    bool (*is_ready)(const struct mg_request_op *o);
    // The exchange is over, and forgotten right afterwards. NULL: nothing is to be done.
    void (*on_lost)(struct mg_request_op *o);
} mg_request_op;

typedef struct mg_script_relay mg_script_relay; // bind_proxy.c

// In the exchange's arena.
typedef struct mg_request_state {
    mg_request_op *body_op;  // waits for content, or has it and is not told yet
    mg_request_op *write_op; // waits for the backlog to leave, or for the end of a file
    mg_script_relay *relay;  // that ctx:proxy began last; NULL: none
    size_t burst;            // bytes streamed since the loop last turned for this exchange
} mg_request_state;

static inline mg_request_state *mg_request_of(mg_exchange *x) {
    return x->app_data;
}

// Something else answers than what ctx:proxy has staged, or is waiting for, if it has. To be called
// before that, while the exchange is there.
void mg_request_drop_relay(mg_exchange *x);
