#include "event/dns_head.h"

#include <ctype.h>
#include <sys/socket.h>

enum { HEADER_BYTES = 12, TYPE_A = 1, TYPE_AAAA = 28, LABEL_BYTES = 63 };

static unsigned read16(const unsigned char *p) {
    return (unsigned)p[0] << 8 | p[1];
}

// A name of a question is never compressed. Returns where it ends; 0: nowhere.
static size_t read_name(const unsigned char *p, size_t n, char *out) {
    size_t at = HEADER_BYTES;
    size_t len = 0;
    while (at < n && p[at] != 0) {
        size_t label = p[at++];
        if (label > LABEL_BYTES || label > n - at || len + label + 2 > MG_DNS_HEAD_NAME_BYTES) {
            return 0;
        }
        for (; label > 0; label--, at++) {
            if (p[at] <= ' ' || p[at] == '.') { // in no name that was asked for
                return 0;
            }
            out[len++] = (char)tolower(p[at]);
        }
        out[len++] = '.';
    }
    out[len] = '\0';
    return at < n && len > 0 ? at + 1 : 0;
}

bool mg_dns_head_read(const unsigned char *p, size_t n, mg_dns_head *out) {
    bool is_answer = n > HEADER_BYTES && (p[2] & 0x80) != 0 && read16(p + 4) == 1;
    size_t end = is_answer ? read_name(p, n, out->name) : 0;
    if (end == 0 || n - end < 4) {
        return false;
    }
    unsigned type = read16(p + end);
    bool is_cut = (p[2] & 0x02) != 0;
    out->code = p[3] & 0x0fU;
    out->family = type == TYPE_A ? AF_INET : type == TYPE_AAAA ? AF_INET6 : 0;
    out->holds = out->code == 0 && (is_cut || read16(p + 6) > 0);
    return true;
}
