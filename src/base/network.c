#include "base/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>

enum { V4_PREFIX_BITS = 96 };

_Static_assert(MG_IP_TEXT_BYTES == INET6_ADDRSTRLEN, "as long as the system says");

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool mg_ip_is_v4(const mg_ip *ip) {
    return memcmp(ip->bytes, v4_prefix, sizeof v4_prefix) == 0;
}

mg_ip mg_ip_of_v4(const uint8_t bytes[4]) {
    mg_ip out;
    memcpy(out.bytes, v4_prefix, sizeof v4_prefix);
    memcpy(out.bytes + sizeof v4_prefix, bytes, 4);
    return out;
}

bool mg_ip_of(const struct sockaddr_storage *address, mg_ip *out) {
    if (address->ss_family == AF_INET) {
        uint8_t bytes[4];
        memcpy(bytes, &((const struct sockaddr_in *)address)->sin_addr, sizeof bytes);
        *out = mg_ip_of_v4(bytes);
        return true;
    }
    if (address->ss_family == AF_INET6) {
        memcpy(out->bytes, &((const struct sockaddr_in6 *)address)->sin6_addr, sizeof out->bytes);
        return true;
    }
    return false;
}

bool mg_ip_parse(mg_str text, mg_ip *out) {
    char s[MG_IP_TEXT_BYTES];
    uint8_t v4[4];
    if (text.n == 0 || text.n >= sizeof s || memchr(text.p, '\0', text.n) != NULL) {
        return false;
    }
    memcpy(s, text.p, text.n);
    s[text.n] = '\0';
    if (inet_pton(AF_INET, s, v4) == 1) {
        *out = mg_ip_of_v4(v4);
        return true;
    }
    return inet_pton(AF_INET6, s, out->bytes) == 1;
}

void mg_ip_write(const mg_ip *ip, char out[MG_IP_TEXT_BYTES]) {
    bool v4 = mg_ip_is_v4(ip);
    const void *bytes = v4 ? ip->bytes + sizeof v4_prefix : ip->bytes;
    (void)inet_ntop(v4 ? AF_INET : AF_INET6, bytes, out, MG_IP_TEXT_BYTES);
}

bool mg_network_parse(mg_str text, mg_network *out) {
    const char *slash = text.n > 0 ? memchr(text.p, '/', text.n) : NULL;
    mg_str address = {text.p, slash != NULL ? (size_t)(slash - text.p) : text.n};
    if (!mg_ip_parse(address, &out->address)) {
        return false;
    }
    bool v4 = memchr(address.p, ':', address.n) == NULL;
    uint64_t bits = v4 ? 32 : 128;
    if (slash != NULL && !mg_str_to_u64((mg_str){slash + 1, text.n - address.n - 1}, bits, &bits)) {
        return false;
    }
    out->bits = (unsigned)bits + (v4 ? V4_PREFIX_BITS : 0);
    return true;
}

bool mg_network_has(const mg_network *n, const mg_ip *ip) {
    unsigned whole = n->bits / 8;
    unsigned rest = n->bits % 8;
    if ((n->bits < V4_PREFIX_BITS && mg_ip_is_v4(ip)) ||
        memcmp(n->address.bytes, ip->bytes, whole) != 0) {
        return false;
    }
    return rest == 0 || (n->address.bytes[whole] ^ ip->bytes[whole]) >> (8 - rest) == 0;
}
