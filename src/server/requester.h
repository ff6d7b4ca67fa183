// server/requester.h: who really asked, over which scheme and for which host, as far as trusted
// proxies tell.
#pragma once

#include "event/stream.h"
#include "server/exchange.h"

// Lies in the exchange's arena.
typedef struct mg_requester {
    mg_str client_ip; // an IP address without port; "unix" for a local socket; "unknown" if the
                      // peer had gone before it was asked for
    mg_str scheme;    // "http" or "https"
    mg_str host;      // as in the Host field; may be empty
    mg_str peer_ip;   // of the connection, whatever is told; as client_ip
    bool trusted;     // the peer is a proxy that is believed
} mg_requester;

// Computed at the first call for an exchange. Never NULL.
const mg_requester *mg_exchange_requester(mg_exchange *x);

// "address:port", "[v6]:port", "unix" or "unknown" of the connection's peer; terminated, in the
// exchange's arena.
mg_str mg_exchange_peer_name(mg_exchange *x);

// The same of whoever is at the other end of a stream.
enum { MG_PEER_TEXT = 80 };
void mg_peer_write(const mg_stream *s, char out[MG_PEER_TEXT]);

// An address without its port, else "unix" or "unknown".
void mg_ip_write_of(const struct sockaddr_storage *address, char out[MG_PEER_TEXT]);

// What the PROXY protocol tells of the exchange's connection, in that version
// (http/proxy_header.h); in the exchange's arena.
mg_str mg_exchange_proxy_header(mg_exchange *x, unsigned version);
