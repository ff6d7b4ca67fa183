// gate/channel.h: messages between a master and one of its workers, each with a descriptor if need
// be.
//
// A pair of SOCK_SEQPACKET sockets: what is sent in one piece arrives in one piece, and the death
// of either end is the end of the channel. Sending never blocks: what the other end does not take
// waits here.
#pragma once

#include "base/str.h"
#include "event/loop.h"

typedef enum mg_message_type {
    // to a worker
    MG_MESSAGE_BEGIN = 1, // a: its slot; fd: the shared memory
    MG_MESSAGE_KEYS,      // fd: certificates of all endpoints, from now on
    MG_MESSAGE_SOCKET,    // a: the socket's id; b: the slot that owns it; fd; text: its endpoint
    MG_MESSAGE_ENDPOINT,  // a: a socket's id; text: its endpoint from now on
    MG_MESSAGE_FORGET,    // a: a socket's id: its address has left the configuration
    MG_MESSAGE_ACCEPT,    // a: a slot; b: 1 to accept for it, 0 to leave it to its owner again
    MG_MESSAGE_PREPARE,   // a: a generation; fd: its snapshot; text: dev: a fault to serve instead
    MG_MESSAGE_COMMIT,    // a: the generation that was prepared serves from now on
    MG_MESSAGE_ABANDON,   // a: it never will
    MG_MESSAGE_REOPEN,    // opens the log files anew
    MG_MESSAGE_STOP,      // stops gracefully
    // from a worker
    MG_MESSAGE_READY,  // a: a generation
    MG_MESSAGE_FAILED, // a: a generation; text: why
    // from either
    MG_MESSAGE_ORDER, // text: what a script said of an upstream (gate/orders.h)
    // from the process that asks for certificates
    MG_MESSAGE_ISSUED,      // there are others than those that are served
    MG_MESSAGE_CERTIFICATE, // text: a name, and on the next line how it stands, as JSON
    // to a worker from the process that asks for certificates, by way of the master, who sends it
    // back when all have it
    MG_MESSAGE_CHALLENGE, // a: its number; text: event/tls_challenge.h, or nothing
    // to a worker
    MG_MESSAGE_WAKER, // a: a slot; fd: what wakes its worker (live/ring.h)
} mg_message_type;

enum { MG_MESSAGE_TEXT = 64 * 1024, MG_SLOT_ALL = 0xffff };

typedef struct mg_message {
    mg_message_type type;
    uint32_t a, b;
    int fd;      // -1: none. Received: whoever takes it sets it to -1, else it is closed
    mg_str text; // at most MG_MESSAGE_TEXT bytes; received: borrowed
} mg_message;

typedef struct mg_channel mg_channel;
typedef struct mg_channel_events {
    void (*on_message)(void *arg, mg_message *m);
    void (*on_end)(void *arg); // the other end is gone; close the channel. Comes once
} mg_channel_events;

// Both ends, close-on-exec and non-blocking. A negative errno if there are none.
int mg_channel_pair(int fds[2]);

// `fd` is taken, also if this fails.
int mg_channel_open(mg_channel **out, mg_loop *loop, int fd, const mg_channel_events *events,
                    void *arg);

// Copies the text and the descriptor if they have to wait. A channel that has ended drops it.
void mg_channel_send(mg_channel *c, const mg_message *m);

// A message without a descriptor or a text.
void mg_channel_tell(mg_channel *c, mg_message_type type, uint32_t a, uint32_t b);

// What still waits is dropped. May be called in its own events. Accepts NULL.
void mg_channel_close(mg_channel *c);
