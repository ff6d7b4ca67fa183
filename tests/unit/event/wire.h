// event/wire.h: streams that record what happens to them, and raw sockets as their peers.
#pragma once

#include "base/buf.h"
#include "event/listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct wire {
    mg_stream s;
    mg_buf got;
    int ends, end_status;
    int drains, drain_status;
    int closes;
    bool close_in_read, close_in_end, close_in_drain;
    bool stop_in_read;
    bool echo;
} wire;

static inline wire *wire_of(mg_stream *s) {
    return MG_OF(s, wire, s);
}

static inline int wire_send(wire *w, const char *data, size_t n) {
    struct iovec v = {(void *)(uintptr_t)data, n};
    return mg_stream_write(&w->s, &v, 1);
}

static inline void wire_on_read(mg_stream *s, const char *data, size_t n) {
    wire *w = wire_of(s);
    assert_int_equal(w->closes, 0);
    assert_in_range(n, 1, MG_STREAM_READ_BYTES);
    mg_buf_append(&w->got, data, n);
    if (w->echo) {
        assert_int_equal(wire_send(w, data, n), 0);
    }
    if (w->stop_in_read) {
        mg_stream_read_stop(s);
    }
    if (w->close_in_read) {
        mg_stream_close(s, false);
    }
}

static inline void wire_on_end(mg_stream *s, int status) {
    wire *w = wire_of(s);
    w->ends++;
    w->end_status = status;
    if (w->close_in_end) {
        mg_stream_close(s, false);
    }
}

static inline void wire_on_drain(mg_stream *s, int status) {
    wire *w = wire_of(s);
    assert_int_equal(s->queued, 0);
    w->drains++;
    w->drain_status = status;
    if (w->close_in_drain) {
        mg_stream_close(s, false);
    }
}

static inline void wire_on_closed(mg_stream *s) {
    assert_non_null(mg_stream_loop(s));
    wire_of(s)->closes++;
}

static const mg_stream_events wire_events = {wire_on_read, wire_on_end, wire_on_drain,
                                             wire_on_closed};

// Turns until `*what` has reached `n`. A test that waits in vain is ended by the alarm.
static inline void turn_until(mg_loop *loop, const int *what, int n) {
    while (*what < n) {
        mg_loop_turn(loop, true, true, UINT64_MAX);
    }
}

static inline void turn_until_bytes(mg_loop *loop, const wire *w, size_t n) {
    while (w->got.n < n) {
        mg_loop_turn(loop, true, true, UINT64_MAX);
    }
}

static inline void turn_times(mg_loop *loop, int n) {
    for (int i = 0; i < n; i++) {
        mg_loop_turn(loop, false, false, 0);
    }
}

static inline void wire_close(mg_loop *loop, wire *w) {
    mg_stream_close(&w->s, false);
    turn_until(loop, &w->closes, 1);
    mg_buf_deinit(&w->got);
}

static inline mg_loop *new_loop(bool virtual_clock) {
    mg_loop *loop = NULL;
    mg_loop_options options = {.virtual_clock = virtual_clock};
    assert_int_equal(mg_loop_new(&loop, &options), 0);
    return loop;
}

static inline int listen_on(const char *text) {
    mg_address a;
    mg_error err;
    assert_int_equal(mg_address_parse(text, &a, &err), 0);
    int fd = mg_listen_socket(&a, false, &err);
    if (fd < 0) {
        fail_msg("%s", err.text);
    }
    return fd;
}

// Accepts nothing and has no room: a SYN to it is dropped, as by a firewall. The `filler` sockets
// are to be closed.
static inline int listen_silently(int *filler, int count) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    for (int i = 0; i < count; i++) {
        filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)!connect(filler[i], (struct sockaddr *)&a, n);
    }
    return fd;
}

static inline int open_fds(void) {
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d) != NULL) {
        n++;
    }
    closedir(d);
    return n;
}

// A blocking socket connected to `a`.
static inline int dial(const mg_address *a) {
    int fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&a->sa, a->sa_len), 0);
    return fd;
}

static inline void reset_and_close(int fd) {
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
}

// A new folder below /tmp; `remove_folder` takes it away with the files in it.
static inline char *new_folder(void) {
    char *path = strdup("/tmp/moongate-event-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

static inline void remove_folder(char *path) {
    char command[160];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
    free(path);
}
