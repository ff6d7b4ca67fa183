// event/dns_server.h: a nameserver for one test, on the loop under test.
#pragma once

#include "wire.h"

#include "event/poll.h"

#include <netinet/in.h>
#include <string.h>

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28, SERVFAIL = 2, NXDOMAIN = 3 };

// A nameserver on the loop under test. Only questions that do not end in ".elsewhere" count: the
// search list adds those.
static struct {
    mg_loop *loop;
    int fd;
    mg_poll *poll;
    uint16_t port;
    int questions;
    int silent; // how many of "shy.test" are still not answered
    struct held {
        unsigned char bytes[512];
        size_t n;
        struct sockaddr_in from;
    } held[4]; // questions for later.test
    int held_n;
    int listening; // TCP, on the same port
    int connection;
    mg_poll *listening_poll;
    mg_poll *connection_poll;
} server;

typedef struct message {
    unsigned char bytes[2048];
    size_t n;
    size_t question_end;
    int answers;
} message;

static inline void put(message *m, const void *p, size_t n) {
    assert_in_range(n, 0, sizeof m->bytes - m->n);
    memcpy(m->bytes + m->n, p, n);
    m->n += n;
}

static inline void put16(message *m, unsigned v) {
    unsigned char b[2] = {(unsigned char)(v >> 8), (unsigned char)v};
    put(m, b, 2);
}

// `owner`: offset of the name it belongs to.
static inline void put_record(message *m, size_t owner, unsigned type, unsigned ttl,
                              const void *data, size_t n) {
    put16(m, 0xc000U | (unsigned)owner);
    put16(m, type);
    put16(m, 1);
    put16(m, ttl >> 16);
    put16(m, ttl & 0xffff);
    put16(m, (unsigned)n);
    put(m, data, n);
    m->answers++;
}

static inline void put_address(message *m, size_t owner, unsigned type, unsigned ttl, int last) {
    unsigned char v4[4] = {192, 0, 2, (unsigned char)last};
    unsigned char v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = (unsigned char)last};
    put_record(m, owner, type, ttl, type == TYPE_A ? (void *)v4 : (void *)v6,
               type == TYPE_A ? sizeof v4 : sizeof v6);
}

static inline void put_chain(message *m, unsigned type) {
    static const unsigned char target[] = "\1b\5chain\4test";
    size_t owner = m->n + 12;
    put_record(m, 12, TYPE_CNAME, 0, target, sizeof target); // with its last NUL
    static const unsigned char next[] = "\1c\5chain\4test";
    size_t last = m->n + 12;
    put_record(m, owner, TYPE_CNAME, 300, next, sizeof next);
    if (type == TYPE_A) {
        put_address(m, last, TYPE_A, 300, 7);
    }
}

// Returns the code of the answer; -1: silence.
static inline int fill(message *m, const char *name, unsigned type) {
    bool a = type == TYPE_A;
    if (strcmp(name, "one.test") == 0 || strcmp(name, "large.test") == 0 ||
        strncmp(name, "n0", 2) == 0) {
        a ? put_address(m, 12, type, 300, 1) : (void)0;
    } else if (strcmp(name, "both.test") == 0) {
        put_address(m, 12, type, 300, 2);
    } else if (strcmp(name, "zero.test") == 0) {
        a ? put_address(m, 12, type, 0, 3) : (void)0;
    } else if (strcmp(name, "short.test") == 0) {
        a ? put_address(m, 12, type, 1, 4) : (void)0;
    } else if (strcmp(name, "host.before") == 0 || strcmp(name, "host.after") == 0) {
        a ? put_address(m, 12, type, 0, name[5] == 'b' ? 10 : 20) : (void)0;
    } else if (strcmp(name, "later.test") == 0) {
        a ? put_address(m, 12, type, 300, 5) : (void)0;
    } else if (strcmp(name, "a.chain.test") == 0) {
        put_chain(m, type);
    } else if (strcmp(name, "many.test") == 0) {
        for (int i = 0; i < (a ? 25 : 15); i++) {
            put_address(m, 12, type, 300, i + 1);
        }
    } else if (strcmp(name, "shy.test") == 0) {
        if (server.silent > 0) {
            server.silent--;
            return -1;
        }
        a ? put_address(m, 12, type, 300, 6) : (void)0;
    } else if (strcmp(name, "silent.test") == 0) {
        return -1;
    } else if (strcmp(name, "empty.test") != 0) {
        return strcmp(name, "fail.test") == 0 ? SERVFAIL : NXDOMAIN;
    }
    return 0;
}

static inline void answer(const unsigned char *q, size_t n, const struct sockaddr_in *from) {
    char name[256];
    size_t at = 12, len = 0;
    while (at < n && q[at] != 0) {
        assert_in_range(at + q[at], 0, n - 1);
        memcpy(name + len, q + at + 1, q[at]);
        len += q[at];
        name[len++] = '.';
        at += q[at] + 1U;
    }
    name[len - 1] = '\0';
    message m = {0};
    put(&m, q, at + 5);
    unsigned type = (unsigned)q[at + 1] << 8 | q[at + 2];
    int code = fill(&m, name, type);
    if (code < 0) {
        return;
    }
    m.bytes[2] = 0x84 | (q[2] & 1);
    m.bytes[3] = (unsigned char)(0x80 | code);
    memset(m.bytes + 4, 0, 8);
    m.bytes[5] = 1;
    m.bytes[7] = (unsigned char)m.answers;
    if (strcmp(name, "garbage.test") == 0) {
        m.bytes[3] = 0x80;
        m.bytes[7] = 9; // promised, but there are none
    } else if (strcmp(name, "cut.test") == 0) {
        m.n = 11;
    }
    if (from == NULL) {
        unsigned char prefix[2] = {(unsigned char)(m.n >> 8), (unsigned char)m.n};
        assert_int_equal(send(server.connection, prefix, 2, MSG_NOSIGNAL), 2);
        assert_int_equal(send(server.connection, m.bytes, m.n, MSG_NOSIGNAL), m.n);
        return;
    }
    if (strcmp(name, "large.test") == 0) {
        m.bytes[2] |= 2; // truncated
        m.bytes[7] = 0;
        m.n = at + 5;
    }
    sendto(server.fd, m.bytes, m.n, 0, (const struct sockaddr *)from, sizeof *from);
}

static inline void on_connection_question(void *arg, int events) {
    (void)arg;
    (void)events;
    unsigned char in[1024];
    ssize_t n = recv(server.connection, in, sizeof in, MSG_DONTWAIT);
    if (n <= 0) {
        mg_poll_want(server.connection_poll, 0);
        return;
    }
    for (size_t at = 0; at + 2 < (size_t)n;) {
        size_t one = (size_t)in[at] << 8 | in[at + 1];
        assert_in_range(at + 2 + one, 0, (size_t)n);
        answer(in + at + 2, one, NULL);
        at += 2 + one;
    }
}

static inline void on_connection(void *arg, int events) {
    (void)arg;
    (void)events;
    assert_int_equal(server.connection, -1);
    server.connection = accept4(server.listening, NULL, NULL, SOCK_CLOEXEC);
    assert_true(server.connection >= 0);
    assert_int_equal(mg_poll_open(&server.connection_poll, server.loop, server.connection,
                                  on_connection_question, NULL),
                     0);
    mg_poll_want(server.connection_poll, MG_POLL_READ);
}

static inline void on_question(void *arg, int events) {
    (void)arg;
    (void)events;
    struct held h;
    socklen_t len = sizeof h.from;
    ssize_t n = recvfrom(server.fd, h.bytes, sizeof h.bytes, MSG_DONTWAIT,
                         (struct sockaddr *)&h.from, &len);
    if (n < 17) {
        return;
    }
    h.n = (size_t)n;
    static const char elsewhere[] = "\11elsewhere";
    if (memmem(h.bytes, h.n, elsewhere, sizeof elsewhere) == NULL) {
        server.questions++;
    }
    if (memcmp(h.bytes + 12, "\5later", 6) == 0) {
        assert_in_range(server.held_n, 0, 3);
        server.held[server.held_n++] = h;
        return;
    }
    answer(h.bytes, h.n, &h.from);
}

// The `n` that came first.
static inline void answer_held(int n) {
    assert_in_range(n, 0, server.held_n);
    for (int i = 0; i < n; i++) {
        answer(server.held[i].bytes, server.held[i].n, &server.held[i].from);
    }
    server.held_n -= n;
    memmove(server.held, server.held + n, (size_t)server.held_n * sizeof *server.held);
}

// A UDP socket, and a TCP socket that holds the same port. False: somebody has that one.
static inline bool server_bind(void) {
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof sa;
    server.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    server.listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server.fd, (struct sockaddr *)&sa, sizeof sa), 0);
    assert_int_equal(getsockname(server.fd, (struct sockaddr *)&sa, &len), 0);
    server.port = ntohs(sa.sin_port);
    return bind(server.listening, (struct sockaddr *)&sa, sizeof sa) == 0;
}

static inline void server_open(mg_loop *loop) {
    memset(&server, 0, sizeof server);
    server.loop = loop;
    server.connection = -1;
    while (!server_bind()) {
        close(server.fd);
        close(server.listening);
    }
    assert_int_equal(mg_poll_open(&server.poll, loop, server.fd, on_question, NULL), 0);
    mg_poll_want(server.poll, MG_POLL_READ);
}

static inline void server_listen(void) {
    assert_int_equal(listen(server.listening, 4), 0);
    assert_int_equal(
        mg_poll_open(&server.listening_poll, server.loop, server.listening, on_connection, NULL),
        0);
    mg_poll_want(server.listening_poll, MG_POLL_READ);
}

static inline void server_close(void) {
    mg_poll_close(server.poll);
    close(server.fd);
    mg_poll_close(server.listening_poll);
    mg_poll_close(server.connection_poll);
    close(server.listening);
    close(server.connection);
}
