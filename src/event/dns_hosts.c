#include "event/dns_hosts.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "event/dns.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

enum { BUCKETS = 1024, CHECK_MS = 1000, FILE_BYTES = 16 << 20 };

typedef struct host {
    struct host *next; // of its bucket, in the order of the file
    struct sockaddr_storage address;
    const char *name;
} host;

struct mg_dns_hosts {
    char *path;
    mg_stamp stamp;
    uint64_t checked_ms;
    bool checked;
    mg_arena arena; // of the hosts
    host *buckets[BUCKETS];
    host *last[BUCKETS];
};

mg_dns_hosts *mg_dns_hosts_new(const char *path) {
    mg_dns_hosts *h = mg_calloc(1, sizeof *h);
    h->path = mg_strdup(path);
    return h;
}

void mg_dns_hosts_free(mg_dns_hosts *h) {
    if (h != NULL) {
        mg_arena_deinit(&h->arena);
        mg_free(h->path);
        mg_free(h);
    }
}

// --- reading ---

static bool parse_address(const char *text, struct sockaddr_storage *out) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        memcpy(out, &v4, sizeof v4);
    } else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
        memcpy(out, &v6, sizeof v6);
    }
    return out->ss_family != 0;
}

static void add(mg_dns_hosts *h, const struct sockaddr_storage *address, const char *word) {
    host *fresh = mg_arena_alloc(&h->arena, sizeof *fresh);
    char *name = mg_arena_copy(&h->arena, mg_str_of(word));
    for (char *c = name; *c != '\0'; c++) {
        *c = mg_lower(*c);
    }
    *fresh = (host){NULL, *address, name};
    uint32_t i = mg_str_hash(mg_str_of(name)) % BUCKETS;
    if (h->last[i] != NULL) {
        h->last[i]->next = fresh;
    } else {
        h->buckets[i] = fresh;
    }
    h->last[i] = fresh;
}

// "ADDRESS NAME...", a comment behind '#'. The line is changed.
static void read_line(mg_dns_hosts *h, char *line) {
    static const char blank[] = " \t\r";
    struct sockaddr_storage address;
    char *rest;
    line[strcspn(line, "#")] = '\0';
    const char *word = strtok_r(line, blank, &rest);
    if (word == NULL || !parse_address(word, &address)) {
        return;
    }
    while ((word = strtok_r(NULL, blank, &rest)) != NULL) {
        add(h, &address, word);
    }
}

static void read_lines(mg_dns_hosts *h, char *text) {
    char *rest;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        read_line(h, line);
    }
}

static void read_file(mg_dns_hosts *h) {
    mg_buf text = {0};
    int fd = open(h->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = 1;
    while (fd >= 0 && n > 0 && text.n < FILE_BYTES) {
        n = read(fd, mg_buf_reserve(&text, 65536), 65536);
        text.n += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    mg_buf_append_char(&text, '\0');
    read_lines(h, text.p);
    mg_buf_deinit(&text);
}

static void heed_file(mg_dns_hosts *h, uint64_t now_ms) {
    if (h->checked && now_ms - h->checked_ms < CHECK_MS) {
        return;
    }
    mg_stamp is = mg_stamp_of(h->path);
    bool same = h->checked && mg_stamp_same(&is, &h->stamp);
    h->checked = true;
    h->checked_ms = now_ms;
    if (!same) {
        h->stamp = is;
        mg_arena_reset(&h->arena);
        memset(h->buckets, 0, sizeof h->buckets);
        memset(h->last, 0, sizeof h->last);
        read_file(h);
    }
}

// --- finding ---

mg_dns_answer *mg_dns_hosts_find(mg_dns_hosts *h, const char *name, uint64_t now_ms) {
    heed_file(h, now_ms);
    char plain[256]; // without the dot at its end
    size_t n = strlen(name);
    n -= name[n - 1] == '.';
    if (n >= sizeof plain) {
        return NULL;
    }
    memcpy(plain, name, n);
    plain[n] = '\0';
    mg_dns_answer *a = NULL;
    for (const host *at = h->buckets[mg_str_hash(mg_str_of(plain)) % BUCKETS]; at != NULL;
         at = at->next) {
        if (strcmp(at->name, plain) != 0) {
            continue;
        }
        if (a == NULL) {
            a = mg_dns_answer_new(MG_OK, "", MG_DNS_ADDRESSES);
            a->n = 0;
        }
        if (a->n < MG_DNS_ADDRESSES) {
            a->addresses[a->n++] = at->address;
        }
    }
    return a;
}
