// http/forwarded.h: which proxies are believed, and what they say of the client: Forwarded (RFC
// 7239) and X-Forwarded-*.
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

// Is the peer, or the IP address in `text`, in one of the networks? A `t` of NULL trusts nobody.
bool mg_trust_peer(const mg_trust *t, const struct sockaddr_storage *peer);
bool mg_trust_text(const mg_trust *t, mg_str text);

// Where a request comes from. In: what the connection itself says. Out: what trusted proxies say
// instead; spans borrow the fields of the head, or are static.
typedef struct mg_forwarded {
    mg_str client_ip;
    mg_str scheme;
    mg_str host;
} mg_forwarded;

// Each proxy adds the peer that it saw at the end of a list. The list is walked from the end while
// the hops are trusted; one that is unknown, obfuscated or malformed ends the walk. If there is a
// Forwarded field, X-Forwarded-* are not looked at: so a proxy that writes only these must be told
// to remove Forwarded. To be called only if the peer is trusted.
void mg_forwarded_apply(const mg_trust *t, const mg_head *h, mg_forwarded *f);
