#include "event/dial.h"

#include "base/error.h"
#include "base/mem.h"
#include "event/poll.h"
#include "event/timer.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

// A Unix socket whose queue is full is not waited for by the kernel, as one of TCP is.
enum { FULL_MS = 10 };

typedef struct attempt {
    mg_dial *dial;
    struct sockaddr_storage address;
    mg_poll *poll; // NULL: not begun, or over
    int fd;
    int status; // once it has failed
} attempt;

struct mg_dial {
    mg_loop *loop;
    void (*on_done)(void *arg, int status, int fd);
    void *arg;
    mg_timer timer; // the next address, or the news that there is none left
    size_t n;
    size_t next; // the first that has not begun
    size_t live;
    attempt attempts[];
};

static void take_turns(attempt *out, const struct sockaddr_storage *in, size_t n);
static void begin_next(mg_dial *d);
static int begin(attempt *a);
static socklen_t length_of(const struct sockaddr_storage *address);
static int connect_now(attempt *a);
static void on_writable(void *arg, int events);
static void drop(attempt *a);
static void on_time(mg_timer *t);
static void finish(mg_dial *d, int status, int fd);

int mg_dial_start(mg_dial **out, mg_loop *loop, const struct sockaddr_storage *addresses, size_t n,
                  void (*on_done)(void *arg, int status, int fd), void *arg) {
    if (n == 0) {
        return -EINVAL;
    }
    mg_dial *d = mg_calloc(1, sizeof *d + n * sizeof d->attempts[0]);
    d->loop = loop;
    d->on_done = on_done;
    d->arg = arg;
    d->n = n;
    take_turns(d->attempts, addresses, n);
    for (size_t i = 0; i < n; i++) {
        d->attempts[i].dial = d;
    }
    begin_next(d);
    *out = d;
    return MG_OK;
}

void mg_dial_cancel(mg_dial *d) {
    if (d == NULL) {
        return;
    }
    for (size_t i = 0; i < d->n; i++) {
        drop(&d->attempts[i]);
    }
    mg_timer_stop(&d->timer);
    mg_free(d);
}

// RFC 8305 section 4: the family of the first address and the others alternate.
static void take_turns(attempt *out, const struct sockaddr_storage *in, size_t n) {
    size_t same = 0;
    size_t other = 0;
    for (size_t i = 0; i < n; i++) {
        while (same < n && in[same].ss_family != in[0].ss_family) {
            same++;
        }
        while (other < n && in[other].ss_family == in[0].ss_family) {
            other++;
        }
        bool take_same = other == n || (i % 2 == 0 && same < n);
        out[i].address = in[take_same ? same++ : other++];
    }
}

static void begin_next(mg_dial *d) {
    while (d->next < d->n) {
        attempt *a = &d->attempts[d->next++];
        a->status = begin(a);
        if (a->status == MG_OK) {
            break;
        }
        if (a->status == -EAGAIN && a->address.ss_family == AF_UNIX) {
            d->next--;
            mg_timer_start(d->loop, &d->timer, FULL_MS, 0, on_time);
            return;
        }
    }
    if (d->next < d->n) {
        mg_timer_start(d->loop, &d->timer, MG_DIAL_STAGGER_MS, 0, on_time);
    } else if (d->live == 0) {
        mg_timer_start(d->loop, &d->timer, 0, 0, on_time);
    } else {
        mg_timer_stop(&d->timer);
    }
}

static int begin(attempt *a) {
    a->fd = socket(a->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (a->fd < 0) {
        return -errno;
    }
    int rc = connect_now(a);
    if (rc == MG_OK) {
        rc = mg_poll_open(&a->poll, a->dial->loop, a->fd, on_writable, a);
    }
    if (rc != MG_OK) {
        close(a->fd);
        return rc;
    }
    a->dial->live++;
    mg_poll_want(a->poll, MG_POLL_WRITE);
    return MG_OK;
}

// A path that fills sun_path has no NUL; the name of an abstract socket begins with one.
static socklen_t length_of(const struct sockaddr_storage *address) {
    if (address->ss_family != AF_UNIX) {
        return address->ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                             : sizeof(struct sockaddr_in6);
    }
    const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)address;
    size_t n = un->sun_path[0] == '\0' ? 1 + strnlen(un->sun_path + 1, sizeof un->sun_path - 1)
                                       : strnlen(un->sun_path, sizeof un->sun_path);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

static int connect_now(attempt *a) {
    int on = 1;
    if (a->address.ss_family != AF_UNIX) {
        setsockopt(a->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    const struct sockaddr *address = (const struct sockaddr *)&a->address;
    if (connect(a->fd, address, length_of(&a->address)) == 0) {
        return MG_OK;
    }
    return errno == EINPROGRESS || errno == EINTR ? MG_OK : -errno;
}

static void on_writable(void *arg, int events) {
    (void)events;
    attempt *a = arg;
    mg_dial *d = a->dial;
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        error = errno;
    }
    if (error == 0) {
        int fd = a->fd;
        mg_poll_close(a->poll);
        a->poll = NULL;
        finish(d, MG_OK, fd);
        return;
    }
    a->status = -error;
    drop(a);
    d->live--;
    bool newest = a == &d->attempts[d->next - 1];
    if (newest || d->live == 0) {
        begin_next(d);
    }
}

static void drop(attempt *a) {
    if (a->poll != NULL) {
        mg_poll_close(a->poll);
        a->poll = NULL;
        close(a->fd);
    }
}

static void on_time(mg_timer *t) {
    mg_dial *d = MG_OF(t, mg_dial, timer);
    if (d->next == d->n && d->live == 0) {
        finish(d, d->attempts[0].status, -1);
    } else {
        begin_next(d);
    }
}

static void finish(mg_dial *d, int status, int fd) {
    void (*on_done)(void *, int, int) = d->on_done;
    void *arg = d->arg;
    mg_dial_cancel(d);
    on_done(arg, status, fd);
}
