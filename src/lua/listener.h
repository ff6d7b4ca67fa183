// lua/listener.h: what db:listen and redis:subscribe have in common: an operation that never
// finishes, what was told to it, and those who wait for that, an operation each.
//
// An mg_listener stands at the front of its binding's own struct, which owns it. Its kind has no
// push; its cancel ends the listening and leaves, its release deinits.
#pragma once

#include "lua/message_queue.h"
#include "lua/vm.h"

typedef struct mg_asking mg_asking;

typedef struct mg_listener {
    mg_op op;
    mg_message_queue messages;
    bool listens;            // to all that it is to hear of
    const char *code;        // static; of the fault
    char *fault;             // nothing comes any more; NULL: there is none
    mg_asking *next, *ready; // who waits; NULL: nobody
} mg_listener;

void mg_listener_init(mg_listener *l);
void mg_listener_deinit(mg_listener *l);

// What is told; whoever waits for it is woken.
void mg_listener_put(mg_listener *l, mg_str channel, mg_str text, int pid);
void mg_listener_miss(mg_listener *l);
void mg_listener_listens(mg_listener *l);
// Of several faults the first one counts; what has been told comes before it.
void mg_listener_fail(mg_listener *l, const char *code, const char *text);

// Those who wait hear that nobody listens any more.
void mg_listener_leave(mg_listener *l);

// For Lua: next(listener, a message is wanted) -> operation of a message, or, if none is wanted, of
// nothing, once it listens; or nil and "closed" | "busy". Listeners are of `kind`.
int mg_listener_next(lua_State *L, const mg_op_kind *kind);
