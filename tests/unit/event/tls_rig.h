// event/tls_rig.h: connects the ends, over a pair of sockets or over TCP.
#pragma once

#include "tls_peers.h"

#include <errno.h>

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#define EACH_TCP(f)                                                                                \
    { #f " over TCP", f, set_up_tcp, tear_down, NULL }

static inline void contexts(const char *server_name) {
    client_context = client_of(&(mg_tls_client_options){.ca_file = path_of("ca.pem")});
    server_context = server_of(server_name, NULL);
}

static inline mg_tls_opening opening(int fd, mg_tls_context *context) {
    return (mg_tls_opening){.loop = loop,
                            .context = context,
                            .fd = fd,
                            .is_unix = !over_tcp,
                            .events = &wire_events,
                            .on_ready = on_ready};
}

static inline void open_client(int fd, const char *host) {
    mg_tls_opening o = opening(fd, client_context);
    o.host = host;
    assert_int_equal(mg_tls_connect(&client.w.s, &o), 0);
}

static inline void open_server(int fd) {
    mg_tls_opening o = opening(fd, server_context);
    mg_tls_accept(&server.w.s, &o);
}

static inline void connected_pair(int *fds) {
    if (!over_tcp) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
                         0);
        return;
    }
    mg_address a = {.sa_len = sizeof a.sa};
    int listener = listen_on("127.0.0.1:0");
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a.sa, &a.sa_len), 0);
    fds[0] = dial(&a);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    do {
        fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    } while (fds[1] < 0 && errno == EAGAIN);
    assert_true(fds[1] >= 0);
    close(listener);
}

static inline void open_both(const char *host) {
    int fds[2];
    connected_pair(fds);
    open_client(fds[0], host);
    open_server(fds[1]);
    assert_int_equal(client.readies + server.readies, 0);
}

static inline void shake_hands(const char *host) {
    open_both(host);
    turn_until(loop, &client.readies, 1);
    turn_until(loop, &server.readies, 1);
    if (client.status != 0) {
        fail_msg("%s", client.text);
    }
    assert_int_equal(server.status, 0);
}

static inline void connect_well(void) {
    contexts("good");
    shake_hands("good.test");
}

static inline void read_both(void) {
    assert_int_equal(mg_stream_read_start(&client.w.s), 0);
    assert_int_equal(mg_stream_read_start(&server.w.s), 0);
}

// A client whose peer is a raw socket.
static inline int open_to_raw(void) {
    int fds[2];
    contexts("good");
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    open_client(fds[0], "good.test");
    return fds[1];
}
