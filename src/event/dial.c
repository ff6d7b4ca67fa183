#include "event/dial.h"

#include "base/error.h"
#include "base/mem.h"
#include "event/poll.h"
#include "event/timer.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <unistd.h>

enum { ADDRESSES_MAX = 16 };

typedef struct attempt {
    mg_dial *dial;
    mg_poll *poll;
    int fd; // -1: not begun, or over
} attempt;

struct mg_dial {
    mg_loop *loop;
    void (*on_done)(void *arg, int status, int fd);
    void *arg;
    mg_timer next; // the next address is due
    uint32_t n, begun, failed;
    int first_error;
    struct sockaddr_storage addresses[ADDRESSES_MAX]; // in the order in which they are tried
    attempt attempts[ADDRESSES_MAX];
};

static void on_next(mg_timer *t);

// Families take turns, beginning with the first address's (RFC 8305 section 4).
static void interleave(mg_dial *d, const struct sockaddr_storage *from, size_t n) {
    bool taken[ADDRESSES_MAX] = {false};
    sa_family_t wanted = from[0].ss_family;
    for (uint32_t k = 0; k < n; k++) {
        size_t pick = n;
        for (size_t i = n; i-- > 0;) {
            bool better = !taken[i] && (pick == n || from[i].ss_family == wanted ||
                                        from[pick].ss_family != wanted);
            pick = better ? i : pick;
        }
        taken[pick] = true;
        d->addresses[k] = from[pick];
        wanted = from[pick].ss_family == AF_INET6 ? AF_INET : AF_INET6;
    }
}

static socklen_t length_of(const struct sockaddr_storage *a) {
    switch (a->ss_family) {
    case AF_INET:
        return sizeof(struct sockaddr_in);
    case AF_INET6:
        return sizeof(struct sockaddr_in6);
    default:
        return sizeof(struct sockaddr_un);
    }
}

static void end_attempt(attempt *a, bool keep_socket) {
    mg_poll_close(a->poll);
    a->poll = NULL;
    if (a->fd >= 0 && !keep_socket) {
        close(a->fd);
    }
    a->fd = -1;
}

void mg_dial_cancel(mg_dial *d) {
    if (d == NULL) {
        return;
    }
    mg_timer_stop(&d->next);
    for (uint32_t i = 0; i < d->begun; i++) {
        end_attempt(&d->attempts[i], false);
    }
    mg_free(d);
}

static void finish(mg_dial *d, int status, int fd) {
    void (*on_done)(void *arg, int status, int fd) = d->on_done;
    void *arg = d->arg;
    mg_dial_cancel(d);
    on_done(arg, status, fd);
}

static void fail(mg_dial *d, attempt *a, int rc) {
    end_attempt(a, false);
    d->first_error = d->first_error != 0 ? d->first_error : rc;
    d->failed++;
    if (d->failed == d->n) {
        finish(d, d->first_error, -1);
    } else if (d->begun < d->n) {
        mg_timer_start(d->loop, &d->next, 0, 0, on_next); // no reason to wait any longer
    }
}

static void win(mg_dial *d, attempt *a) {
    int fd = a->fd;
    end_attempt(a, true);
    finish(d, MG_OK, fd);
}

static void on_ready(void *arg, int events) {
    attempt *a = arg;
    int fault = 0;
    socklen_t n = sizeof fault;
    (void)events;
    if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &fault, &n) != 0) {
        fault = errno;
    }
    if (fault == 0) {
        win(a->dial, a);
    } else {
        fail(a->dial, a, -fault);
    }
}

// 0: connected, or on the way. A negative errno: it failed.
static int begin(mg_dial *d, attempt *a, const struct sockaddr_storage *to) {
    int one = 1;
    a->dial = d;
    a->fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (a->fd < 0) {
        return -errno;
    }
    if (to->ss_family != AF_UNIX) {
        (void)setsockopt(a->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    if (connect(a->fd, (const struct sockaddr *)to, length_of(to)) != 0 && errno != EINPROGRESS) {
        return errno == EAGAIN ? -ECONNREFUSED : -errno; // a Unix socket whose queue is full
    }
    int rc = mg_poll_open(&a->poll, d->loop, a->fd, on_ready, a);
    return rc == 0 ? mg_poll_want(a->poll, MG_POLL_WRITE) : rc;
}

static void on_next(mg_timer *t) {
    mg_dial *d = MG_OF(t, mg_dial, next);
    attempt *a = &d->attempts[d->begun];
    const struct sockaddr_storage *to = &d->addresses[d->begun++];
    if (d->begun < d->n) {
        mg_timer_start(d->loop, &d->next, MG_DIAL_STAGGER_MS, 0, on_next);
    }
    int rc = begin(d, a, to);
    if (rc != 0) {
        fail(d, a, rc);
    }
}

int mg_dial_start(mg_dial **out, mg_loop *loop, const struct sockaddr_storage *addresses, size_t n,
                  void (*on_done)(void *arg, int status, int fd), void *arg) {
    mg_dial *d = mg_calloc(1, sizeof *d);
    d->loop = loop;
    d->on_done = on_done;
    d->arg = arg;
    d->n = n < ADDRESSES_MAX ? (uint32_t)n : ADDRESSES_MAX;
    for (uint32_t i = 0; i < ADDRESSES_MAX; i++) {
        d->attempts[i].fd = -1;
    }
    interleave(d, addresses, d->n);
    mg_timer_start(loop, &d->next, 0, 0, on_next);
    *out = d;
    return 0;
}
