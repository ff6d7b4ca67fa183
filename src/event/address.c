#include "event/listener.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

static int parse_unix(const char *path, mg_address *out, mg_error *err);
static bool split_port(mg_str text, mg_str *host, uint16_t *port);
static bool set_host(mg_address *out, mg_str host, uint16_t port);
static bool set_v6(mg_address *out, const char *host, uint16_t port);
static bool set_v4(mg_address *out, const char *host, uint16_t port);
static void write_text(mg_address *a);

int mg_address_parse(const char *text, mg_address *out, mg_error *err) {
    *out = (mg_address){0};
    if (strncmp(text, "unix:", 5) == 0) {
        return parse_unix(text + 5, out, err);
    }
    mg_str host;
    uint16_t port;
    if (!split_port(mg_str_of(text), &host, &port)) {
        return mg_error_set(err, MG_ECONFIG,
                            "\"%s\": no port from 0 to 65535; allowed are \"127.0.0.1:8080\", "
                            "\"[::1]:8080\", \":8080\", \"unix:/path\"",
                            text);
    }
    if (!set_host(out, host, port)) {
        return mg_error_set(err, MG_ECONFIG,
                            "\"%s\": the host must be an IPv4 address, an IPv6 address in "
                            "brackets, \"localhost\" or \"*\"",
                            text);
    }
    write_text(out);
    return MG_OK;
}

int mg_address_of_socket(int fd, mg_address *out) {
    *out = (mg_address){.sa_len = sizeof out->sa};
    if (getsockname(fd, (struct sockaddr *)&out->sa, &out->sa_len) != 0) {
        return -errno;
    }
    out->is_unix = out->sa.ss_family == AF_UNIX;
    write_text(out);
    return MG_OK;
}

static int parse_unix(const char *path, mg_address *out, mg_error *err) {
    struct sockaddr_un *un = (struct sockaddr_un *)&out->sa;
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof un->sun_path) {
        return mg_error_set(err, MG_ECONFIG,
                            "\"unix:%s\": the path must have 1 to %zu bytes, it has %zu", path,
                            sizeof un->sun_path - 1, n);
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, n + 1);
    out->sa_len = (socklen_t)sizeof *un;
    out->is_unix = true;
    write_text(out);
    return MG_OK;
}

static bool split_port(mg_str text, mg_str *host, uint16_t *port) {
    size_t colon = text.n;
    while (colon > 0 && text.p[colon - 1] != ':') {
        colon--;
    }
    *host = (mg_str){text.p, colon == 0 ? 0 : colon - 1};
    uint64_t number;
    if (!mg_str_to_u64((mg_str){text.p + colon, text.n - colon}, UINT16_MAX, &number)) {
        return false;
    }
    *port = (uint16_t)number;
    return true;
}

static bool set_host(mg_address *out, mg_str host, uint16_t port) {
    char text[INET6_ADDRSTRLEN + 1];
    if (host.n == 0 || mg_str_eq(host, MG_STR("*"))) {
        return set_v4(out, "0.0.0.0", port);
    }
    if (mg_str_ieq(host, MG_STR("localhost"))) {
        return set_v4(out, "127.0.0.1", port);
    }
    bool v6 = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    mg_str literal = v6 ? (mg_str){host.p + 1, host.n - 2} : host;
    if (literal.n >= sizeof text) {
        return false;
    }
    memcpy(text, literal.p, literal.n);
    text[literal.n] = '\0';
    return v6 ? set_v6(out, text, port) : set_v4(out, text, port);
}

static bool set_v6(mg_address *out, const char *host, uint16_t port) {
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)&out->sa;
    in->sin6_family = AF_INET6;
    in->sin6_port = htons(port);
    out->sa_len = (socklen_t)sizeof *in;
    return inet_pton(AF_INET6, host, &in->sin6_addr) == 1;
}

static bool set_v4(mg_address *out, const char *host, uint16_t port) {
    struct sockaddr_in *in = (struct sockaddr_in *)&out->sa;
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    out->sa_len = (socklen_t)sizeof *in;
    return inet_pton(AF_INET, host, &in->sin_addr) == 1;
}

static void write_text(mg_address *a) {
    char ip[INET6_ADDRSTRLEN] = "";
    if (a->is_unix) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)&a->sa;
        snprintf(a->text, sizeof a->text, "unix:%.*s", (int)sizeof un->sun_path, un->sun_path);
    } else if (a->sa.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)&a->sa;
        inet_ntop(AF_INET6, &in->sin6_addr, ip, sizeof ip);
        snprintf(a->text, sizeof a->text, "[%s]:%u", ip, ntohs(in->sin6_port));
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&a->sa;
        inet_ntop(AF_INET, &in->sin_addr, ip, sizeof ip);
        snprintf(a->text, sizeof a->text, "%s:%u", ip, ntohs(in->sin_port));
    }
}
