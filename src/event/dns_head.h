// event/dns_head.h: what a nameserver's answer says before its records: how it went, and for whom.
// Pure. Not for other rooms.
//
// c-ares keeps that to itself: of a server that fails, refuses or does not know how, it says that
// nobody could be reached, and of two families it tells when both are there.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { MG_DNS_SERVFAIL = 2, MG_DNS_NOTIMP = 4, MG_DNS_REFUSED = 5 }; // RFC 1035 section 4.1.1
enum { MG_DNS_HEAD_NAME_BYTES = 256 };

typedef struct mg_dns_head {
    unsigned code;
    int family;                        // that was asked for: AF_INET, AF_INET6; 0: neither
    bool holds;                        // records, or has so many that they come over TCP
    char name[MG_DNS_HEAD_NAME_BYTES]; // lower case, ending in a dot
} mg_dns_head;

// False: that is no answer to one question.
bool mg_dns_head_read(const unsigned char *p, size_t n, mg_dns_head *out);
