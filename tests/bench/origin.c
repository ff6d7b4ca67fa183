// bench/origin: what stands behind the proxies of W4. One epoll loop that answers with so many
// bytes, as the path says, and takes uploads.
//
// origin PORT. GET /N: N bytes; POST /N: the body is taken first; /never: no answer. Bodies come
// with Content-Length. Proxies pipeline nothing, so a connection has one request at a time.
#include "epoll_server.h"

#include <signal.h>
#include <stdbool.h>
#include <strings.h>
#include <sys/uio.h>

enum { EVENTS = 512, HEAD_BYTES = 8192, BLOCK_BYTES = 1 << 20 };

typedef struct peer {
    char head[HEAD_BYTES];
    size_t have;
    uint64_t to_read; // of a body
    uint64_t to_send; // of an answer's content
    char answer[128]; // its head
    size_t answer_at, answer_bytes;
    bool answering, waits_for_room;
} peer;

static peer *peers[DESCRIPTORS]; // by descriptor; made when it is first used
static char block[BLOCK_BYTES];  // the content, again and again
static char input[256 * 1024];
static int epoll;

static void accept_all(int listener) {
    for (int fd; (fd = accept_one(epoll, listener)) >= 0;) {
        if (!peers[fd]) {
            peers[fd] = malloc(sizeof(peer));
        }
        if (!peers[fd]) {
            fail("malloc");
        }
        memset(peers[fd], 0, sizeof(peer));
    }
}

static void wait_for_room(int fd, peer *p, bool wanted) {
    if (p->waits_for_room != wanted) {
        p->waits_for_room = wanted;
        watch(epoll, fd, EPOLLIN | (wanted ? (uint32_t)EPOLLOUT : 0), EPOLL_CTL_MOD);
    }
}

// Writes what the socket takes. False: it is lost.
static bool answer(int fd, peer *p) {
    while (p->answer_at < p->answer_bytes || p->to_send > 0) {
        size_t content = p->to_send < BLOCK_BYTES ? p->to_send : BLOCK_BYTES;
        size_t head = p->answer_bytes - p->answer_at;
        struct iovec parts[] = {{p->answer + p->answer_at, head}, {block, content}};
        ssize_t n = writev(fd, parts, 2);
        if (n < 0) {
            wait_for_room(fd, p, errno == EAGAIN);
            return errno == EAGAIN;
        }
        size_t of_head = (size_t)n < head ? (size_t)n : head;
        p->answer_at += of_head;
        p->to_send -= (size_t)n - of_head;
    }
    p->answering = false;
    wait_for_room(fd, p, false);
    return true;
}

static bool begin_answer(int fd, peer *p) {
    const char *path = strchr(p->head, '/');
    uint64_t bytes = path ? strtoull(path + 1, NULL, 10) : 0;
    p->have = 0;
    if (path && strncmp(path, "/never", 6) == 0) {
        return true;
    }
    int n = snprintf(p->answer, sizeof p->answer,
                     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %llu\r\n\r\n",
                     (unsigned long long)bytes);
    p->answer_at = 0;
    p->answer_bytes = (size_t)n;
    p->to_send = bytes;
    p->answering = true;
    return answer(fd, p);
}

static uint64_t content_length(const char *head) {
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, "content-length:", 15) == 0) {
            return strtoull(line + 17, NULL, 10);
        }
    }
    return 0;
}

// Takes bytes of a request. False: they are none that a proxy sends here.
static bool take(int fd, peer *p, const char *data, size_t n) {
    if (p->to_read > 0) {
        if (n > p->to_read) {
            return false;
        }
        p->to_read -= n;
        return p->to_read > 0 || begin_answer(fd, p);
    }
    if (p->have + n >= HEAD_BYTES) {
        // A head that comes with a part of its body.
        n = n < HEAD_BYTES - 1 - p->have ? n : HEAD_BYTES - 1 - p->have;
    }
    memcpy(p->head + p->have, data, n);
    p->have += n;
    p->head[p->have] = '\0';
    return true;
}

static bool serve(int fd, peer *p) {
    ssize_t got = read(fd, input, sizeof input);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    if (got <= 0 || p->answering) {
        return false;
    }
    size_t n = (size_t)got;
    size_t before = p->have;
    bool in_body = p->to_read > 0;
    if (!take(fd, p, input, n)) {
        return false;
    }
    const char *end = in_body ? NULL : strstr(p->head, "\r\n\r\n");
    if (!end) {
        return in_body || p->have + 1 < HEAD_BYTES;
    }
    uint64_t body_came = before + n - (size_t)(end + 4 - p->head);
    uint64_t length = content_length(p->head);
    if (body_came > length) {
        return false;
    }
    p->to_read = length - body_came;
    return p->to_read > 0 || begin_answer(fd, p);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: origin PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    memset(block, 'x', sizeof block);
    int listener = open_listener(atoi(argv[1]));
    epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, listener, EPOLLIN, EPOLL_CTL_ADD);
    static struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                accept_all(listener);
                continue;
            }
            bool fine = !(events[i].events & EPOLLOUT) || answer(fd, peers[fd]);
            if (fine && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
                fine = serve(fd, peers[fd]);
            }
            if (!fine) {
                close(fd);
            }
        }
    }
}
