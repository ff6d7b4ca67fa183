#include "server/requester.h"

#include "http/forwarded.h"
#include "http/proxy_header.h"
#include "server/server.h"
#include "server/wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static mg_str keep(mg_exchange *x, const char *text) {
    mg_str s = mg_str_of(text);
    return (mg_str){mg_arena_copy(&x->arena, s), s.n};
}

// inet_ntop does it with a printf, for each request.
static void write_ipv4(const struct in_addr *address, char *out) {
    const uint8_t *bytes = (const uint8_t *)&address->s_addr;
    size_t n = 0;
    for (int i = 0; i < 4; i++) {
        n += mg_format_u64(out + n, bytes[i]);
        out[n++] = i < 3 ? '.' : '\0';
    }
}

enum { IP_TEXT = 64 };

static bool write_ip(const struct sockaddr_storage *sa, char out[IP_TEXT], unsigned *port) {
    if (sa->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
        *port = ntohs(in->sin_port);
        write_ipv4(&in->sin_addr, out);
        return true;
    }
    if (sa->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
        *port = ntohs(in6->sin6_port);
        return inet_ntop(AF_INET6, &in6->sin6_addr, out, IP_TEXT) != NULL;
    }
    return false;
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

const mg_requester *mg_exchange_requester(mg_exchange *x) {
    if (x->requester != NULL) {
        return x->requester;
    }
    mg_requester *o = mg_arena_alloc(&x->arena, sizeof *o);
    struct sockaddr_storage peer = peer_of(x);
    char ip[IP_TEXT];
    unsigned port;
    mg_forwarded f = {
        .client_ip = write_ip(&peer, ip, &port) ? keep(x, ip) : name_without_ip(&peer),
        .scheme = x->secure ? MG_STR("https") : MG_STR("http"),
        .host = x->head.host,
    };
    const mg_trust *trust = x->server->options.trust;
    mg_str peer_ip = f.client_ip;
    bool trusted = mg_trust_peer(trust, &peer);
    if (trusted) {
        mg_forwarded_apply(trust, &x->head, &f);
    }
    *o = (mg_requester){f.client_ip, f.scheme, f.host, peer_ip, trusted};
    x->requester = o;
    return o;
}

static void write_name(const struct sockaddr_storage *peer, char out[MG_PEER_TEXT]) {
    char ip[IP_TEXT];
    unsigned port;
    if (write_ip(peer, ip, &port)) {
        const char *form = peer->ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u";
        snprintf(out, MG_PEER_TEXT, form, ip, port);
    } else {
        snprintf(out, MG_PEER_TEXT, "%s", name_without_ip(peer).p);
    }
}

mg_str mg_exchange_peer_name(mg_exchange *x) {
    struct sockaddr_storage peer = peer_of(x);
    char text[MG_PEER_TEXT];
    write_name(&peer, text);
    return keep(x, text);
}

void mg_peer_write(const mg_stream *s, char out[MG_PEER_TEXT]) {
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    if (mg_stream_peer(s, &peer) < 0) {
        peer.ss_family = AF_UNSPEC;
    }
    write_name(&peer, out);
}

void mg_ip_write_of(const struct sockaddr_storage *address, char out[MG_PEER_TEXT]) {
    char ip[IP_TEXT];
    unsigned port;
    mg_str text = write_ip(address, ip, &port) ? mg_str_of(ip) : name_without_ip(address);
    memcpy(out, text.p, text.n);
    out[text.n] = '\0';
}

mg_str mg_exchange_proxy_header(mg_exchange *x, unsigned version) {
    struct sockaddr_storage source = peer_of(x);
    struct sockaddr_storage destination = {.ss_family = AF_UNSPEC};
    mg_buf text = {0};
    (void)x->wire->came_to(x, &destination);
    mg_proxy_header header = mg_proxy_header_of(&source, &destination);
    mg_proxy_header_write(&text, version, &header);
    mg_str kept = {mg_arena_copy(&x->arena, mg_buf_str(&text)), text.n};
    mg_buf_deinit(&text);
    return kept;
}
