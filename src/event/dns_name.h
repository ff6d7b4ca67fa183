// event/dns_name.h: what is a name, and what needs nobody to be asked. Not for other rooms.
#pragma once

#include "event/dns_cache.h"

#include <netinet/in.h>
#include <string.h>

enum { MG_DNS_NAME_BYTES = 253 };

// A new reference if `host` is an IP literal, the loopback's name or no name at all; else NULL, and
// `name` is what to ask for: in lower case, as it is otherwise.
mg_dns_answer *mg_dns_name_read(const char *host, char name[MG_DNS_NAME_BYTES + 1]);

static inline void mg_dns_set_v4(struct sockaddr_storage *sa, struct in_addr ip) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = ip};
    memcpy(sa, &in, sizeof in);
}

static inline void mg_dns_set_v6(struct sockaddr_storage *sa, const struct in6_addr *ip) {
    struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_addr = *ip};
    memcpy(sa, &in, sizeof in);
}
