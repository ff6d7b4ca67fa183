#include "event/listener.h"
#include "event/port_holder.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int refuse_stranger(const mg_address *addr, mg_error *err);
static int bind_tcp(const mg_address *addr, bool reuseport);
static int explain(int rc, int pid, const mg_address *addr, mg_error *err);
static bool set_tcp_options(int fd, const mg_address *addr, bool reuseport);
static int claim_unix(const mg_address *addr, mg_error *err);
static int remove_dead_path(const mg_address *addr, mg_error *err);
static int bind_unix(const mg_address *addr);
static int open_socket(int family);
static int close_failed(int fd);
static uint16_t port_of(const mg_address *addr);

int mg_listen_socket(const mg_address *addr, bool reuseport, mg_error *err) {
    bool ours = reuseport && !addr->is_unix && port_of(addr) != 0 && mg_port_holder_find(addr).ours;
    int fd = mg_bind_socket(
        addr, !reuseport ? MG_BIND_ALONE : (ours ? MG_BIND_JOIN : MG_BIND_FIRST), err);
    int rc = fd < 0 ? MG_OK : mg_listen_start(fd);
    if (rc != MG_OK) {
        close(fd);
        return explain(rc, 0, addr, err);
    }
    return fd;
}

int mg_listen_start(int fd) {
    return listen(fd, MG_LISTEN_BACKLOG) == 0 ? MG_OK : -errno;
}

int mg_bind_socket(const mg_address *addr, mg_bind_group group, mg_error *err) {
    if (addr->is_unix) {
        return claim_unix(addr, err);
    }
    if (group == MG_BIND_FIRST && port_of(addr) != 0) {
        int rc = refuse_stranger(addr, err);
        if (rc != MG_OK) {
            return rc;
        }
    }
    int fd = bind_tcp(addr, group != MG_BIND_ALONE);
    if (fd < 0) {
        int pid = fd == -EADDRINUSE ? mg_port_holder_find(addr).pid : 0;
        return explain(fd, pid, addr, err);
    }
    return fd;
}

// SO_REUSEPORT would let a second server steal half the peers in silence.
static int refuse_stranger(const mg_address *addr, mg_error *err) {
    int fd = bind_tcp(addr, false);
    if (fd >= 0) {
        close(fd);
        return MG_OK;
    }
    return explain(fd, fd == -EADDRINUSE ? mg_port_holder_find(addr).pid : 0, addr, err);
}

static int bind_tcp(const mg_address *addr, bool reuseport) {
    int fd = open_socket(addr->sa.ss_family);
    if (fd < 0) {
        return fd;
    }
    if (!set_tcp_options(fd, addr, reuseport) ||
        bind(fd, (const struct sockaddr *)&addr->sa, addr->sa_len) != 0) {
        return close_failed(fd);
    }
    return fd;
}

static int explain(int rc, int pid, const mg_address *addr, mg_error *err) {
    if (pid > 0) {
        return mg_error_set(err, rc, "%s: process %d listens there already", addr->text, pid);
    }
    return mg_error_set(err, rc, "%s: %s", addr->text, mg_strerror(rc));
}

static bool set_tcp_options(int fd, const mg_address *addr, bool reuseport) {
    int on = 1;
    bool ok = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
    if (ok && reuseport) {
        ok = setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
    }
    if (ok && addr->sa.ss_family == AF_INET6) {
        ok = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0;
    }
    return ok;
}

static int claim_unix(const mg_address *addr, mg_error *err) {
    int rc = remove_dead_path(addr, err);
    if (rc != MG_OK) {
        return rc;
    }
    int fd = bind_unix(addr);
    if (fd < 0) {
        return mg_error_set(err, fd, "%s: %s", addr->text, mg_strerror(fd));
    }
    return fd;
}

// A server that was killed leaves its path behind; one that lives answers.
static int remove_dead_path(const mg_address *addr, mg_error *err) {
    const char *path = ((const struct sockaddr_un *)&addr->sa)->sun_path;
    struct stat st;
    if (lstat(path, &st) != 0) {
        return MG_OK; // if it is more than absent, bind will say so
    }
    if (!S_ISSOCK(st.st_mode)) {
        return mg_error_set(err, -EEXIST, "%s: the path exists and is not a socket", addr->text);
    }
    int fd = open_socket(AF_UNIX);
    if (fd < 0) {
        return mg_error_set(err, fd, "%s: %s", addr->text, mg_strerror(fd));
    }
    int rc = connect(fd, (const struct sockaddr *)&addr->sa, addr->sa_len) == 0 ? 0 : -errno;
    struct ucred peer = {.pid = 0};
    socklen_t n = sizeof peer;
    if (rc == 0) {
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n);
    }
    close(fd);
    if (rc == -ECONNREFUSED || rc == -ENOENT) {
        unlink(path);
        return MG_OK;
    }
    return explain(-EADDRINUSE, peer.pid, addr, err);
}

static int bind_unix(const mg_address *addr) {
    int fd = open_socket(AF_UNIX);
    if (fd < 0) {
        return fd;
    }
    if (bind(fd, (const struct sockaddr *)&addr->sa, addr->sa_len) != 0) {
        return close_failed(fd);
    }
    return fd;
}

static int open_socket(int family) {
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd < 0 ? -errno : fd;
}

static int close_failed(int fd) {
    int rc = -errno;
    close(fd);
    return rc;
}

static uint16_t port_of(const mg_address *addr) {
    return addr->sa.ss_family == AF_INET6
               ? ntohs(((const struct sockaddr_in6 *)&addr->sa)->sin6_port)
               : ntohs(((const struct sockaddr_in *)&addr->sa)->sin_port);
}
