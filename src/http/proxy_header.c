#include "http/proxy_header.h"

#include <arpa/inet.h>
#include <string.h>

enum {
    LINE_MOST = 107, // version 1, with its CRLF
    SIGNATURE = 12,
    FIXED = 16, // version 2: signature, version and command, family, length
    UNIX_PATH = 108,
    TLV_HEAD = 3,
    TLV_CRC32C = 3,
};

static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";

static mg_proxy_verdict bad(mg_proxy_reading *r, const char *fault) {
    r->fault = fault;
    return MG_PROXY_BAD;
}

static mg_proxy_verdict done(mg_proxy_reading *r, size_t used) {
    r->used = used;
    return MG_PROXY_DONE;
}

// --- version 1: a line of text ---

static bool read_port(mg_str word, in_port_t *out) {
    uint64_t port;
    if ((word.n > 1 && word.p[0] == '0') || !mg_str_to_u64(word, UINT16_MAX, &port)) {
        return false;
    }
    *out = htons((uint16_t)port);
    return true;
}

static bool read_ip(mg_str word, int family, mg_proxy_address *out) {
    char text[INET6_ADDRSTRLEN];
    if (word.n >= sizeof text) {
        return false;
    }
    memcpy(text, word.p, word.n);
    text[word.n] = '\0';
    out->family = (sa_family_t)family;
    void *at = family == AF_INET ? (void *)&out->v4.sin_addr : (void *)&out->v6.sin6_addr;
    return strlen(text) == word.n && inet_pton(family, text, at) == 1;
}

static in_port_t *port_of(mg_proxy_address *a) {
    return a->family == AF_INET ? &a->v4.sin_port : &a->v6.sin6_port;
}

static bool read_addresses(mg_proxy_header *h, int family, mg_str rest) {
    mg_str source = mg_str_cut(&rest, ' ');
    mg_str destination = mg_str_cut(&rest, ' ');
    mg_str source_port = mg_str_cut(&rest, ' ');
    return read_ip(source, family, &h->source) && read_ip(destination, family, &h->destination) &&
           read_port(source_port, port_of(&h->source)) && read_port(rest, port_of(&h->destination));
}

// `line` is what lies between "PROXY " and CRLF.
static bool read_line(mg_proxy_header *h, mg_str line) {
    mg_str protocol = mg_str_cut(&line, ' ');
    if (mg_str_eq(protocol, MG_STR("UNKNOWN"))) {
        return true;
    }
    h->told = true;
    if (mg_str_eq(protocol, MG_STR("TCP4"))) {
        return read_addresses(h, AF_INET, line);
    }
    return mg_str_eq(protocol, MG_STR("TCP6")) && read_addresses(h, AF_INET6, line);
}

static mg_proxy_verdict read_v1(mg_proxy_reading *r, mg_str data) {
    const mg_str prefix = MG_STR("PROXY ");
    size_t n = data.n < LINE_MOST ? data.n : LINE_MOST;
    const char *end = memchr(data.p, '\n', n);
    if (end == NULL) {
        return n == LINE_MOST ? bad(r, "its line is too long") : MG_PROXY_MORE;
    }
    size_t used = (size_t)(end - data.p) + 1;
    if (used < prefix.n + 2 || end[-1] != '\r' ||
        !read_line(&r->header, (mg_str){data.p + prefix.n, used - prefix.n - 2})) {
        return bad(r, "its line is malformed");
    }
    return done(r, used);
}

// --- version 2: binary ---

static uint8_t byte_at(mg_str s, size_t i) {
    return (uint8_t)s.p[i];
}

static size_t u16_at(mg_str s, size_t i) {
    return (size_t)byte_at(s, i) << 8 | byte_at(s, i + 1);
}

static uint32_t u32_at(mg_str s, size_t i) {
    return (uint32_t)u16_at(s, i) << 16 | (uint32_t)u16_at(s, i + 2);
}

static uint32_t crc_step(uint32_t crc, uint8_t byte) {
    crc ^= byte;
    for (int bit = 0; bit < 8; bit++) {
        crc = crc >> 1 ^ (0x82f63b78 & (0 - (crc & 1)));
    }
    return crc;
}

// Over the whole header, the four bytes at `at`, where the sum itself lies, as zeros.
static uint32_t checksum(mg_str header, size_t at) {
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < header.n; i++) {
        crc = crc_step(crc, i >= at && i < at + 4 ? 0 : byte_at(header, i));
    }
    return ~crc;
}

static bool take_tlv(mg_str header, size_t at, size_t n) {
    if (byte_at(header, at) != TLV_CRC32C) {
        return true;
    }
    at += TLV_HEAD;
    return n == 4 && u32_at(header, at) == checksum(header, at);
}

// What lies behind the addresses of a header that tells nothing need not be TLVs.
static bool take_tlvs(mg_str header, size_t at, bool told) {
    while (at < header.n) {
        if (header.n - at < TLV_HEAD || u16_at(header, at + 1) > header.n - at - TLV_HEAD) {
            return !told;
        }
        size_t n = u16_at(header, at + 1);
        if (!take_tlv(header, at, n)) {
            return false;
        }
        at += TLV_HEAD + n;
    }
    return true;
}

static size_t address_bytes(unsigned family) {
    static const size_t bytes[] = {0, 2 * 4 + 4, 2 * 16 + 4, 2 * UNIX_PATH};
    return bytes[family];
}

static void take_v4(mg_proxy_header *h, const char *p) {
    h->source.family = h->destination.family = AF_INET;
    memcpy(&h->source.v4.sin_addr, p, 4);
    memcpy(&h->destination.v4.sin_addr, p + 4, 4);
    memcpy(&h->source.v4.sin_port, p + 8, 2);
    memcpy(&h->destination.v4.sin_port, p + 10, 2);
}

static void take_v6(mg_proxy_header *h, const char *p) {
    h->source.family = h->destination.family = AF_INET6;
    memcpy(&h->source.v6.sin6_addr, p, 16);
    memcpy(&h->destination.v6.sin6_addr, p + 16, 16);
    memcpy(&h->source.v6.sin6_port, p + 32, 2);
    memcpy(&h->destination.v6.sin6_port, p + 34, 2);
}

static void take_addresses(mg_proxy_header *h, unsigned family, const char *p) {
    h->told = family != 0;
    if (family == 1) {
        take_v4(h, p);
    } else if (family == 2) {
        take_v6(h, p);
    } else if (family == 3) {
        h->source.family = h->destination.family = AF_UNIX;
    }
}

// Datagrams are let pass: a proxy that speaks HTTP/3 to its clients says so.
static mg_proxy_verdict read_v2(mg_proxy_reading *r, mg_str data) {
    if (data.n < FIXED) {
        return MG_PROXY_MORE;
    }
    unsigned command = byte_at(data, SIGNATURE) ^ 0x20u; // of version 2
    unsigned family = byte_at(data, SIGNATURE + 1) >> 4;
    unsigned transport = byte_at(data, SIGNATURE + 1) & 15;
    mg_str header = {data.p, FIXED + u16_at(data, SIGNATURE + 2)};
    if (command > 1) {
        return bad(r, "its version or command is unknown");
    }
    if (header.n > r->most) {
        return bad(r, "it is too long");
    }
    bool local = command == 0;
    bool known = family <= 3 && transport <= 2 && (family == 0) == (transport == 0);
    size_t addresses = known ? address_bytes(family) : 0;
    if (!local && (!known || header.n < FIXED + addresses)) {
        return bad(r, "its addresses are malformed");
    }
    if (data.n < header.n) {
        return MG_PROXY_MORE;
    }
    if (!local) {
        take_addresses(&r->header, family, header.p + FIXED);
    }
    if (!take_tlvs(header, FIXED + addresses, r->header.told)) {
        return bad(r, "its TLVs are malformed, or its checksum is wrong");
    }
    return done(r, header.n);
}

static bool may_be(mg_str data, const char *begin, size_t n) {
    return memcmp(data.p, begin, data.n < n ? data.n : n) == 0;
}

mg_proxy_verdict mg_proxy_header_read(mg_proxy_reading *r, mg_str data) {
    memset(&r->header, 0, sizeof r->header);
    if (data.n == 0) {
        return MG_PROXY_MORE;
    }
    if (may_be(data, "PROXY ", 6)) {
        return read_v1(r, data);
    }
    if (may_be(data, signature, SIGNATURE)) {
        return read_v2(r, data);
    }
    return bad(r, "there is none");
}

// --- writing ---

mg_proxy_header mg_proxy_header_of(const struct sockaddr_storage *source,
                                   const struct sockaddr_storage *destination) {
    mg_proxy_header h = {0};
    sa_family_t family = source->ss_family;
    h.told = family == destination->ss_family && (family == AF_INET || family == AF_INET6);
    if (h.told) {
        memcpy(&h.source, source, sizeof h.source);
        memcpy(&h.destination, destination, sizeof h.destination);
    }
    return h;
}

static const void *ip_of(const mg_proxy_address *a) {
    return a->family == AF_INET ? (const void *)&a->v4.sin_addr : (const void *)&a->v6.sin6_addr;
}

static in_port_t port_at(const mg_proxy_address *a) {
    return a->family == AF_INET ? a->v4.sin_port : a->v6.sin6_port;
}

static void write_v1(mg_buf *out, const mg_proxy_header *h) {
    char source[INET6_ADDRSTRLEN];
    char destination[INET6_ADDRSTRLEN];
    if (!h->told || inet_ntop(h->source.family, ip_of(&h->source), source, sizeof source) == NULL ||
        inet_ntop(h->source.family, ip_of(&h->destination), destination, sizeof destination) ==
            NULL) {
        mg_buf_append_str(out, MG_STR("PROXY UNKNOWN\r\n"));
        return;
    }
    mg_buf_printf(out, "PROXY TCP%c %s %s %u %u\r\n", h->source.family == AF_INET ? '4' : '6',
                  source, destination, ntohs(port_at(&h->source)), ntohs(port_at(&h->destination)));
}

// Version and command, family and transport (a stream), length.
static void write_v2(mg_buf *out, const mg_proxy_header *h) {
    bool v4 = h->source.family == AF_INET;
    size_t bytes = v4 ? 4 : 16;
    mg_buf_append(out, signature, SIGNATURE);
    if (!h->told) {
        mg_buf_append(out, "\x20\0\0\0", 4); // LOCAL
        return;
    }
    const char fixed[] = {'\x21', v4 ? '\x11' : '\x21', 0, (char)(2 * bytes + 4)};
    mg_buf_append(out, fixed, sizeof fixed);
    mg_buf_append(out, ip_of(&h->source), bytes);
    mg_buf_append(out, ip_of(&h->destination), bytes);
    const in_port_t ports[] = {port_at(&h->source), port_at(&h->destination)};
    mg_buf_append(out, ports, sizeof ports);
}

void mg_proxy_header_write(mg_buf *out, unsigned version, const mg_proxy_header *h) {
    (version == 1 ? write_v1 : write_v2)(out, h);
}
