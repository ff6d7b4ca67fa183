// live/host.h: who handles guests (live/guest.h): the scripts of one generation, of which the last
// to be committed serves all routes.
//
// Lives in its owner's memory. Its queue holds guests for whom something has come; the owner takes
// them one by one, and says when each was handled.
#pragma once

#include "live/guest.h"

// A static table.
typedef struct mg_host_ops {
    // The queue is no longer empty. Records.
    void (*on_ready)(mg_host *h);
    // Of a guest of a coroutine: a message, or its end, has come. Records.
    void (*on_news)(mg_host *h, mg_guest *g);
    // Nothing waits for the guest's peer any more, or nothing can be sent: it has ended. Records.
    void (*on_drained)(mg_host *h, mg_guest *g);
    // The guest leaves for another host: appends its state as text, if it has any, and forgets it.
    // A negative code if the state cannot be text. Between turns of the host's scripts.
    int (*pack)(mg_host *h, mg_guest *g, mg_buf *out);
    // The guest is about to be freed.
    void (*forget)(mg_host *h, mg_guest *g);
} mg_host_ops;

// Lives in its owner's memory.
struct mg_host {
    const mg_host_ops *ops;
    mg_guests *guests;
    mg_link ready;
    uint32_t claims;     // guests that it has to do with yet, though others may serve their routes
    uint32_t generation; // for people
};

// A route as a host serves it. Borrowed for the call.
typedef struct mg_guest_terms {
    mg_str name;
    uint32_t id;
    uint32_t most; // sockets at once, in this worker; 0: any number
    bool table, renews;
    mg_socket_limits limits; // but for what mg_guest_options say
} mg_guest_terms;

void mg_host_init(mg_host *h, const mg_host_ops *ops, mg_guests *all, uint32_t generation);

// `h` serves these routes from now on; the routes of others that it does not have are nobody's.
void mg_host_serve(mg_host *h, const mg_guest_terms *terms, size_t n);

// Packs at most `n` guests that rest and whose routes others serve; true: there may be more of
// them.
bool mg_host_part(mg_host *h, uint32_t n);

// The scripts go: guests that nobody else can have are ended without a word.
void mg_host_leave(mg_host *h);

// The first of the queue becomes BUSY, with what is to be handled. False: the queue is empty.
bool mg_host_next(mg_host *h, mg_guest_event *out);
