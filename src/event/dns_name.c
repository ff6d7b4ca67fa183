#include "event/dns_name.h"

#include "event/dns.h"

#include "base/error.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

enum { LABEL_BYTES = 63 };

// No top-level domain is a number. c-ares would take 127.0.0.010 for an address, and for another
// one than the system does.
static bool ends_in_number(const char *name, size_t n) {
    n -= name[n - 1] == '.';
    size_t from = n;
    while (from > 0 && name[from - 1] != '.') {
        from--;
    }
    bool hex = n - from > 1 && name[from] == '0' && name[from + 1] == 'x';
    for (size_t i = hex ? from + 2 : from; i < n; i++) {
        if (hex ? !isxdigit((unsigned char)name[i]) : !isdigit((unsigned char)name[i])) {
            return false;
        }
    }
    return true;
}

// Lower case, and only what can be a name: labels of letters, digits, '-' and '_'; a dot may end
// it.
static bool copy_name(const char *host, char *name) {
    size_t n = strnlen(host, MG_DNS_NAME_BYTES + 1);
    if (n == 0 || n > MG_DNS_NAME_BYTES) {
        return false;
    }
    size_t label = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)host[i];
        if (c == '.') {
            if (label == 0) {
                return false;
            }
            label = 0;
        } else if (c >= 128 || (!isalnum(c) && c != '-' && c != '_') || ++label > LABEL_BYTES) {
            return false;
        }
        name[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    name[n] = '\0';
    return !ends_in_number(name, n);
}

static bool is_localhost(const char *name) {
    static const char word[] = "localhost";
    size_t n = strlen(name);
    n -= name[n - 1] == '.' ? 1 : 0;
    size_t w = sizeof word - 1;
    return n >= w && memcmp(name + n - w, word, w) == 0 && (n == w || name[n - w - 1] == '.');
}

static mg_dns_answer *bad_name(const char *host) {
    char shown[65];
    size_t n = strnlen(host, sizeof shown - 1);
    for (size_t i = 0; i < n; i++) {
        shown[i] = '?';
        if (host[i] > ' ' && host[i] < 127) {
            shown[i] = host[i];
        }
    }
    shown[n] = '\0';
    char text[160];
    snprintf(text, sizeof text, "that is no host name: \"%s%s\"", shown,
             host[n] != '\0' ? "..." : "");
    return mg_dns_answer_new(MG_ESYNTAX, text, 0);
}

static mg_dns_answer *literal(const char *host) {
    struct in_addr v4;
    struct in6_addr v6;
    bool is_v4 = inet_pton(AF_INET, host, &v4) == 1;
    if (!is_v4 && inet_pton(AF_INET6, host, &v6) != 1) {
        return NULL;
    }
    mg_dns_answer *a = mg_dns_answer_new(MG_OK, "", 1);
    if (is_v4) {
        mg_dns_set_v4(&a->addresses[0], v4);
    } else {
        mg_dns_set_v6(&a->addresses[0], &v6);
    }
    return a;
}

// Nothing is sent: the system only looks for a route.
bool mg_dns_has_route(const struct sockaddr_storage *address) {
    struct sockaddr_storage to = *address;
    if (to.ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)&to)->sin6_port = htons(9);
    } else {
        ((struct sockaddr_in *)&to)->sin_port = htons(9);
    }
    int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return false;
    }
    socklen_t n =
        to.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    bool yes = connect(fd, (const struct sockaddr *)&to, n) == 0;
    close(fd);
    return yes;
}

// RFC 6761, 6.3: never a matter of nameservers. Without IPv6 in the system ::1 comes last (RFC
// 6724, rule 1).
static mg_dns_answer *loopback(void) {
    mg_dns_answer *a = mg_dns_answer_new(MG_OK, "", 2);
    struct sockaddr_storage six = {0};
    mg_dns_set_v6(&six, &in6addr_loopback);
    size_t at = mg_dns_has_route(&six) ? 0 : 1;
    a->addresses[at] = six;
    mg_dns_set_v4(&a->addresses[1 - at], (struct in_addr){htonl(INADDR_LOOPBACK)});
    return a;
}

mg_dns_answer *mg_dns_name_read(const char *host, char name[MG_DNS_NAME_BYTES + 1]) {
    mg_dns_answer *a = literal(host);
    if (a != NULL) {
        return a;
    }
    if (!copy_name(host, name)) {
        return bad_name(host);
    }
    return is_localhost(name) ? loopback() : NULL;
}
