// http/forwarded.h: which proxies are believed, and what they say of the client: Forwarded (RFC 7239) and X-Forwarded-*.
#pragma once

#include "base/error.h"
#include "http/message.h"

#include <sys/socket.h>

// A list of networks. Owned by whoever made it.
typedef struct mg_trust mg_trust;

// Reads "10.0.0.0/8", "::1", "fd00::/8", "unix" (local sockets). MG_ECONFIG with text.
int mg_trust_new(mg_trust **out, const char *const *texts, size_t n, mg_error *err);
void mg_trust_free(mg_trust *t); // accepts NULL

// Is the peer, or the IP address in `text`, in one of the networks? A `t` of NULL trusts nobody.
bool mg_trust_peer(const mg_trust *t, const struct sockaddr_storage *peer);
bool mg_trust_text(const mg_trust *t, mg_str text);

// What a request's origin is. In: what the connection itself says. Out: what trusted proxies say instead; spans of the fields.
typedef struct mg_forwarded {
    mg_str client_ip;
    mg_str scheme;
    mg_str host;
} mg_forwarded;

// The hops are walked from the nearest to the farthest while they are trusted; an unknown or obfuscated one ends the walk. Forwarded
// goes before X-Forwarded-*. To be called only if the peer is trusted.
void mg_forwarded_apply(const mg_trust *t, const mg_head *h, mg_forwarded *f);
