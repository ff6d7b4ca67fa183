// live/packet.h: one published message, as many subscribers hold it at once.
//
// Counted by references, on the heap. Each wire's form of it (a WebSocket frame, an event of an
// event stream) is made once, when the first subscriber asks for it, and shared by all: outboxes
// keep references, not copies. For one thread.
#pragma once

#include "base/buf.h"

typedef enum mg_packet_kind {
    MG_PACKET_TEXT,   // UTF-8, which whoever publishes has made sure of
    MG_PACKET_BINARY, // any bytes
} mg_packet_kind;

typedef enum mg_packet_form {
    MG_FORM_FRAME,    // an unmasked WebSocket frame
    MG_FORM_DEFLATED, // the same, compressed without context takeover
    MG_FORM_EVENT,    // text/event-stream
    MG_FORM_COUNT,
} mg_packet_form;

// What is published. All text is borrowed for the call.
typedef struct mg_publication {
    mg_packet_kind kind;
    mg_str payload;
    mg_str event, id; // for event streams, without line ends; empty: none. Others do not send them
} mg_publication;

typedef struct mg_packet {
    uint32_t refs;
    mg_publication message; // lies behind the struct
    mg_buf forms[MG_FORM_COUNT];
} mg_packet;

// A copy of `m`, with one reference, the caller's.
mg_packet *mg_packet_new(const mg_publication *m);

static inline mg_packet *mg_packet_ref(mg_packet *p) {
    p->refs++;
    return p;
}
void mg_packet_unref(mg_packet *p); // accepts NULL

// Its bytes in a form, which `encode` appends to an empty buffer if nobody has asked before. They
// live as long as the packet.
mg_str mg_packet_bytes(mg_packet *p, mg_packet_form form,
                       void (*encode)(const mg_publication *m, const void *arg, mg_buf *out),
                       const void *arg);
