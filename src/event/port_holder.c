#include "event/port_holder.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_INODES = 256, TCP_LISTENING = 0x0A };

typedef struct inodes {
    unsigned long exact[MAX_INODES]; // listen on the same address and port
    unsigned long near[MAX_INODES];  // or on all addresses, if not all are asked for
    size_t exact_n;
    size_t near_n;
} inodes;

// An address as /proc/net/tcp writes it.
typedef struct wanted {
    char host[33];
    unsigned port;
    bool v6;
    bool any;
} wanted;

static void describe(const mg_address *addr, wanted *out);
static void read_table(const char *path, bool v6, const wanted *w, inodes *found);
static void note_line(const char *line, bool v6, const wanted *w, inodes *found);
static bool is_any(const char *host);
static bool holds(const char *fd_folder, const unsigned long *list, size_t n);
static int find_pid(const inodes *found);

mg_port_holder mg_port_holder_find(const mg_address *addr) {
    wanted w;
    inodes found = {.exact_n = 0};
    describe(addr, &w);
    read_table("/proc/self/net/tcp", false, &w, &found);
    read_table("/proc/self/net/tcp6", true, &w, &found);
    if (holds("/proc/self/fd", found.exact, found.exact_n)) {
        return (mg_port_holder){.ours = true, .pid = getpid()};
    }
    return (mg_port_holder){.pid = find_pid(&found)};
}

static void describe(const mg_address *addr, wanted *out) {
    *out = (wanted){.v6 = addr->sa.ss_family == AF_INET6};
    if (out->v6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)&addr->sa;
        for (int i = 0; i < 4; i++) {
            snprintf(out->host + 8 * i, 9, "%08X", in->sin6_addr.s6_addr32[i]);
        }
        out->port = ntohs(in->sin6_port);
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&addr->sa;
        snprintf(out->host, sizeof out->host, "%08X", in->sin_addr.s_addr);
        out->port = ntohs(in->sin_port);
    }
    out->any = is_any(out->host);
}

static void read_table(const char *path, bool v6, const wanted *w, inodes *found) {
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return;
    }
    char line[512];
    while (fgets(line, sizeof line, f) != NULL) {
        note_line(line, v6, w, found);
    }
    fclose(f);
}

static void note_line(const char *line, bool v6, const wanted *w, inodes *found) {
    char host[33];
    unsigned port;
    unsigned state;
    unsigned long inode;
    if (sscanf(line, " %*d: %32[0-9A-F]:%x %*s %x %*s %*s %*s %*u %*u %lu", host, &port, &state,
               &inode) != 4 ||
        port != w->port || state != TCP_LISTENING) {
        return;
    }
    if (v6 == w->v6 && strcmp(host, w->host) == 0) {
        if (found->exact_n < MAX_INODES) {
            found->exact[found->exact_n++] = inode;
        }
    } else if ((v6 == w->v6 && w->any) || is_any(host)) {
        if (found->near_n < MAX_INODES) {
            found->near[found->near_n++] = inode;
        }
    }
}

static bool is_any(const char *host) {
    return host[strspn(host, "0")] == '\0';
}

static bool holds(const char *fd_folder, const unsigned long *list, size_t n) {
    DIR *d = n == 0 ? NULL : opendir(fd_folder);
    if (d == NULL) {
        return false;
    }
    bool yes = false;
    for (struct dirent *entry; !yes && (entry = readdir(d)) != NULL;) {
        char target[64];
        ssize_t len = readlinkat(dirfd(d), entry->d_name, target, sizeof target - 1);
        target[len > 0 ? len : 0] = '\0';
        unsigned long inode;
        if (sscanf(target, "socket:[%lu]", &inode) != 1) {
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            yes = yes || list[i] == inode;
        }
    }
    closedir(d);
    return yes;
}

static int find_pid(const inodes *found) {
    DIR *d = opendir("/proc");
    if (d == NULL) {
        return 0;
    }
    int pid = 0;
    for (struct dirent *entry; pid == 0 && (entry = readdir(d)) != NULL;) {
        char folder[280];
        int candidate = atoi(entry->d_name);
        snprintf(folder, sizeof folder, "/proc/%s/fd", entry->d_name);
        if (candidate > 0 && (holds(folder, found->exact, found->exact_n) ||
                              holds(folder, found->near, found->near_n))) {
            pid = candidate;
        }
    }
    closedir(d);
    return pid;
}
