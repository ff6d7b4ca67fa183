// event/listener.h: a listening TCP or Unix socket.
#pragma once

#include "base/error.h"
#include "event/tls.h"

typedef struct mg_listener mg_listener;

typedef struct mg_address {
    bool is_unix;
    char text[128]; // as it should be shown: "127.0.0.1:8080", "[::1]:8080", "unix:/run/x.sock"
    struct sockaddr_storage sa;
    socklen_t sa_len;
} mg_address;

// Parses "host:port", "[v6]:port", ":port" or "port" (all addresses, v4), "*:port", "unix:/path".
// Host is an IP literal or "localhost". MG_ECONFIG with a text that says what is allowed.
int mg_address_parse(const char *text, mg_address *out, mg_error *err);

// Opens a listening socket: close-on-exec, non-blocking, SO_REUSEADDR, IPV6_V6ONLY, TCP_NODELAY
// where it inherits. A Unix path that exists is unlinked only if it is a socket and a connect to it
// is refused. `reuseport` joins a group: a TCP address is then first probed by a bind without
// SO_REUSEPORT, so that a second server is refused (-EADDRINUSE, the text names the address and, if
// /proc tells, the pid of the holder), while a group of this process's own sockets grows. Port 0
// picks one: mg_address_of_socket tells. Returns the descriptor, or a negative code with text.
int mg_listen_socket(const mg_address *addr, bool reuseport, mg_error *err);

// The same in two steps. Between them the address is taken, but nobody can connect, so closing the
// socket again harms no peer.
typedef enum mg_bind_group {
    MG_BIND_ALONE, // without SO_REUSEPORT
    MG_BIND_FIRST, // founds a group: probed first
    MG_BIND_JOIN,  // this process has founded it
} mg_bind_group;
int mg_bind_socket(const mg_address *addr, mg_bind_group group, mg_error *err);
int mg_listen_start(int fd); // 0 or a negative errno

enum { MG_LISTEN_BACKLOG = 4096 }; // peers that wait in the kernel, at most

// The address to which a socket is bound (with the real port). 0 or a negative errno.
int mg_address_of_socket(int fd, mg_address *out);

// Accepts from `fd` (taken, unless this fails: closed by mg_listener_close). `on_connection(arg,
// l)` is called when a peer may be waiting: it calls mg_listener_accept once, or returns without
// and mg_listener_pause was called.
int mg_listener_open(mg_listener **out, mg_loop *loop, int fd,
                     void (*on_connection)(void *arg, mg_listener *l), void *arg);

// Takes the waiting peer into `s` (caller's memory) with TCP_NODELAY set. 0, or -EAGAIN when there
// is none (ordinary: another process was quicker, or this asked for one more), or a negative errno
// (-EMFILE ...): the listener then rests for 100 ms by itself. Unless this returns 0, `s` is
// untouched and no event comes.
int mg_listener_accept(mg_listener *l, mg_stream *s, const mg_stream_events *events);

// The same, and shakes hands as `o` says, of which loop and socket are the listener's.
int mg_listener_accept_tls(mg_listener *l, mg_stream *s, const mg_tls_opening *o);

// Calls on_connection until nobody waits any more: before a close, which would reset them.
void mg_listener_accept_all(mg_listener *l);

void mg_listener_pause(mg_listener *l); // peers wait in the kernel's queue
void mg_listener_resume(mg_listener *l);

// Accepts NULL; the memory goes by itself. Does not unlink a Unix path.
void mg_listener_close(mg_listener *l);

// The address as bound (with the real port).
int mg_listener_address(const mg_listener *l, mg_address *out);
