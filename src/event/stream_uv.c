// TCP and Unix sockets.
//
// Who asks for the peer's address asks again with each request: it is kept, on the heap, in the
// handle's `data`, which nothing else needs. Few connections' addresses are ever asked for.

#include "base/error.h"
#include "base/mem.h"
#include "event/loop_inside.h"
#include "event/stream_ops.h"

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

enum {
    BLOCK_MAX = 64 * 1024,
    READS = 32, // of one socket before others have their turn
};

// What the kernel did not take at once.
typedef struct write_block {
    uv_write_t req;
    uint32_t n;
    char data[];
} write_block;

static int read_start(mg_stream *s);
static void read_stop(mg_stream *s);
static int fd_of(const mg_stream *s) {
    uv_os_fd_t fd = -1;
    (void)uv_fileno(&s->u.handle, &fd);
    return fd;
}

// As receive.
static ssize_t send_now(const mg_stream *s, const struct iovec *v, int count) {
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = (size_t)count};
    ssize_t n;
    do {
        n = count == 1 ? send(fd_of(s), v->iov_base, v->iov_len, MSG_NOSIGNAL)
                       : sendmsg(fd_of(s), &message, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static int write_now(mg_stream *s, const struct iovec *v, int count);
static int shut(mg_stream *s);
static void close_socket(mg_stream *s, bool reset);
static int peer(const mg_stream *s, struct sockaddr_storage *out);
static int local(const mg_stream *s, struct sockaddr_storage *out);
static size_t untaken(mg_stream *s);
static mg_loop *loop_of(const mg_stream *s);
static bool quiet(const mg_stream *s);
static bool ending(const mg_stream *s, int *status);
static void lend_nothing(uv_handle_t *h, size_t wanted, uv_buf_t *out);
static void on_readable(uv_stream_t *h, ssize_t status, const uv_buf_t *buf);
static int queue_rest(mg_stream *s, const struct iovec *v, size_t sent, size_t n);
static void on_written(uv_write_t *req, int status);
static int send_fin(const mg_stream *s);
static void on_closed(uv_handle_t *h);

_Static_assert(sizeof(struct iovec) == sizeof(uv_buf_t) &&
                   offsetof(struct iovec, iov_base) == offsetof(uv_buf_t, base) &&
                   offsetof(struct iovec, iov_len) == offsetof(uv_buf_t, len),
               "an iovec is passed to libuv as it is");

static const mg_stream_ops uv_ops = {
    .read_start = read_start,
    .read_stop = read_stop,
    .write = write_now,
    .shutdown = shut,
    .close = close_socket,
    .peer = peer,
    .local = local,
    .untaken = untaken,
    .loop = loop_of,
    .quiet = quiet,
    .ending = ending,
};

void mg_stream_uv_open(mg_loop *loop, mg_stream *s, const mg_stream_events *events, int fd,
                       bool is_unix) {
    mg_stream_prepare(s, &uv_ops, events);
    // For a connected socket libuv's two kinds differ in nothing but their size.
    uv_tcp_init(&loop->uv, &s->u.tcp);
    int rc = uv_tcp_open(&s->u.tcp, fd);
    s->is_unix = is_unix;
    assert(rc == 0); // fails only for what is no socket, or is in this loop already
    (void)rc;
    s->u.handle.data = NULL;
    loop->descriptors++;
}

static int read_start(mg_stream *s) {
    return uv_read_start(&s->u.uv, lend_nothing, on_readable);
}

static void read_stop(mg_stream *s) {
    uv_read_stop(&s->u.uv);
}

static int write_now(mg_stream *s, const struct iovec *v, int count) {
    size_t n = 0;
    for (int i = 0; i < count; i++) {
        n += v[i].iov_len;
    }
    if (n > UINT32_MAX - s->queued) {
        return -ENOBUFS;
    }
    size_t sent = 0;
    if (s->queued == 0 && n > 0) {
        ssize_t rc = send_now(s, v, count);
        if (rc < 0 && rc != -EAGAIN) {
            return (int)rc;
        }
        sent = rc < 0 ? 0 : (size_t)rc;
    }
    return sent == n ? MG_OK : queue_rest(s, v, sent, n - sent);
}

// uv_shutdown would cost a request, another turn, and the right to reset; the socket needs none of
// that.
static int shut(mg_stream *s) {
    return s->queued == 0 ? send_fin(s) : MG_OK;
}

static void close_socket(mg_stream *s, bool reset) {
    mg_loop *loop = loop_of(s);
    if (!reset || s->is_unix || uv_tcp_close_reset(&s->u.tcp, on_closed) != 0) {
        uv_close(&s->u.handle, on_closed);
    }
    loop->descriptors--; // libuv closes it at once
    mg_loop_descriptor_released(loop);
}

static size_t address_bytes(sa_family_t family) {
    return family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static void keep_peer(mg_stream *s, const struct sockaddr_storage *address) {
    size_t n = address_bytes(address->ss_family);
    s->u.handle.data = mg_malloc(n);
    memcpy(s->u.handle.data, address, n);
}

static int peer(const mg_stream *s, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    if (s->is_unix) {
        out->ss_family = AF_UNIX;
        return MG_OK;
    }
    const struct sockaddr *kept = s->u.handle.data;
    if (kept != NULL) {
        memcpy(out, kept, address_bytes(kept->sa_family));
        return MG_OK;
    }
    int n = sizeof *out;
    int rc = uv_tcp_getpeername(&s->u.tcp, (struct sockaddr *)out, &n);
    if (rc == 0) {
        keep_peer((mg_stream *)(uintptr_t)s, out);
    }
    return rc;
}

static int local(const mg_stream *s, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    uv_os_fd_t fd;
    int rc = uv_fileno(&s->u.handle, &fd);
    if (rc != 0) {
        return rc;
    }
    socklen_t n = sizeof *out;
    return getsockname(fd, (struct sockaddr *)out, &n) == 0 ? MG_OK : -errno;
}

static size_t untaken(mg_stream *s) {
    uv_os_fd_t fd;
    int n = 0;
    bool known = uv_fileno(&s->u.handle, &fd) == 0 && ioctl(fd, SIOCOUTQ, &n) == 0;
    return uv_stream_get_write_queue_size(&s->u.uv) + (known && n > 0 ? (size_t)n : 0);
}

static mg_loop *loop_of(const mg_stream *s) {
    return mg_loop_of(s->u.handle.loop);
}

static bool quiet(const mg_stream *s) {
    uv_os_fd_t fd;
    char c;
    return uv_fileno(&s->u.handle, &fd) == 0 && recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           errno == EAGAIN;
}

static bool ending(const mg_stream *s, int *status) {
    struct pollfd p = {.events = POLLRDHUP};
    if (uv_fileno(&s->u.handle, &p.fd) != 0 || poll(&p, 1, 0) <= 0) {
        return false;
    }
    *status = p.revents & POLLERR ? -ECONNRESET : 0;
    return true;
}

// libuv would read(2), which takes the longer way of files through the kernel: it is told that
// there is no room, and asks no further.
static void lend_nothing(uv_handle_t *h, size_t wanted, uv_buf_t *out) {
    (void)h;
    (void)wanted;
    *out = uv_buf_init(NULL, 0);
}

static ssize_t receive(const mg_stream *s, char *block) {
    ssize_t n;
    do {
        n = recv(fd_of(s), block, MG_STREAM_READ_BYTES, 0);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static void on_readable(uv_stream_t *h, ssize_t status, const uv_buf_t *buf) {
    mg_stream *s = MG_OF(h, mg_stream, u.uv);
    mg_loop *loop = mg_loop_of(h->loop);
    (void)buf;
    mg_loop_note(loop);
    ssize_t n = status != UV_ENOBUFS ? status : receive(s, loop->read_block);
    for (int reads = 1; n > 0; reads++) {
        s->events->on_read(s, loop->read_block, (size_t)n);
        if (n < MG_STREAM_READ_BYTES || reads == READS || !s->reading) {
            return;
        }
        n = receive(s, loop->read_block);
    }
    if (n != -EAGAIN) {
        uv_read_stop(h);
        mg_stream_end(s, n == UV_EOF ? 0 : (int)n);
    }
}

// Copies `n` bytes from behind the first `skip`.
static void gather(char *to, const struct iovec *v, size_t skip, size_t n) {
    for (; n > 0; v++) {
        size_t left = v->iov_len > skip ? v->iov_len - skip : 0;
        skip -= v->iov_len - left;
        size_t take = left < n ? left : n;
        memcpy(to, (const char *)v->iov_base + (v->iov_len - left), take);
        to += take;
        n -= take;
    }
}

static int queue_block(mg_stream *s, const struct iovec *v, size_t skip, size_t n) {
    write_block *b = mg_malloc(sizeof *b + n);
    b->n = (uint32_t)n;
    gather(b->data, v, skip, n);
    uv_buf_t buf = {b->data, n};
    int rc = uv_write(&b->req, &s->u.uv, &buf, 1, on_written);
    if (rc != 0) {
        mg_free(b);
        return rc;
    }
    s->queued += b->n;
    return MG_OK;
}

// In blocks, so that the memory of what has left does not wait for all of it.
static int queue_rest(mg_stream *s, const struct iovec *v, size_t sent, size_t n) {
    int rc = MG_OK;
    while (n > 0 && rc == MG_OK) {
        size_t piece = n < BLOCK_MAX ? n : BLOCK_MAX;
        rc = queue_block(s, v, sent, piece);
        sent += piece;
        n -= piece;
    }
    return rc;
}

static void on_written(uv_write_t *req, int status) {
    write_block *b = (write_block *)(void *)req;
    mg_stream *s = MG_OF(req->handle, mg_stream, u.uv);
    uint32_t n = b->n;
    mg_loop_note(mg_loop_of(req->handle->loop));
    mg_free(b);
    // libuv gives the blocks behind a failed one back only when the handle closes: the first
    // failure speaks for all.
    if (s->closing || s->output == MG_OUTPUT_BROKEN || status == UV_ECANCELED) {
        return;
    }
    if (status < 0) {
        mg_stream_fail_output(s, status);
        return;
    }
    s->queued -= n;
    if (s->queued > 0) {
        return;
    }
    if (s->output == MG_OUTPUT_SHUT) {
        send_fin(s);
    }
    s->events->on_drain(s, 0);
}

static int send_fin(const mg_stream *s) {
    uv_os_fd_t fd;
    int rc = uv_fileno(&s->u.handle, &fd);
    if (rc != 0) {
        return rc;
    }
    return shutdown(fd, SHUT_WR) == 0 ? MG_OK : -errno;
}

static void on_closed(uv_handle_t *h) {
    mg_stream *s = MG_OF(h, mg_stream, u.handle);
    mg_loop *loop = mg_loop_of(h->loop);
    mg_loop_note(loop);
    mg_free(h->data);
    // libuv closes after the hooks: what this callback records would wait for the next event.
    mg_loop_turn_soon(loop);
    s->events->on_closed(s);
}
