#include "server/origin.h"

#include "http/forwarded.h"
#include "server/server.h"
#include "server/wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static mg_str keep(mg_exchange *x, const char *text) {
    mg_str s = mg_str_of(text);
    return (mg_str){mg_arena_copy(&x->arena, s), s.n};
}

static bool write_ip(const struct sockaddr_storage *sa, char *out, size_t cap, unsigned *port) {
    const void *address;
    if (sa->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
        address = &in->sin_addr;
        *port = ntohs(in->sin_port);
    } else if (sa->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)sa;
        address = &in->sin6_addr;
        *port = ntohs(in->sin6_port);
    } else {
        return false;
    }
    return inet_ntop(sa->ss_family, address, out, (socklen_t)cap) != NULL;
}

// The peer's address; of family AF_UNSPEC if there is none any more, since a peer that has reset
// its connection must not pass for a local one.
static struct sockaddr_storage peer_of(const mg_exchange *x) {
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    if (x->wire->address(x, &peer) < 0) {
        peer.ss_family = AF_UNSPEC;
    }
    return peer;
}

static mg_str name_without_ip(const struct sockaddr_storage *peer) {
    return peer->ss_family == AF_UNIX ? MG_STR("unix") : MG_STR("unknown");
}

const mg_origin *mg_exchange_origin(mg_exchange *x) {
    if (x->origin != NULL) {
        return x->origin;
    }
    mg_origin *o = mg_arena_alloc(&x->arena, sizeof *o);
    struct sockaddr_storage peer = peer_of(x);
    char ip[64];
    unsigned port;
    mg_forwarded f = {
        .client_ip = write_ip(&peer, ip, sizeof ip, &port) ? keep(x, ip) : name_without_ip(&peer),
        .scheme = MG_STR("http"),
        .host = x->head.host,
    };
    const mg_trust *trust = x->server->options.trust;
    if (mg_trust_peer(trust, &peer)) {
        mg_forwarded_apply(trust, &x->head, &f);
    }
    *o = (mg_origin){f.client_ip, f.scheme, f.host};
    x->origin = o;
    return o;
}

mg_str mg_exchange_peer_name(mg_exchange *x) {
    struct sockaddr_storage peer = peer_of(x);
    char ip[64];
    char text[80];
    unsigned port;
    if (!write_ip(&peer, ip, sizeof ip, &port)) {
        return name_without_ip(&peer);
    }
    snprintf(text, sizeof text, peer.ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip, port);
    return keep(x, text);
}
