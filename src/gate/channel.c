#include "gate/channel.h"

#include "base/error.h"
#include "base/list.h"
#include "base/mem.h"
#include "event/poll.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct wire_head {
    uint32_t type, a, b;
} wire_head;

typedef struct waiting {
    mg_link link;
    int fd;
    size_t n;
    char data[];
} waiting;

struct mg_channel {
    mg_loop *loop;
    mg_poll *poll;
    int fd;
    const mg_channel_events *events;
    void *arg;
    mg_link queue; // of what the other end did not take
    bool ended;
    bool receiving; // inside on_message: a close waits
    bool closed;
};

static void on_ready(void *arg, int events);
static void receive(mg_channel *c);
static void flush(mg_channel *c);
static void end(mg_channel *c);
static void release(mg_channel *c);

int mg_channel_pair(int fds[2]) {
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0 ? MG_OK
                                                                                           : -errno;
}

int mg_channel_open(mg_channel **out, mg_loop *loop, int fd, const mg_channel_events *events,
                    void *arg) {
    mg_channel *c = mg_calloc(1, sizeof *c);
    int rc = mg_poll_open(&c->poll, loop, fd, on_ready, c);
    if (rc != MG_OK) {
        close(fd);
        mg_free(c);
        return rc;
    }
    c->loop = loop;
    c->fd = fd;
    c->events = events;
    c->arg = arg;
    mg_link_init(&c->queue);
    mg_poll_want(c->poll, MG_POLL_READ);
    *out = c;
    return MG_OK;
}

void mg_channel_close(mg_channel *c) {
    if (c == NULL || c->closed) {
        return;
    }
    c->closed = true;
    c->ended = true;
    mg_poll_close(c->poll); // before the descriptor
    close(c->fd);
    if (!c->receiving) {
        release(c);
    }
}

static void release(mg_channel *c) {
    mg_link *l;
    while ((l = mg_link_shift(&c->queue)) != NULL) {
        waiting *w = MG_OF(l, waiting, link);
        if (w->fd >= 0) {
            close(w->fd);
        }
        mg_free(w);
    }
    mg_free(c);
}

// --- sending ---

// 0, or a negative errno; -EAGAIN: the other end is slow.
static int send_packet(int channel, const char *data, size_t n, int fd) {
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = n};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.space = {0}};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        msg.msg_control = &control;
        msg.msg_controllen = sizeof control;
        struct cmsghdr *h = CMSG_FIRSTHDR(&msg);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(h), &fd, sizeof fd);
    }
    ssize_t sent;
    do {
        sent = sendmsg(channel, &msg, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

static bool is_slow(int rc) {
    return rc == -EAGAIN || rc == -ENOBUFS || rc == -ENOMEM;
}

void mg_channel_send(mg_channel *c, const mg_message *m) {
    if (c == NULL || c->ended) {
        return;
    }
    wire_head head = {m->type, m->a, m->b};
    size_t text = m->text.n < MG_MESSAGE_TEXT ? m->text.n : MG_MESSAGE_TEXT;
    waiting *w = mg_malloc(sizeof *w + sizeof head + text);
    mg_link_init(&w->link);
    w->n = sizeof head + text;
    w->fd = m->fd >= 0 ? fcntl(m->fd, F_DUPFD_CLOEXEC, 0) : -1;
    memcpy(w->data, &head, sizeof head);
    if (text > 0) {
        memcpy(w->data + sizeof head, m->text.p, text);
    }
    mg_link_append(&c->queue, &w->link);
    flush(c);
}

void mg_channel_tell(mg_channel *c, mg_message_type type, uint32_t a, uint32_t b) {
    mg_channel_send(c, &(mg_message){.type = type, .a = a, .b = b, .fd = -1});
}

// A failed send is not told here: the end will be read.
static void flush(mg_channel *c) {
    while (!mg_link_alone(&c->queue)) {
        waiting *w = MG_OF(c->queue.next, waiting, link);
        if (is_slow(send_packet(c->fd, w->data, w->n, w->fd))) {
            mg_poll_want(c->poll, MG_POLL_READ | MG_POLL_WRITE);
            return;
        }
        mg_link_remove(&w->link);
        if (w->fd >= 0) {
            close(w->fd);
        }
        mg_free(w);
    }
    mg_poll_want(c->poll, MG_POLL_READ);
}

// --- receiving ---

static void on_ready(void *arg, int events) {
    mg_channel *c = arg;
    if (events & MG_POLL_WRITE) {
        flush(c);
    }
    if (events & MG_POLL_READ) {
        c->receiving = true;
        receive(c);
        c->receiving = false;
        if (c->closed) {
            release(c);
        }
    }
}

static void end(mg_channel *c) {
    c->ended = true;
    mg_poll_want(c->poll, 0);
    c->events->on_end(c->arg);
}

// The descriptor that came along, or -1.
static int take_fd(struct msghdr *msg) {
    struct cmsghdr *h = CMSG_FIRSTHDR(msg);
    int fd = -1;
    if (h != NULL && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS &&
        h->cmsg_len == CMSG_LEN(sizeof fd)) {
        memcpy(&fd, CMSG_DATA(h), sizeof fd);
    }
    return fd;
}

static void deliver(mg_channel *c, const char *data, size_t n, int fd) {
    wire_head head;
    mg_message m = {.fd = fd};
    if (n >= sizeof head) {
        memcpy(&head, data, sizeof head);
        m.type = (mg_message_type)head.type;
        m.a = head.a;
        m.b = head.b;
        m.text = (mg_str){data + sizeof head, n - sizeof head};
        c->events->on_message(c->arg, &m);
    }
    if (m.fd >= 0) {
        close(m.fd);
    }
}

static void receive(mg_channel *c) {
    char data[sizeof(wire_head) + MG_MESSAGE_TEXT];
    while (!c->ended) {
        struct iovec part = {.iov_base = data, .iov_len = sizeof data};
        union {
            struct cmsghdr align;
            char space[CMSG_SPACE(sizeof(int))];
        } control;
        struct msghdr msg = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
        ssize_t n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);
        if (n > 0) {
            deliver(c, data, (size_t)n, take_fd(&msg));
        } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        } else {
            end(c);
        }
    }
}
