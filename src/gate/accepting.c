#include "gate/accepting.h"

#include "base/mem.h"
#include "config/endpoint.h"
#include "event/tls_challenge.h"
#include "gate/channel.h"

#include <fcntl.h>
#include <unistd.h>

static bool is_lent(const mg_accepting *a, uint32_t slot) {
    return slot < 256 && (a->lent[slot / 64] >> (slot % 64) & 1) != 0;
}

static bool is_wanted(const mg_accepting *a, const mg_accepting_socket *s) {
    return a->server != NULL && s->endpoint.address != NULL &&
           (!s->endpoint.secure || s->tls != NULL) &&
           (s->slot == a->own || s->slot == MG_SLOT_ALL || is_lent(a, s->slot));
}

static void unlisten(const mg_accepting *a, mg_accepting_socket *s) {
    if (s->listener != NULL) {
        mg_server_unlisten(a->server, s->listener);
        s->listener = NULL;
    }
}

static void update(const mg_accepting *a, mg_accepting_socket *s) {
    bool wanted = is_wanted(a, s);
    if (wanted == (s->listener != NULL)) {
        return;
    }
    if (!wanted) {
        unlisten(a, s);
        return;
    }
    int copy = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
    if (copy >= 0 && mg_server_listen(a->server, copy, &s->endpoint, &s->listener) != MG_OK) {
        s->listener = NULL;
        close(copy);
    }
}

// The protocols that are offered by ALPN, the one that is liked most first.
static const char *alpn_of(const mg_endpoint *e) {
    if (e->stream) {
        return NULL;
    }
    return e->http2 ? "h2,http/1.1" : "http/1.1";
}

static void tell_fault(const mg_accepting *a, const mg_accepting_socket *s, const char *what) {
    mg_error text;
    mg_error_set(&text, 0, "%s: nobody is let in: %s", s->endpoint.address, what);
    a->on_fault(a->fault_arg, text.text);
}

// Certificates that cannot be served were refused long before.
static void renew_tls(const mg_accepting *a, mg_accepting_socket *s) {
    mg_error err = {"there are no certificates"};
    const mg_tls_server_options o = {
        .store = a->keys,
        .address = s->endpoint.address,
        .alpn = alpn_of(&s->endpoint),
        .ring = a->tickets,
        .challenge = &a->challenge,
    };
    int rc = MG_ECONFIG;
    if (a->keys != NULL) {
        rc = s->tls != NULL ? mg_tls_server_renew(s->tls, &o, &err)
                            : mg_tls_server_new(&s->tls, &o, &err);
    }
    if (rc != MG_OK) {
        tell_fault(a, s, err.text);
    }
    s->endpoint.tls = s->tls;
}

static void drop_tls(mg_accepting_socket *s) {
    mg_tls_unref(s->tls);
    s->tls = s->endpoint.tls = NULL;
}

static void take_endpoint(const mg_accepting *a, mg_accepting_socket *s, mg_str text) {
    mg_arena_reset(&s->arena);
    if (mg_endpoint_read(&s->endpoint, &s->arena, text) != MG_OK) {
        s->endpoint.address = NULL; // what it wants is not known: nobody is let in
    } else if (s->endpoint.secure) {
        renew_tls(a, s);
    } else {
        drop_tls(s);
    }
}

void mg_accepting_take_keys(mg_accepting *a, int fd, bool visible) {
    mg_tls_store *fresh;
    mg_error err;
    if (mg_tls_store_open(&fresh, fd, &err) != MG_OK) {
        a->on_fault(a->fault_arg, err.text);
        return;
    }
    if (!visible) {
        mg_tls_store_hide(fresh);
    }
    mg_tls_store_unref(a->keys);
    a->keys = fresh;
    for (size_t i = 0; i < a->count; i++) {
        mg_accepting_socket *s = &a->sockets[i];
        mg_tls_section section;
        // One whose address is new, or leaves, is told of in a moment.
        if (s->endpoint.address != NULL && s->endpoint.secure &&
            mg_tls_store_section(fresh, s->endpoint.address, &section)) {
            renew_tls(a, s);
            update(a, s);
        }
    }
}

void mg_accepting_take_challenge(mg_accepting *a, mg_str text) {
    mg_challenge_free(a->challenge);
    a->challenge = mg_challenge_read(text);
    if (a->server != NULL) {
        a->server->challenge = a->challenge;
    }
}

static mg_accepting_socket *find(const mg_accepting *a, uint32_t id) {
    for (size_t i = 0; i < a->count; i++) {
        if (a->sockets[i].id == id) {
            return &a->sockets[i];
        }
    }
    return NULL;
}

void mg_accepting_add(mg_accepting *a, uint32_t id, uint32_t slot, int fd, mg_str endpoint) {
    a->sockets = mg_realloc(a->sockets, (a->count + 1) * sizeof *a->sockets);
    mg_accepting_socket *s = &a->sockets[a->count++];
    *s = (mg_accepting_socket){.id = id, .slot = slot, .fd = fd};
    take_endpoint(a, s, endpoint);
    mg_descriptors_hold(a->loop, 1);
    update(a, s);
}

void mg_accepting_change(mg_accepting *a, uint32_t id, mg_str endpoint) {
    mg_accepting_socket *s = find(a, id);
    if (s != NULL) {
        unlisten(a, s);
        take_endpoint(a, s, endpoint);
        update(a, s);
    }
}

static void close_socket(mg_accepting *a, mg_accepting_socket *s) {
    close(s->fd);
    drop_tls(s);
    mg_arena_deinit(&s->arena);
    mg_descriptors_release(a->loop, 1);
}

void mg_accepting_forget(mg_accepting *a, uint32_t id) {
    mg_accepting_socket *s = find(a, id);
    if (s != NULL) {
        unlisten(a, s);
        close_socket(a, s);
        *s = a->sockets[--a->count];
    }
}

static void update_all(const mg_accepting *a) {
    for (size_t i = 0; i < a->count; i++) {
        update(a, &a->sockets[i]);
    }
}

void mg_accepting_lend(mg_accepting *a, uint32_t slot, bool lent) {
    if (slot >= 256) {
        return;
    }
    uint64_t bit = (uint64_t)1 << (slot % 64);
    a->lent[slot / 64] = lent ? a->lent[slot / 64] | bit : a->lent[slot / 64] & ~bit;
    update_all(a);
}

void mg_accepting_begin(mg_accepting *a, mg_server *server) {
    a->server = server;
    server->challenge = a->challenge;
    update_all(a);
}

void mg_accepting_end(mg_accepting *a) {
    for (size_t i = 0; i < a->count; i++) {
        unlisten(a, &a->sockets[i]);
    }
    if (a->server != NULL) {
        a->server->challenge = NULL;
    }
    a->server = NULL;
}

void mg_accepting_deinit(mg_accepting *a) {
    for (size_t i = 0; i < a->count; i++) {
        close_socket(a, &a->sockets[i]);
    }
    mg_tls_store_unref(a->keys);
    a->keys = NULL;
    mg_challenge_free(a->challenge);
    a->challenge = NULL;
    mg_free(a->sockets);
    a->sockets = NULL;
    a->count = 0;
}
