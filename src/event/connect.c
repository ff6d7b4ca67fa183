// One way to an open stream.
//
//   LOOKUP --addresses--> DIAL --connected--> CONTEXT --read--> HANDSHAKE --ready--> the caller's
//     (a Unix socket needs no lookup; without TLS the dial is the last; a context may be there
//     already)
//   any --fault, deadline, cancel--> OVER
// Of another network (mg_connect_use) it is in DIAL from the start.

#include "event/connect.h"

#include "base/mem.h"
#include "event/descriptors.h"
#include "event/dial.h"
#include "event/loop_inside.h"
#include "event/timer.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

typedef enum phase { LOOKUP, DIAL, CONTEXT, HANDSHAKE, OVER } phase;

struct mg_connect {
    mg_connect_options o;
    phase phase;
    bool held;             // a descriptor is counted that does not count itself
    mg_timer deadline;     // of all
    mg_timer soon;         // LOOKUP of a Unix socket
    mg_dns_lookup *lookup; // LOOKUP
    mg_dial *dial;         // DIAL
    mg_tls_wait context;   // CONTEXT
    int fd;                // CONTEXT: connected; else -1
    mg_stream stream;      // HANDSHAKE, and OVER until it is closed
};

static void on_late(mg_timer *t);
static void on_unix(mg_timer *t);
static void on_resolved(void *arg, int status, const struct sockaddr_storage *addresses, size_t n,
                        const char *text);
static void on_dialled(void *arg, int status, int fd);
static void on_context(mg_tls_wait *w, mg_tls_context *context, const char *fault);
static void on_ready(mg_stream *s, int status, const char *text);

// --- life ---

static void enter(mg_connect *c, phase next) {
    static const uint8_t moves[] = {
        [LOOKUP] = 1 << DIAL | 1 << OVER,
        [DIAL] = 1 << CONTEXT | 1 << OVER,
        [CONTEXT] = 1 << HANDSHAKE | 1 << OVER,
        [HANDSHAKE] = 1 << OVER,
        [OVER] = 0,
    };
    assert(moves[c->phase] & (1 << next));
    c->phase = next;
}

// Dials and streams count themselves.
static void hold_descriptor(mg_connect *c, bool hold) {
    if (c->held != hold) {
        c->held = hold;
        (hold ? mg_descriptors_hold : mg_descriptors_release)(c->o.loop, 1);
    }
}

mg_connect *mg_connect_start(const mg_connect_options *options) {
    mg_connect *c = mg_calloc(1, sizeof *c);
    c->o = *options;
    c->fd = -1;
    mg_link_init(&c->context.link);
    hold_descriptor(c, true);
    if (c->o.timeout_ms > 0) {
        mg_timer_start(c->o.loop, &c->deadline, c->o.timeout_ms, 0, on_late);
    }
    const mg_connect_net *net = c->o.loop->net;
    if (net != NULL) {
        enter(c, DIAL);
        net->on_connect(net->arg, c, &c->o);
    } else if (c->o.unix_path != NULL) {
        mg_timer_start(c->o.loop, &c->soon, 0, 0, on_unix);
    } else {
        (void)mg_dns_start(&c->lookup, c->o.dns, c->o.host, on_resolved, c);
    }
    return c;
}

// Ends what is under way. The memory goes now, or with the socket of a handshake.
static void end(mg_connect *c) {
    phase was = c->phase;
    const mg_connect_net *net = c->o.loop->net;
    enter(c, OVER);
    if (net != NULL) {
        net->on_gone(net->arg, c);
    }
    mg_timer_stop(&c->deadline);
    mg_timer_stop(&c->soon);
    mg_dns_cancel(c->lookup);
    mg_dial_cancel(c->dial);
    mg_link_remove(&c->context.link);
    if (c->fd >= 0) {
        close(c->fd);
    }
    hold_descriptor(c, false);
    if (was == HANDSHAKE) {
        mg_stream_close(&c->stream, false);
    } else {
        mg_free(c);
    }
}

void mg_connect_cancel(mg_connect *c) {
    if (c != NULL) {
        end(c);
    }
}

static void fail(mg_connect *c, const char *code, const char *text) {
    const mg_connect_options o = c->o;
    end(c);
    o.on_done(o.arg, &(mg_connect_fault){code, text});
}

static void succeed(mg_connect *c) {
    const mg_connect_options o = c->o;
    mg_timer_stop(&c->deadline);
    mg_free(c);
    o.on_done(o.arg, NULL);
}

const char *mg_connect_doing(const mg_connect *c) {
    static const char *const doing[] = {
        [LOOKUP] = "looking its name up",
        [DIAL] = "connecting",
        [CONTEXT] = "the TLS handshake",
        [HANDSHAKE] = "the TLS handshake",
    };
    return doing[c->phase];
}

static void on_late(mg_timer *t) {
    mg_connect *c = MG_OF(t, mg_connect, deadline);
    char text[96];
    snprintf(text, sizeof text, "%s took longer than %g s", mg_connect_doing(c),
             (double)c->o.timeout_ms / 1000);
    fail(c, "timeout", text);
}

// --- addresses ---

static void dial(mg_connect *c, const struct sockaddr_storage *addresses, size_t n) {
    enter(c, DIAL);
    hold_descriptor(c, false);
    int rc = mg_dial_start(&c->dial, c->o.loop, addresses, n, on_dialled, c);
    if (rc != MG_OK) {
        fail(c, "connect", mg_strerror(rc));
    }
}

// The connection's address is one of those that are allowed here, whatever else the name may mean a
// moment later.
static void dial_allowed(mg_connect *c, struct sockaddr_storage *addresses, size_t n) {
    char why[MG_CONNECT_WHY_BYTES];
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (c->o.allows == NULL || c->o.allows(c->o.arg, &addresses[i], why)) {
            addresses[kept++] = addresses[i];
        }
    }
    if (n > 0 && kept == 0) {
        fail(c, "denied", why);
    } else {
        dial(c, addresses, kept);
    }
}

static void set_port(struct sockaddr_storage *a, uint16_t port) {
    if (a->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)a)->sin6_port = htons(port);
    } else {
        ((struct sockaddr_in *)a)->sin_port = htons(port);
    }
}

static void on_resolved(void *arg, int status, const struct sockaddr_storage *addresses, size_t n,
                        const char *text) {
    mg_connect *c = arg;
    c->lookup = NULL;
    if (status != MG_OK) {
        fail(c, "dns", text);
        return;
    }
    struct sockaddr_storage list[MG_DNS_ADDRESSES];
    for (size_t i = 0; i < n; i++) {
        list[i] = addresses[i];
        set_port(&list[i], c->o.port);
    }
    dial_allowed(c, list, n);
}

static void on_unix(mg_timer *t) {
    mg_connect *c = MG_OF(t, mg_connect, soon);
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    struct sockaddr_un *un = (struct sockaddr_un *)&address;
    size_t n = strlen(c->o.unix_path);
    if (n > sizeof un->sun_path) {
        fail(c, "connect", mg_strerror(-ENAMETOOLONG));
        return;
    }
    memcpy(un->sun_path, c->o.unix_path, n);
    dial_allowed(c, &address, 1);
}

// --- the socket is connected ---

// A fresh socket has room for so little.
static int send_prelude(int fd, mg_str s) {
    if (s.n == 0) {
        return MG_OK;
    }
    ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
    return n == (ssize_t)s.n ? MG_OK : (n < 0 ? -errno : -ENOBUFS);
}

static void on_dialled(void *arg, int status, int fd) {
    mg_connect *c = arg;
    c->dial = NULL;
    if (status == MG_OK) {
        status = send_prelude(fd, c->o.prelude);
        c->fd = status == MG_OK ? -1 : fd; // else closed with the rest
    }
    if (status != MG_OK) {
        fail(c, "connect", mg_strerror(status));
        return;
    }
    if (c->o.tls == NULL) {
        mg_stream_uv_open(c->o.loop, c->o.stream, c->o.events, fd, c->o.unix_path != NULL);
        succeed(c);
        return;
    }
    mg_error err = {""};
    mg_tls_context *context = NULL;
    enter(c, CONTEXT);
    c->fd = fd;
    c->context.on_context = on_context;
    hold_descriptor(c, true);
    int rc = mg_tls_cache_get(c->o.tls, &c->o.demands, &c->context, &context, &err);
    if (rc != MG_EAGAIN) {
        on_context(&c->context, context, err.text);
    }
}

// --- TLS ---

static void on_closed(mg_stream *s) {
    mg_free(MG_OF(s, mg_connect, stream));
}

static const mg_stream_events handshake_events = {.on_closed = on_closed};

static void on_context(mg_tls_wait *w, mg_tls_context *context, const char *fault) {
    mg_connect *c = MG_OF(w, mg_connect, context);
    if (context == NULL) {
        fail(c, "tls", fault);
        return;
    }
    const mg_tls_opening opening = {
        .loop = c->o.loop,
        .context = context,
        .fd = c->fd,
        .is_unix = c->o.unix_path != NULL,
        .host = c->o.server_name != NULL ? c->o.server_name : c->o.host,
        .events = &handshake_events,
        .on_ready = on_ready,
    };
    c->fd = -1; // taken
    hold_descriptor(c, false);
    if (mg_tls_connect(&c->stream, &opening) != MG_OK) {
        fail(c, "tls", "its name (option server_name) is no name of a host");
    } else {
        enter(c, HANDSHAKE);
    }
}

static void on_ready(mg_stream *s, int status, const char *text) {
    mg_connect *c = MG_OF(s, mg_connect, stream);
    if (status != MG_OK) {
        fail(c, "tls", text);
        return;
    }
    mg_tls_move(c->o.stream, s, c->o.events);
    succeed(c);
}

// --- another network ---

void mg_connect_use(mg_loop *loop, const mg_connect_net *net) {
    loop->net = net;
}

bool mg_connect_has_net(const mg_loop *loop) {
    return loop->net != NULL;
}

bool mg_connect_is_faithful(const mg_loop *loop) {
    return loop->net == NULL || loop->net->faithful;
}

void mg_connect_accept(mg_connect *c, mg_stream *peer, const mg_stream_events *events,
                       size_t window) {
    hold_descriptor(c, false);
    int rc = mg_stream_pair(c->o.loop, c->o.stream, peer, c->o.events, events, window);
    assert(rc == MG_OK);
    (void)rc;
    succeed(c);
}

void mg_connect_refuse(mg_connect *c, const mg_connect_fault *fault) {
    fail(c, fault->code, fault->text);
}
