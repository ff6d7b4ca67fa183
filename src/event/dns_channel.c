#include "event/dns_channel.h"

#include "base/error.h"
#include "base/mem.h"
#include "event/poll.h"

#include <errno.h>
#include <pthread.h>
#include <sys/uio.h>
#include <unistd.h>

typedef struct watched {
    mg_link link;
    mg_dns_channel *channel;
    mg_poll *poll;
    ares_socket_t fd;
    int events;
} watched;

static void init_library(void);
static int error_of(int status);
static ares_socket_t open_socket(int family, int type, int protocol, void *arg);
static int close_socket(ares_socket_t fd, void *arg);
static int connect_socket(ares_socket_t fd, const struct sockaddr *to, ares_socklen_t n, void *arg);
static ares_ssize_t receive(ares_socket_t fd, void *data, size_t n, int flags,
                            struct sockaddr *from, ares_socklen_t *from_n, void *arg);
static ares_ssize_t send_out(ares_socket_t fd, const struct iovec *v, int count, void *arg);
static void on_socket(void *arg, ares_socket_t fd, int readable, int writable);
static void on_ready(void *arg, int events);
static void on_clock(mg_timer *t);
static void set_clock(mg_dns_channel *c);
static watched *find(mg_dns_channel *c, ares_socket_t fd);
static watched *watch(mg_dns_channel *c, ares_socket_t fd);
static void unwatch(watched *w);

// As c-ares does it, but that answers are looked at on their way.
static const struct ares_socket_functions sockets = {
    .asocket = open_socket,
    .aclose = close_socket,
    .aconnect = connect_socket,
    .arecvfrom = receive,
    .asendv = send_out,
};

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static int library_status;

int mg_dns_channel_new(mg_dns_channel **out, mg_loop *loop, const mg_dns_options *options) {
    pthread_once(&library_once, init_library);
    if (library_status != ARES_SUCCESS) {
        return error_of(library_status);
    }
    mg_dns_channel *c = mg_calloc(1, sizeof *c);
    mg_link_init(&c->link);
    mg_link_init(&c->sockets);
    c->loop = loop;
    struct ares_options o = {
        .timeout = (int)options->timeout_ms,
        .tries = (int)options->tries,
        .lookups = (char *)(uintptr_t) "b", // whatever nsswitch.conf says: the hosts file is ours
        .sock_state_cb = on_socket,
        .sock_state_cb_data = c,
        .resolvconf_path = (char *)(uintptr_t)options->resolv_conf,
    };
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
    mask |= options->resolv_conf != NULL ? ARES_OPT_RESOLVCONF : 0;
    int status = ares_init_options(&c->ares, &o, mask);
    if (status != ARES_SUCCESS) {
        mg_free(c);
        return error_of(status);
    }
    ares_set_socket_functions(c->ares, &sockets, c);
    if (options->nameservers != NULL) {
        status = ares_set_servers_ports_csv(c->ares, options->nameservers);
    }
    if (status != ARES_SUCCESS) {
        mg_dns_channel_free(c);
        return error_of(status);
    }
    *out = c;
    return MG_OK;
}

void mg_dns_channel_free(mg_dns_channel *c) {
    if (c == NULL) {
        return;
    }
    // The law of polls: c-ares closes these descriptors next.
    while (!mg_link_alone(&c->sockets)) {
        unwatch(MG_OF(c->sockets.next, watched, link));
    }
    ares_destroy(c->ares);
    mg_timer_stop(&c->clock);
    mg_free(c);
}

void mg_dns_channel_ask(mg_dns_channel *c, const char *name, int family,
                        ares_addrinfo_callback on_answer, void *arg) {
    struct ares_addrinfo_hints hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
    ares_getaddrinfo(c->ares, name, NULL, &hints, on_answer, arg);
    set_clock(c);
}

static void init_library(void) {
    library_status = ares_library_init(ARES_LIB_INIT_ALL);
}

static int error_of(int status) {
    return status == ARES_EBADSTR ? MG_ESYNTAX : status == ARES_ENOMEM ? -ENOMEM : MG_ECONFIG;
}

static ares_socket_t open_socket(int family, int type, int protocol, void *arg) {
    (void)arg;
    return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

static int close_socket(ares_socket_t fd, void *arg) {
    (void)arg;
    return close(fd);
}

static int connect_socket(ares_socket_t fd, const struct sockaddr *to, ares_socklen_t n,
                          void *arg) {
    (void)arg;
    return connect(fd, to, n);
}

// `from`: NULL if it is a connection, where messages come in pieces.
static ares_ssize_t receive(ares_socket_t fd, void *data, size_t n, int flags,
                            struct sockaddr *from, ares_socklen_t *from_n, void *arg) {
    mg_dns_channel *c = arg;
    mg_dns_head head;
    ares_ssize_t got = recvfrom(fd, data, n, flags, from, from_n);
    if (got > 0 && from != NULL && mg_dns_head_read(data, (size_t)got, &head)) {
        c->on_head(c, &head);
    }
    return got;
}

static ares_ssize_t send_out(ares_socket_t fd, const struct iovec *v, int count, void *arg) {
    (void)arg;
    return writev(fd, v, count);
}

// c-ares says (0, 0) right before it closes the descriptor, so the watch ends here and now.
static void on_socket(void *arg, ares_socket_t fd, int readable, int writable) {
    mg_dns_channel *c = arg;
    watched *w = find(c, fd);
    int events = (readable ? MG_POLL_READ : 0) | (writable ? MG_POLL_WRITE : 0);
    if (events == 0) {
        if (w != NULL) {
            unwatch(w);
        }
        return;
    }
    if (w == NULL) {
        w = watch(c, fd);
    }
    if (w != NULL) { // else the question ends by its time limit
        w->events = events;
        mg_poll_want(w->poll, events);
    }
}

static void on_ready(void *arg, int events) {
    watched *w = arg;
    mg_dns_channel *c = w->channel;
    ares_socket_t fd = w->fd;
    ares_process_fd(c->ares, (events & MG_POLL_READ) != 0 ? fd : ARES_SOCKET_BAD,
                    (events & MG_POLL_WRITE) != 0 ? fd : ARES_SOCKET_BAD);
    w = find(c, fd); // may have gone meanwhile
    if (w != NULL) {
        mg_poll_want(w->poll, w->events); // watching ended if the descriptor had failed
    }
    set_clock(c);
}

static void on_clock(mg_timer *t) {
    mg_dns_channel *c = MG_OF(t, mg_dns_channel, clock);
    ares_process_fd(c->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_clock(c);
}

static void set_clock(mg_dns_channel *c) {
    struct timeval tv;
    if (ares_timeout(c->ares, NULL, &tv) == NULL) {
        mg_timer_stop(&c->clock);
        return;
    }
    uint64_t us = (uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec;
    mg_timer_start(c->loop, &c->clock, us / 1000 + 1, 0, on_clock);
}

static watched *find(mg_dns_channel *c, ares_socket_t fd) {
    for (mg_link *l = c->sockets.next; l != &c->sockets; l = l->next) {
        watched *w = MG_OF(l, watched, link);
        if (w->fd == fd) {
            return w;
        }
    }
    return NULL;
}

static watched *watch(mg_dns_channel *c, ares_socket_t fd) {
    mg_poll *p;
    watched *w = mg_calloc(1, sizeof *w);
    if (mg_poll_open(&p, c->loop, fd, on_ready, w) != MG_OK) {
        mg_free(w);
        return NULL;
    }
    w->channel = c;
    w->poll = p;
    w->fd = fd;
    mg_link_append(&c->sockets, &w->link);
    return w;
}

static void unwatch(watched *w) {
    mg_poll_close(w->poll);
    mg_link_remove(&w->link);
    mg_free(w);
}
