// http/forwarded.h: which proxies are believed, in which fields, and what they say there of the
// client: Forwarded (RFC 7239) or X-Forwarded-*.
#pragma once

#include "base/error.h"
#include "http/message.h"

#include <sys/socket.h>

// A list of networks; does not change once it is made.
typedef struct mg_trust mg_trust;

// Reads "10.0.0.0/8", "::1", "fd00::/8", "unix" (local sockets). The texts are borrowed for the
// call. MG_ECONFIG, with a text, and `*out` NULL at the first that is none of these.
int mg_trust_new(mg_trust **out, const char *const *texts, size_t n, mg_error *err);
void mg_trust_free(mg_trust *t); // accepts NULL

// The fields that these proxies write, instead of X-Forwarded-For alone: "forwarded", which tells
// all, or some of "x-forwarded-for", "x-forwarded-proto" and "x-forwarded-host". What a proxy does
// not write itself it hands on from the client, so no other field is ever looked at. MG_ECONFIG,
// with a text.
int mg_trust_heed(mg_trust *t, const char *const *names, size_t n, mg_error *err);

// Is the peer, or the IP address in `text`, in one of the networks? A `t` of NULL trusts nobody.
bool mg_trust_peer(const mg_trust *t, const struct sockaddr_storage *peer);
bool mg_trust_text(const mg_trust *t, mg_str text);

// Whether Forwarded tells all.
bool mg_trust_heeds_forwarded(const mg_trust *t); // false for NULL

// Where a request comes from. In: what the connection itself says. Out: what trusted proxies say
// instead; spans borrow the fields of the head, or are static.
typedef struct mg_forwarded {
    mg_str client_ip;
    mg_str scheme;
    mg_str host;
} mg_forwarded;

// Each proxy adds the peer that it saw at the end of a list. The list is walked from the end while
// the hops are trusted; one that is unknown, obfuscated or malformed ends the walk. To be called
// only if the peer is trusted.
void mg_forwarded_apply(const mg_trust *t, const mg_head *h, mg_forwarded *f);
