// The listening sockets: for each TCP address a group of SO_REUSEPORT sockets, one a worker; a Unix
// address has one for all. The master holds them all, so none closes while its address is
// configured: closing one of a group resets whoever waits in it.

#include "gate/master_inside.h"

#include "base/mem.h"
#include "event/listener.h"

#include <unistd.h>

static void drop(mg_master *m, size_t i) {
    mg_master_socket *s = &m->sockets[i];
    close(s->fd);
    mg_free(s->configured);
    mg_free(s->shown);
    m->sockets[i] = m->sockets[--m->socket_count];
}

static void unlink_path(const mg_master_socket *s) {
    if (s->is_unix) {
        unlink(s->shown + strlen("unix:"));
    }
}

static mg_master_socket *find(const mg_master *m, const char *configured, uint32_t slot) {
    for (size_t i = 0; i < m->socket_count; i++) {
        if (m->sockets[i].slot == slot && strcmp(m->sockets[i].configured, configured) == 0) {
            return &m->sockets[i];
        }
    }
    return NULL;
}

// A port that was picked for the first of a group holds for the others.
static int bind_one(mg_master *m, const char *configured, uint32_t slot, mg_error *err) {
    mg_address address;
    const mg_master_socket *first = slot == 0 ? NULL : find(m, configured, 0);
    const char *text = first != NULL ? first->shown : configured;
    int rc = mg_address_parse(text, &address, err);
    if (rc != MG_OK) {
        return rc;
    }
    int fd = mg_bind_socket(&address, first != NULL ? MG_BIND_JOIN : MG_BIND_FIRST, err);
    if (fd < 0) {
        return fd;
    }
    mg_address_of_socket(fd, &address);
    m->sockets = mg_realloc(m->sockets, (m->socket_count + 1) * sizeof *m->sockets);
    m->sockets[m->socket_count++] = (mg_master_socket){
        .id = ++m->next_socket,
        .slot = slot,
        .fd = fd,
        .configured = mg_strdup(configured),
        .shown = mg_strdup(address.text),
        .is_unix = address.is_unix,
    };
    return MG_OK;
}

static int plan_address(mg_master *m, const char *text, uint32_t workers, mg_error *err) {
    bool is_unix = strncmp(text, "unix:", 5) == 0;
    int rc = MG_OK;
    for (uint32_t slot = 0; rc == MG_OK && slot < (is_unix ? 1 : workers); slot++) {
        uint32_t owner = is_unix ? MG_SLOT_ALL : slot;
        if (find(m, text, owner) == NULL) {
            rc = bind_one(m, text, owner, err);
        }
    }
    return rc;
}

static bool is_configured(const mg_config *c, const char *text) {
    for (size_t i = 0; i < c->listen.n; i++) {
        if (strcmp(c->listen.items[i], text) == 0) {
            return true;
        }
    }
    return false;
}

int mg_sockets_plan(mg_master *m, const mg_config *c, uint32_t workers, mg_error *err) {
    int rc = MG_OK;
    for (size_t i = 0; rc == MG_OK && i < c->listen.n; i++) {
        rc = plan_address(m, c->listen.items[i], workers, err);
    }
    for (size_t i = 0; i < m->socket_count; i++) {
        m->sockets[i].leaving = !is_configured(c, m->sockets[i].configured);
    }
    if (rc != MG_OK) {
        mg_sockets_abandon(m);
    }
    return rc;
}

void mg_sockets_abandon(mg_master *m) {
    for (size_t i = m->socket_count; i-- > 0;) {
        m->sockets[i].leaving = false;
        if (!m->sockets[i].listening) {
            unlink_path(&m->sockets[i]);
            drop(m, i);
        }
    }
}

static void tell(const mg_place *p, const mg_master_socket *s) {
    mg_channel_send(p->channel, &(mg_message){.type = MG_MESSAGE_SOCKET,
                                              .a = s->id,
                                              .b = s->slot,
                                              .fd = s->fd,
                                              .text = mg_str_of(s->shown)});
}

void mg_sockets_tell(mg_master *m, const mg_place *p) {
    for (size_t i = 0; i < m->socket_count; i++) {
        if (m->sockets[i].listening) {
            tell(p, &m->sockets[i]);
        }
    }
}

static void each_place(mg_master *m, const mg_master_socket *s, bool is_new) {
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        const mg_place *p = m->places[slot];
        if (p == NULL || p->channel == NULL) {
            continue;
        }
        if (is_new) {
            tell(p, s);
        } else {
            mg_channel_tell(p->channel, MG_MESSAGE_FORGET, s->id, 0);
        }
    }
}

static void note(mg_buf *changes, char what, const mg_master_socket *s) {
    if (changes != NULL && (s->slot == 0 || s->slot == MG_SLOT_ALL)) {
        mg_buf_printf(changes, "  %c listen %s\n", what, s->shown);
    }
}

void mg_sockets_commit(mg_master *m, mg_buf *changes) {
    for (size_t i = m->socket_count; i-- > 0;) {
        mg_master_socket *s = &m->sockets[i];
        if (s->leaving) {
            note(changes, '-', s);
            each_place(m, s, false);
            unlink_path(s);
            drop(m, i);
        } else if (!s->listening) {
            int rc = mg_listen_start(s->fd);
            if (rc != MG_OK) {
                mg_master_log(m, MG_LOG_ERROR, "%s: %s", s->shown, mg_strerror(rc));
            }
            s->listening = true;
            note(changes, '+', s);
            each_place(m, s, true);
        }
    }
}

void mg_sockets_close(mg_master *m, bool unlink_paths) {
    while (m->socket_count > 0) {
        if (unlink_paths) {
            unlink_path(&m->sockets[m->socket_count - 1]);
        }
        drop(m, m->socket_count - 1);
    }
    mg_free(m->sockets);
    m->sockets = NULL;
}
