#include "gate/accepting.h"

#include "base/mem.h"
#include "gate/channel.h"

#include <fcntl.h>
#include <unistd.h>

static bool is_lent(const mg_accepting *a, uint32_t slot) {
    return slot < 256 && (a->lent[slot / 64] >> (slot % 64) & 1) != 0;
}

static bool is_wanted(const mg_accepting *a, const mg_accepting_socket *s) {
    return a->server != NULL &&
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
    if (copy >= 0 && mg_server_listen(a->server, copy, &s->listener) != MG_OK) {
        s->listener = NULL;
        close(copy);
    }
}

void mg_accepting_add(mg_accepting *a, uint32_t id, uint32_t slot, int fd) {
    a->sockets = mg_realloc(a->sockets, (a->count + 1) * sizeof *a->sockets);
    mg_accepting_socket *s = &a->sockets[a->count++];
    *s = (mg_accepting_socket){.id = id, .slot = slot, .fd = fd};
    mg_descriptors_hold(a->loop, 1);
    update(a, s);
}

void mg_accepting_forget(mg_accepting *a, uint32_t id) {
    for (size_t i = 0; i < a->count; i++) {
        if (a->sockets[i].id == id) {
            unlisten(a, &a->sockets[i]);
            close(a->sockets[i].fd);
            mg_descriptors_release(a->loop, 1);
            a->sockets[i] = a->sockets[--a->count];
            return;
        }
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
    update_all(a);
}

void mg_accepting_end(mg_accepting *a) {
    for (size_t i = 0; i < a->count; i++) {
        unlisten(a, &a->sockets[i]);
    }
    a->server = NULL;
}

void mg_accepting_deinit(mg_accepting *a) {
    for (size_t i = 0; i < a->count; i++) {
        close(a->sockets[i].fd);
        mg_descriptors_release(a->loop, 1);
    }
    mg_free(a->sockets);
    a->sockets = NULL;
    a->count = 0;
}
