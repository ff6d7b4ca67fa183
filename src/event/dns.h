// event/dns.h: names to addresses, through c-ares: /etc/hosts, resolv.conf and its changes, TTLs.
//
// One mg_dns a loop; it owns a c-ares channel, what it has learned (until the TTL ends, bounded in
// count) and the questions under way. Several who ask the same at once share one question.
#pragma once

#include "event/loop.h"

#include <stddef.h>
#include <sys/socket.h>

typedef struct mg_dns mg_dns;
typedef struct mg_dns_lookup mg_dns_lookup;

typedef struct mg_dns_options {
    const char *nameservers; // "127.0.0.1:5353,..."; NULL: as resolv.conf says
    const char *resolv_conf; // NULL: /etc/resolv.conf; its changes are heeded
    const char *hosts;       // NULL: /etc/hosts; its changes are heeded
    uint32_t timeout_ms;     // of the first try, the next has twice that; 0: 1000
    uint32_t tries;          // 0: 2
    uint32_t entries;        // names remembered at most; 0: 4096
    uint32_t family_ms;      // IPv6 or IPv4 is waited for when the other is there; 0: 50 (RFC 8305)
} mg_dns_options;

enum { MG_DNS_ADDRESSES = 16 }; // of one name, at most

// `options` NULL: all defaults. Texts are copied.
int mg_dns_new(mg_dns **out, mg_loop *loop, const mg_dns_options *options);

// Lookups under way end without a call. Accepts NULL.
void mg_dns_free(mg_dns *d);

// `addresses` (borrowed for the call, port 0) in the order of RFC 6724 as far as the system knows
// it, IPv6 and IPv4 mixed. Status 0; -ENOENT: there is no such name (remembered for a short while);
// -ETIMEDOUT: no nameserver answered; MG_ESYNTAX: that is no name; another negative code: the
// question failed. `text` says it in a sentence.
typedef void (*mg_dns_cb)(void *arg, int status, const struct sockaddr_storage *addresses, size_t n,
                          const char *text);

// Looks `host` up: an IP literal, or a name that is given to c-ares as it is. `on_done` comes
// exactly once, never inside this call. `*out` is valid until then.
int mg_dns_start(mg_dns_lookup **out, mg_dns *d, const char *host, mg_dns_cb on_done, void *arg);

// How long what is known of `host` holds yet, in milliseconds; 0: nothing is remembered of it (it
// stands in the hosts file, or its answer failed).
uint64_t mg_dns_life_ms(mg_dns *d, const char *host);

// Whether this machine has a way to the address at all; nothing is sent.
bool mg_dns_has_route(const struct sockaddr_storage *address);

// No call comes after this. The question goes on for others and for the memory.
void mg_dns_cancel(mg_dns_lookup *l);
