// http/proxy_header.h: the PROXY protocol (haproxy.org, "The PROXY protocol", versions 1 and 2):
// what a load balancer says of its client before the first byte of the connection's own.
//
// Pure: bytes in, addresses out, or the other way. It owns nothing and keeps nothing.
#pragma once

#include "base/buf.h"

#include <netinet/in.h>
#include <sys/socket.h>

// Of a local socket the family alone is kept.
typedef union mg_proxy_address {
    sa_family_t family;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} mg_proxy_address;

typedef struct mg_proxy_header {
    bool told; // false (LOCAL, UNKNOWN, UNSPEC): the connection's own addresses hold
    mg_proxy_address source;
    mg_proxy_address destination;
} mg_proxy_header;

typedef enum mg_proxy_verdict {
    MG_PROXY_MORE, // so far it may be one
    MG_PROXY_DONE,
    MG_PROXY_BAD,
} mg_proxy_verdict;

typedef struct mg_proxy_reading {
    size_t most; // in: bytes that a header may have
    size_t used; // DONE: bytes of the header
    mg_proxy_header header;
    const char *fault; // BAD: why, static text
} mg_proxy_reading;

// Reads the header that `data` begins with; all bytes from the connection's first on are to be
// given each time. A checksum (CRC32C) is verified where there is one, other TLVs are skipped.
mg_proxy_verdict mg_proxy_header_read(mg_proxy_reading *r, mg_str data);

// A header that tells of a connection between two addresses; of none unless both are of the same
// family, IPv4 or IPv6.
mg_proxy_header mg_proxy_header_of(const struct sockaddr_storage *source,
                                   const struct sockaddr_storage *destination);

// Appends it, as version 1 or 2 writes it.
void mg_proxy_header_write(mg_buf *out, unsigned version, const mg_proxy_header *h);
