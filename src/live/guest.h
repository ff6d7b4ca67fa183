// live/guest.h: the WebSockets of a worker that scripts serve, whichever generation of them.
//
// A guest is one socket: its messages are handled one after the other, each by the host that serves
// its route at that moment. A host is the scripts of one generation. Between two messages another
// host may take over; what crosses is the guest's state as text, which the former host packs.
//
//   OPENING: its request is under way; what is sent is kept
//      |  mg_guest_done
//      v
//   RESTING ---- something is there for it ----> READY: it stands in its host's queue
//      ^                                           |  mg_host_next
//      +---- mg_guest_done ---- BUSY: the host handles it
//                                 |  its end was handled
//                                 v
//                                freed
//
// One of a coroutine is BUSY from its opening to its end, on one host, which takes its messages by
// itself. Only become() in guest.c changes the phase.
#pragma once

#include "base/slots.h"
#include "live/socket.h"
#include "live/topics.h"

typedef struct mg_guest mg_guest;
typedef struct mg_guests mg_guests;
typedef struct mg_host mg_host;
typedef struct mg_guest_message mg_guest_message;
typedef struct mg_kept_record mg_kept_record; // server/kept_record.h

// All sockets of one route, found by its name; kept as long as it has any, or a host.
typedef struct mg_guest_route {
    mg_link link;
    mg_link guests, coroutines;
    mg_host *host;   // who serves it; NULL: nobody any more
    mg_host *former; // who did before, while hosts change
    uint32_t id;     // of the route, for the host
    uint32_t count;  // of both lists
    uint32_t most;   // that it may have; 0: any number
    mg_socket_kind *kind;
    bool table;  // its sockets are handled message by message
    bool renews; // the host wants to see each guest that it takes over, at once
    char name[];
} mg_guest_route;

typedef enum mg_guest_phase {
    MG_GUEST_OPENING,
    MG_GUEST_RESTING,
    MG_GUEST_READY,
    MG_GUEST_BUSY,
} mg_guest_phase;

struct mg_guest {
    mg_socket socket;
    mg_subscriber subscriber;
    mg_guests *guests;
    mg_guest_route *route;
    mg_link link;  // in its route
    mg_link ready; // in the queue of `at`
    mg_host *host; // who has its state; NULL: it is packed
    mg_host *at;   // whose claims count it; NULL: nobody's
    mg_guest_message *first, *last;
    size_t waiting;         // bytes of them
    mg_buf state;           // packed
    void *facts;            // of its request, for the hosts; one block, freed with it
    mg_kept_record *record; // its line in the access log; NULL: none
    void *reader, *writer;  // of the host: who waits for a message, and for room; NULL: nobody
    uint32_t route_id;      // of its route, for `host`
    uint64_t request;       // likewise: of a coroutine, what is told that the peer has left
    uint64_t handle;
    mg_buf reason; // of its end
    uint16_t code; // of its end; 0: it has not ended
    uint8_t phase;
    bool table : 1;
    bool renewed : 1; // another host has taken its route over, which wants to see it
    bool leaving : 1; // it is to go: it is closed once it rests, a coroutine's once it is opened
    bool told : 1;    // its end was given out
    bool reads : 1;   // of a coroutine: it has asked for a message
};

// What an operator may set, beside what routes say.
typedef struct mg_guest_options {
    uint32_t outbox_bytes; // of packets that wait for one peer
    uint32_t close_ms;     // that a peer has for its half of the closing handshake
} mg_guest_options;

// `topics` are borrowed.
mg_guests *mg_guests_new(mg_loop *loop, mg_topics *topics, const mg_guest_options *options);
void mg_guests_set_options(mg_guests *all, const mg_guest_options *options); // of later routes
void mg_guests_free(mg_guests *all); // aborts who is still there; accepts NULL

// Whoever `handle` names, or NULL.
mg_guest *mg_guests_get(const mg_guests *all, uint64_t handle);

// For each route that has sockets, and each host among them: how many.
void mg_guests_count(const mg_guests *all,
                     void (*each)(void *arg, const char *route, uint32_t generation, uint32_t n),
                     void *arg);

typedef enum mg_guest_event_kind {
    MG_GUEST_RENEWED, // another host served its route before
    MG_GUEST_MESSAGE,
    MG_GUEST_ENDED, // the last one: socket.code and reason tell why
} mg_guest_event_kind;

typedef struct mg_guest_event {
    mg_guest_event_kind kind;
    mg_guest *guest;
    mg_packet_kind type;
    mg_str data; // until mg_guest_drop_message
} mg_guest_event;

// A guest OPENING on `h`, whose route it serves. MG_ECLOSED: nobody serves one of that name.
// MG_ELIMIT: the route has as many as it may.
int mg_guest_new(mg_guest **out, mg_host *h, mg_str route);

// Its opening was refused, or its request is gone.
void mg_guest_drop(mg_guest *g);

// OPENING or BUSY: it is handled; goes on with what has come meanwhile. Behind MG_GUEST_ENDED it is
// freed by this, and a coroutine's as soon as its socket has ended.
void mg_guest_done(mg_guest *g);

// OPENING: a coroutine has it from here on.
void mg_guest_hand_over(mg_guest *g);

// The first message that waits, of a guest that is BUSY; false: there is none. It stays until it is
// dropped.
bool mg_guest_look(mg_guest *g, mg_guest_event *out);
void mg_guest_drop_message(mg_guest *g);

// The server stops, or the drain is over: MG_WS_RESTART, behind what is being handled.
void mg_guest_leave(mg_guest *g);
