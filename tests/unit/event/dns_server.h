// event/dns_server.h: a nameserver for one test, on the loop under test.
#pragma once

#include "dns_message.h"
#include "wire.h"

#include "event/poll.h"

#include <netinet/in.h>
#include <string.h>

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

// `from`: NULL for a question over TCP.
static inline void answer(const unsigned char *q, size_t n, const struct sockaddr_in *from) {
    message m = {0};
    if (!reply(&m, q, n, from != NULL, &server.silent)) {
        return;
    }
    if (from == NULL) {
        unsigned char prefix[2] = {(unsigned char)(m.n >> 8), (unsigned char)m.n};
        assert_int_equal(send(server.connection, prefix, 2, MSG_NOSIGNAL), 2);
        assert_int_equal(send(server.connection, m.bytes, m.n, MSG_NOSIGNAL), m.n);
        return;
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
