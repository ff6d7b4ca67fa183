// One connection to another server.
//
//   RESOLVING --address--> DIALLING --connected--> HANDSHAKE --ready--> IDLE <--> BUSY
//        (an IP literal or a Unix socket begins at DIALLING; without TLS there is no HANDSHAKE)
//   any --fault, end, timeout--> CLOSED --stream closed--> freed

#include "client/call_inside.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

enum { FORGOTTEN_MS = 5000, REFUSAL_BYTES = 224 };

static void on_read(mg_stream *s, const char *data, size_t n);
static void on_end(mg_stream *s, int status);
static void on_drain(mg_stream *s, int status);
static void on_closed(mg_stream *s);

static const mg_stream_events stream_events = {on_read, on_end, on_drain, on_closed};

// Until there is a descriptor that counts itself, one is held for it.
static void hold_descriptor(mg_outbound *c, bool hold) {
    if (c->held != hold) {
        c->held = hold;
        (hold ? mg_descriptors_hold : mg_descriptors_release)(c->client->loop, 1);
    }
}

static void free_outbound(mg_outbound *c) {
    mg_client *client = c->client;
    mg_link_remove(&c->all);
    mg_free(c);
    mg_client_release(client);
}

void mg_outbound_close(mg_outbound *c) {
    if (c->state == MG_OUTBOUND_CLOSED) {
        return;
    }
    mg_origin *o = c->origin;
    mg_timer_stop(&c->timer);
    mg_deadline_stop(&c->idle);
    hold_descriptor(c, false);
    if (c->lookup != NULL) {
        mg_dns_cancel(c->lookup);
    }
    if (c->dial != NULL) {
        mg_dial_cancel(c->dial);
    }
    mg_link_remove(&c->trust.link);
    if (c->fd >= 0) {
        close(c->fd);
    }
    mg_origin_drop(o, c);
    c->state = MG_OUTBOUND_CLOSED;
    c->origin = NULL;
    c->call = NULL;
    if (c->has_stream) {
        mg_stream_close(&c->stream, false);
    } else {
        free_outbound(c);
    }
}

// It never became ready: the call that has waited longest fails, the others try again.
static void fail(mg_outbound *c, const char *code, const char *what) {
    mg_call *call = mg_origin_first_waiting(c->origin);
    if (call != NULL) {
        mg_call_fail(call, code, what);
    }
    mg_outbound_close(c);
}

// Calls have time limits of their own; what nobody waits for any more goes on for a while, for the
// next one.
static void on_forgotten(mg_timer *t) {
    mg_outbound *c = MG_OF(t, mg_outbound, timer);
    if (mg_origin_first_waiting(c->origin) == NULL) {
        mg_outbound_close(c);
    } else {
        mg_timer_start(c->client->loop, &c->timer, FORGOTTEN_MS, 0, on_forgotten);
    }
}

// --- the stream is there ---

static void ready(mg_outbound *c) {
    mg_timer_stop(&c->timer);
    mg_stream_read_start(&c->stream);
    mg_origin_take_back(c->origin, c);
}

static void on_tls_ready(mg_stream *s, int status, const char *text) {
    mg_outbound *c = MG_OF(s, mg_outbound, stream);
    if (status == MG_OK) {
        ready(c);
    } else {
        fail(c, "tls", text != NULL ? text : mg_strerror(status));
    }
}

static void shake_hands(mg_outbound *c, mg_tls_context *trust) {
    mg_origin *o = c->origin;
    int fd = c->fd;
    c->fd = -1; // taken
    hold_descriptor(c, false);
    int rc = mg_tls_connect(&c->stream, &(mg_tls_opening){.loop = c->client->loop,
                                                          .context = trust,
                                                          .fd = fd,
                                                          .is_unix = o->unix_path != NULL,
                                                          .host = o->server_name,
                                                          .events = &stream_events,
                                                          .on_ready = on_tls_ready});
    c->has_stream = rc == MG_OK;
    if (rc == -EINVAL) {
        fail(c, "tls", "its name (option server_name) is no name of a host");
    } else if (rc != MG_OK) {
        fail(c, "tls", mg_strerror(rc));
    }
}

static void on_trust(mg_tls_wait *w, mg_tls_context *context, const char *fault) {
    mg_outbound *c = MG_OF(w, mg_outbound, trust);
    if (context != NULL) {
        shake_hands(c, context);
    } else {
        fail(c, "tls", fault);
    }
}

static void open_tls(mg_outbound *c, int fd) {
    mg_error err;
    mg_tls_context *trust;
    c->state = MG_OUTBOUND_HANDSHAKE;
    c->fd = fd;
    c->trust.on_context = on_trust;
    hold_descriptor(c, true);
    const mg_tls_demands demands = {
        .ca = c->origin->ca, .alpn = "http/1.1", .insecure = c->origin->insecure};
    int rc = mg_tls_cache_get(c->client->tls, &demands, &c->trust, &trust, &err);
    if (rc == MG_OK) {
        shake_hands(c, trust);
    } else if (rc != MG_EAGAIN) {
        fail(c, "tls", err.text);
    }
}

static void on_dialled(void *arg, int status, int fd) {
    mg_outbound *c = arg;
    c->dial = NULL;
    if (status != MG_OK) {
        fail(c, "connect", mg_strerror(status));
    } else if (c->origin->is_tls) {
        open_tls(c, fd);
    } else {
        mg_stream_uv_open(c->client->loop, &c->stream, &stream_events, fd,
                          c->origin->unix_path != NULL);
        c->has_stream = true;
        ready(c);
    }
}

// --- addresses ---

static void set_port(struct sockaddr_storage *a, uint16_t port) {
    if (a->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)a)->sin6_port = htons(port);
    } else if (a->ss_family == AF_INET) {
        ((struct sockaddr_in *)a)->sin_port = htons(port);
    }
}

static void dial(mg_outbound *c, const struct sockaddr_storage *addresses, size_t n) {
    c->state = MG_OUTBOUND_DIALLING;
    hold_descriptor(c, false);
    int rc = mg_dial_start(&c->dial, c->client->loop, addresses, n, on_dialled, c);
    if (rc != MG_OK) {
        c->dial = NULL;
        fail(c, "connect", mg_strerror(rc));
    }
}

// Says so if one of the origin's or of the client's rules refuses the address.
static bool is_refused(const mg_outbound *c, const struct sockaddr_storage *address,
                       char text[REFUSAL_BYTES]) {
    const char *option = mg_rules_refuse(c->origin->rules, address);
    const char *by = option != NULL ? option : mg_rules_refuse(c->client->rules, address);
    if (by == NULL) {
        return false;
    }
    char shown[MG_IP_TEXT_BYTES] = "a Unix socket";
    mg_ip ip;
    if (mg_ip_of(address, &ip)) {
        mg_ip_write(&ip, shown);
    }
    const char *where = option != NULL ? "option " : "http.";
    if (by[0] == '\0') {
        snprintf(text, REFUSAL_BYTES, "%s is not among those allowed (%sallow)", shown, where);
    } else {
        snprintf(text, REFUSAL_BYTES, "%s is denied by \"%.80s\" (%sdeny)", shown, by, where);
    }
    return true;
}

// Those that no rule refuses. The connection's address is one of these, whatever else the name
// may mean a moment later.
static void dial_allowed(mg_outbound *c, struct sockaddr_storage *addresses, size_t n) {
    char text[REFUSAL_BYTES];
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_refused(c, &addresses[i], text)) {
            addresses[kept++] = addresses[i];
        }
    }
    if (n > 0 && kept == 0) {
        fail(c, "denied", text);
    } else {
        dial(c, addresses, kept);
    }
}

static void on_resolved(void *arg, int status, const struct sockaddr_storage *addresses, size_t n,
                        const char *text) {
    mg_outbound *c = arg;
    c->lookup = NULL;
    if (status != MG_OK) {
        fail(c, "dns", text != NULL ? text : mg_strerror(status));
        return;
    }
    struct sockaddr_storage list[MG_DNS_ADDRESSES];
    n = n < MG_DNS_ADDRESSES ? n : MG_DNS_ADDRESSES;
    for (size_t i = 0; i < n; i++) {
        list[i] = addresses[i];
        set_port(&list[i], c->origin->port);
    }
    dial_allowed(c, list, n);
}

// An address that needs no name: false if the host is one.
static bool literal(const mg_origin *o, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    if (o->unix_path != NULL) {
        struct sockaddr_un *un = (struct sockaddr_un *)out;
        un->sun_family = AF_UNIX;
        snprintf(un->sun_path, sizeof un->sun_path, "%s", o->unix_path); // its length was checked
        return true;
    }
    if (inet_pton(AF_INET, o->host, &((struct sockaddr_in *)out)->sin_addr) == 1) {
        out->ss_family = AF_INET;
    } else if (inet_pton(AF_INET6, o->host, &((struct sockaddr_in6 *)out)->sin6_addr) == 1) {
        out->ss_family = AF_INET6;
    }
    set_port(out, o->port);
    return out->ss_family != 0;
}

// Begins with the name or the address; a fault is told by the timer that is due at once, never
// inside the call that asked for a connection.
static void on_begin(mg_timer *t) {
    mg_outbound *c = MG_OF(t, mg_outbound, timer);
    struct sockaddr_storage address;
    mg_timer_start(c->client->loop, &c->timer, FORGOTTEN_MS, 0, on_forgotten);
    if (literal(c->origin, &address)) {
        dial_allowed(c, &address, 1);
        return;
    }
    int rc = mg_dns_start(&c->lookup, c->client->dns, c->origin->host, on_resolved, c);
    if (rc != MG_OK) {
        c->lookup = NULL;
        fail(c, "dns", mg_strerror(rc));
    }
}

void mg_outbound_open(mg_origin *o) {
    mg_outbound *c = mg_calloc(1, sizeof *c);
    c->client = o->client;
    c->origin = o;
    c->state = MG_OUTBOUND_RESOLVING;
    c->fd = -1;
    mg_link_init(&c->trust.link);
    mg_link_append(&o->dials, &c->link);
    mg_deadline_init(&c->idle);
    mg_link_append(&c->client->outbounds, &c->all);
    c->client->connections++;
    hold_descriptor(c, true);
    c->client->dialled++;
    o->connections++;
    o->connecting++;
    mg_timer_start(c->client->loop, &c->timer, 0, 0, on_begin);
}

// --- bytes ---

// What comes while nobody asked for it, a close in most cases, ends the connection.
static void on_read(mg_stream *s, const char *data, size_t n) {
    mg_outbound *c = MG_OF(s, mg_outbound, stream);
    if (c->state == MG_OUTBOUND_BUSY) {
        mg_call_feed(c->call, data, n);
    } else {
        mg_outbound_close(c);
    }
}

static void on_end(mg_stream *s, int status) {
    mg_outbound *c = MG_OF(s, mg_outbound, stream);
    if (c->state == MG_OUTBOUND_BUSY) {
        mg_call_lost(c->call, status);
    } else {
        mg_outbound_close(c);
    }
}

static void on_drain(mg_stream *s, int status) {
    mg_outbound *c = MG_OF(s, mg_outbound, stream);
    if (c->state != MG_OUTBOUND_BUSY) {
        return;
    }
    if (status == MG_OK) {
        mg_call_drained(c->call);
    }
    // A failed write is no verdict yet: an early response may still be there to be read, and the
    // end of the connection follows in any case.
}

static void on_closed(mg_stream *s) {
    free_outbound(MG_OF(s, mg_outbound, stream));
}
