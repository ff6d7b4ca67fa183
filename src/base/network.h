// base/network.h: IP addresses and networks of them, whatever family they come in. Plain values.
#pragma once

#include "base/str.h"

#include <sys/socket.h>

// IPv4 is kept as ::ffff:a.b.c.d.
typedef struct mg_ip {
    uint8_t bytes[16];
} mg_ip;

typedef struct mg_network {
    mg_ip address;
    unsigned bits; // of 128 that count
} mg_network;

enum { MG_IP_TEXT_BYTES = 46 };

bool mg_ip_parse(mg_str text, mg_ip *out);
mg_ip mg_ip_of_v4(const uint8_t bytes[4]);
bool mg_ip_of(const struct sockaddr_storage *address, mg_ip *out); // false: of no IP family
bool mg_ip_is_v4(const mg_ip *ip);
void mg_ip_write(const mg_ip *ip, char out[MG_IP_TEXT_BYTES]);

// "10.0.0.0/8", "::1", "fd00::/8".
bool mg_network_parse(mg_str text, mg_network *out);

// A short IPv6 prefix, such as ::/0, has no say about IPv4.
bool mg_network_has(const mg_network *n, const mg_ip *ip);
