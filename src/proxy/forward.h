// proxy/forward.h: what a proxy changes of a message that it passes on: target, Host, fields (RFC
// 9110 section 7.6, RFC 7239). Pure: heads in, lists out.
//
// All that is made lies in the arena of the list that is filled, or is borrowed from what was
// given, which must outlive it.
#pragma once

#include "http/message.h"
#include "proxy/options.h"
#include "server/requester.h"

// How one route rewrites its requests. Zeroed: nothing. Texts and lists are borrowed.
typedef struct mg_forward_rules {
    mg_str strip; // segments that are taken off the front of the path: "/users"; empty: none
    mg_str path;  // instead of the path, with "?" instead of the query too; empty: as it came
    mg_str host;  // the Host field: "client", "upstream" or a literal; empty: as the upstream says
    const mg_fields *set;     // instead of the client's fields of these names; NULL: none
    const mg_fields *removed; // names alone; NULL: none
} mg_forward_rules;

// The target as it goes on: byte for byte as it came, unless a rule rewrites it.
mg_str mg_forward_target(const mg_head *h, const mg_forward_rules *rules, mg_arena *arena);

// What Host tells. `server` is its own name.
mg_str mg_forward_host(const mg_head *h, const mg_forward_rules *rules,
                       const mg_upstream_options *o, mg_str server);

// A request as it came.
typedef struct mg_forward_from {
    const mg_head *head;
    mg_str protocol; // "HTTP/1.1"
    const mg_requester *who;
    bool forwarded; // Forwarded is what a trusted peer is believed by, not X-Forwarded-For
} mg_forward_from;

// Fills the empty list `out` with the fields of a request, without those of framing and Host: its
// own, but for those that end here, then who asked. What an untrusted peer says of that is dropped;
// a trusted one's X-Forwarded-For is continued, and Forwarded (RFC 7239) says the same.
void mg_forward_request(mg_fields *out, const mg_forward_from *from, const mg_forward_rules *rules);

// About what that takes in the arena, texts that are made included.
size_t mg_forward_bytes(const mg_head *h, const mg_forward_rules *rules);

// The same of a response. MG_ELIMIT: it has too many.
int mg_forward_response(mg_fields *out, const mg_response *r);

// The same of an interim response, without Via, and of trailers: what decides about framing,
// routing or rights has no place there (RFC 9110 section 6.5.1).
void mg_forward_interim(mg_fields *out, const mg_head *h);
void mg_forward_trailers(mg_fields *out, const mg_fields *from);
