// Over uv_poll and accept4 instead of uv_listen: that one can neither pause (it takes a peer before
// it asks) nor run out of descriptors politely (it accepts and drops all who wait).

#include "event/listener.h"

#include "base/mem.h"
#include "event/descriptors.h"
#include "event/loop_inside.h"
#include "event/stream_ops.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

enum { BATCH = 64, REST_MS = 100 };

struct mg_listener {
    uv_poll_t poll;
    mg_loop *loop;
    int fd;
    bool is_unix;
    bool paused; // by the owner
    bool took;   // a peer was accepted during on_connection
    bool closing;
    mg_timer rest;
    void (*on_connection)(void *arg, mg_listener *l);
    void *arg;
};

static void watch(mg_listener *l);
static void on_readable(uv_poll_t *h, int status, int events);
static int accept_peer(const mg_listener *l);
static bool is_peers_fault(int err);
static void rest(mg_listener *l);
static void on_rested(mg_timer *t);
static void on_closed(uv_handle_t *h);

int mg_listener_open(mg_listener **out, mg_loop *loop, int fd,
                     void (*on_connection)(void *arg, mg_listener *l), void *arg) {
    mg_address address;
    int rc = mg_address_of_socket(fd, &address);
    if (rc != MG_OK) {
        return rc;
    }
    mg_listener *l = mg_calloc(1, sizeof *l);
    rc = uv_poll_init(&loop->uv, &l->poll, fd);
    if (rc != 0) {
        mg_free(l);
        return rc;
    }
    l->loop = loop;
    l->fd = fd;
    l->is_unix = address.is_unix;
    l->on_connection = on_connection;
    l->arg = arg;
    l->poll.data = l;
    int on = 1;
    if (!l->is_unix) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // accepted sockets inherit it
    }
    uv_unref((uv_handle_t *)&l->poll);
    mg_loop_hold(loop); // paused or not
    mg_descriptors_hold(loop, 1);
    watch(l);
    *out = l;
    return MG_OK;
}

// The socket of a peer, or a negative code.
static int take_peer(mg_listener *l) {
    if (l->closing) {
        return MG_ECLOSED;
    }
    int fd = accept_peer(l);
    if (fd >= 0) {
        l->took = true;
    } else if (fd != -EAGAIN) {
        rest(l);
    }
    return fd;
}

int mg_listener_accept(mg_listener *l, mg_stream *s, const mg_stream_events *events) {
    int fd = take_peer(l);
    if (fd < 0) {
        return fd;
    }
    mg_stream_uv_open(l->loop, s, events, fd, l->is_unix);
    return MG_OK;
}

int mg_listener_accept_tls(mg_listener *l, mg_stream *s, const mg_tls_opening *o) {
    int fd = take_peer(l);
    if (fd < 0) {
        return fd;
    }
    mg_tls_opening opening = *o;
    opening.loop = l->loop;
    opening.fd = fd;
    opening.is_unix = l->is_unix;
    mg_tls_accept(s, &opening);
    return MG_OK;
}

void mg_listener_pause(mg_listener *l) {
    l->paused = true;
    watch(l);
}

void mg_listener_resume(mg_listener *l) {
    l->paused = false;
    watch(l);
}

void mg_listener_close(mg_listener *l) {
    if (l == NULL || l->closing) {
        return;
    }
    l->closing = true;
    mg_timer_stop(&l->rest);
    mg_loop_release(l->loop);
    uv_close((uv_handle_t *)&l->poll, on_closed);
    close(l->fd); // only now: libuv must have stopped watching
    mg_descriptors_release(l->loop, 1);
}

int mg_listener_address(const mg_listener *l, mg_address *out) {
    return mg_address_of_socket(l->fd, out);
}

static void watch(mg_listener *l) {
    if (l->closing) {
        return;
    }
    if (l->paused || mg_timer_active(&l->rest)) {
        uv_poll_stop(&l->poll);
    } else {
        uv_poll_start(&l->poll, UV_READABLE, on_readable);
    }
}

// Bounded: a crowd at the door must not starve the connections inside. The rest is seen by the next
// poll.
static void on_readable(uv_poll_t *h, int status, int events) {
    mg_listener *l = h->data;
    (void)events;
    mg_loop_note(l->loop);
    if (status < 0) {
        rest(l);
        return;
    }
    for (int i = 0; i < BATCH; i++) {
        l->took = false;
        l->on_connection(l->arg, l);
        if (!l->took || l->paused || l->closing) {
            break;
        }
    }
}

void mg_listener_accept_all(mg_listener *l) {
    l->took = true;
    for (int i = 0; i < MG_LISTEN_BACKLOG && l->took && !l->closing; i++) {
        l->took = false;
        l->on_connection(l->arg, l);
    }
}

static int accept_peer(const mg_listener *l) {
    for (int i = 0; i < BATCH; i++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            return fd;
        }
        if (!is_peers_fault(errno)) {
            return -errno;
        }
    }
    return -EAGAIN;
}

// Linux hands over errors of the new socket (accept(2)): that peer is gone, the next one may be
// well.
static bool is_peers_fault(int err) {
    switch (err) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case EOPNOTSUPP:
        return true;
    default:
        return false;
    }
}

// Without descriptors or memory the socket stays readable: watching on would spin.
static void rest(mg_listener *l) {
    mg_timer_start(l->loop, &l->rest, REST_MS, 0, on_rested);
    watch(l);
}

static void on_rested(mg_timer *t) {
    watch(MG_OF(t, mg_listener, rest));
}

static void on_closed(uv_handle_t *h) {
    mg_free(h->data);
}
