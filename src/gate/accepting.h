// gate/accepting.h: the listening sockets that a worker knows, and from which of them it accepts.
//
// Every worker holds all sockets. It accepts from those of its own slot, from those that belong to
// all (Unix addresses), and from those of slots that the master has lent to it.
#pragma once

#include "base/arena.h"
#include "server/server.h"

typedef struct mg_accepting_socket {
    uint32_t id;
    uint32_t slot; // or MG_SLOT_ALL
    int fd;        // kept while the address is configured; the listener has a copy
    mg_endpoint endpoint;
    mg_arena arena;      // of the endpoint's texts
    mg_tls_context *tls; // of a secure endpoint; NULL there: nobody is let in
    mg_listener *listener;
} mg_accepting_socket;

typedef struct mg_accepting {
    mg_loop *loop;     // borrowed
    mg_server *server; // borrowed; NULL: nothing is accepted yet
    uint32_t own;      // slot
    mg_accepting_socket *sockets;
    size_t count;
    uint64_t lent[4];               // set of slots
    mg_tls_store *keys;             // NULL: no endpoint speaks TLS
    const void *tickets;            // the ring that all workers share, borrowed
    struct mg_challenge *challenge; // of the moment (event/tls_challenge.h), owned; NULL: none
    void (*on_fault)(void *arg, const char *text);
    void *fault_arg;
} mg_accepting;

// Zeroed but for `loop`, `own`, `tickets` and who is told of faults before. Takes `fd`. `endpoint`
// is what mg_endpoint_write has written.
void mg_accepting_add(mg_accepting *a, uint32_t id, uint32_t slot, int fd, mg_str endpoint);

// Who connects from now on finds that; who waits already is still taken as before.
void mg_accepting_change(mg_accepting *a, uint32_t id, mg_str endpoint);

// Certificates from now on: `fd` is taken. Who connects from now on finds them; all connections
// stay. `visible`: others in this process may open the memory, too.
void mg_accepting_take_keys(mg_accepting *a, int fd, bool visible);

// What a directory is shown from now on that looks whose a name is; nothing if it is empty.
void mg_accepting_take_challenge(mg_accepting *a, mg_str text);

void mg_accepting_forget(mg_accepting *a, uint32_t id);
void mg_accepting_lend(mg_accepting *a, uint32_t slot, bool lent);

// Accepts from now on.
void mg_accepting_begin(mg_accepting *a, mg_server *server);

// Accepts no more, having taken whoever waits; the sockets stay open.
void mg_accepting_end(mg_accepting *a);
void mg_accepting_deinit(mg_accepting *a); // behind mg_accepting_end
