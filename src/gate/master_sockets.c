// The listening sockets: for each TCP address a group of SO_REUSEPORT sockets, one a worker; a Unix
// address has one for all. The master holds them all, so none closes while its address is
// configured: closing one of a group resets whoever waits in it.

#include "gate/master_inside.h"

#include "base/mem.h"
#include "config/endpoint.h"
#include "event/listener.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static void drop(mg_master *m, size_t i) {
    mg_master_socket *s = &m->sockets[i];
    close(s->fd);
    mg_free(s->address);
    mg_free(s->endpoint);
    mg_free(s->shown);
    m->sockets[i] = m->sockets[--m->socket_count];
}

static const char *path_of(const mg_master_socket *s) {
    return s->shown + strlen("unix:");
}

static void unlink_path(const mg_master_socket *s) {
    if (s->is_unix) {
        unlink(path_of(s));
    }
}

static mg_master_socket *find(const mg_master *m, const char *address, uint32_t slot) {
    for (size_t i = 0; i < m->socket_count; i++) {
        if (m->sockets[i].slot == slot && strcmp(m->sockets[i].address, address) == 0) {
            return &m->sockets[i];
        }
    }
    return NULL;
}

static char *text_of(const mg_endpoint *e) {
    mg_buf text = {0};
    mg_endpoint_write(&text, e);
    char *copy = mg_strndup(text.p, text.n);
    mg_buf_deinit(&text);
    return copy;
}

static mode_t usual_mode(void) {
    mode_t mask = umask(0);
    umask(mask);
    return 0777 & ~mask;
}

static int set_mode(const mg_master_socket *s, const mg_endpoint *e, mg_error *err) {
    mode_t mode = e->mode == MG_MODE_ANY ? usual_mode() : (mode_t)e->mode;
    if (!s->is_unix || chmod(path_of(s), mode) == 0) {
        return MG_OK;
    }
    return mg_error_set(err, -errno, "%s: its mode cannot be set: %s", s->shown, strerror(errno));
}

// A port that was picked for the first of a group holds for the others. Nobody can connect yet.
static int bind_one(mg_master *m, const mg_endpoint *e, uint32_t slot, mg_error *err) {
    mg_address address;
    const mg_master_socket *first = slot == 0 ? NULL : find(m, e->address, 0);
    const char *text = first != NULL ? first->shown : e->address;
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
    mg_master_socket *s = &m->sockets[m->socket_count++];
    *s = (mg_master_socket){
        .id = ++m->next_socket,
        .slot = slot,
        .fd = fd,
        .address = mg_strdup(e->address),
        .endpoint = text_of(e),
        .shown = mg_strdup(address.text),
        .is_unix = address.is_unix,
    };
    return e->mode == MG_MODE_ANY ? MG_OK : set_mode(s, e, err);
}

static int plan_address(mg_master *m, const mg_endpoint *e, uint32_t workers, mg_error *err) {
    bool is_unix = strncmp(e->address, "unix:", 5) == 0;
    int rc = MG_OK;
    for (uint32_t slot = 0; rc == MG_OK && slot < (is_unix ? 1 : workers); slot++) {
        uint32_t owner = is_unix ? MG_SLOT_ALL : slot;
        if (find(m, e->address, owner) == NULL) {
            rc = bind_one(m, e, owner, err);
        }
    }
    return rc;
}

int mg_sockets_plan(mg_master *m, const mg_config *c, uint32_t workers, mg_error *err) {
    int rc = MG_OK;
    for (size_t i = 0; rc == MG_OK && i < c->listen.n; i++) {
        rc = plan_address(m, &c->listen.items[i], workers, err);
    }
    for (size_t i = 0; i < m->socket_count; i++) {
        m->sockets[i].leaving = mg_endpoint_find(c, m->sockets[i].address) == NULL;
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
                                              .text = mg_str_of(s->endpoint)});
}

static void tell_change(const mg_place *p, const mg_master_socket *s) {
    mg_channel_send(p->channel, &(mg_message){.type = MG_MESSAGE_ENDPOINT,
                                              .a = s->id,
                                              .fd = -1,
                                              .text = mg_str_of(s->endpoint)});
}

static void tell_gone(const mg_place *p, const mg_master_socket *s) {
    mg_channel_tell(p->channel, MG_MESSAGE_FORGET, s->id, 0);
}

void mg_sockets_tell(mg_master *m, const mg_place *p) {
    for (size_t i = 0; i < m->socket_count; i++) {
        if (m->sockets[i].listening) {
            tell(p, &m->sockets[i]);
        }
    }
}

static void each_place(mg_master *m, const mg_master_socket *s,
                       void (*say)(const mg_place *p, const mg_master_socket *s)) {
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        const mg_place *p = m->places[slot];
        if (p != NULL && p->channel != NULL) {
            say(p, s);
        }
    }
}

static void note(mg_buf *changes, char what, const mg_master_socket *s) {
    if (changes != NULL && (s->slot == 0 || s->slot == MG_SLOT_ALL)) {
        mg_buf_printf(changes, "  %c listen %s\n", what, s->shown);
    }
}

static void begin(mg_master *m, mg_master_socket *s, mg_buf *changes) {
    int rc = mg_listen_start(s->fd);
    if (rc != MG_OK) {
        mg_master_log(m, MG_LOG_ERROR, "%s: %s", s->shown, mg_strerror(rc));
    }
    s->listening = true;
    note(changes, '+', s);
    each_place(m, s, tell);
}

static void forget(mg_master *m, size_t i, mg_buf *changes) {
    const mg_master_socket *s = &m->sockets[i];
    note(changes, '-', s);
    each_place(m, s, tell_gone);
    unlink_path(s);
    drop(m, i);
}

// Those who wait at the socket, or come meanwhile, lose nothing.
static void change(mg_master *m, mg_master_socket *s, mg_buf *changes) {
    const mg_endpoint *e = mg_endpoint_find(&m->config, s->address);
    mg_error err;
    char *text = text_of(e);
    if (strcmp(text, s->endpoint) == 0) {
        mg_free(text);
        return;
    }
    mg_free(s->endpoint);
    s->endpoint = text;
    if (set_mode(s, e, &err) != MG_OK) {
        mg_master_log(m, MG_LOG_ERROR, "%s", err.text);
    }
    note(changes, '~', s);
    each_place(m, s, tell_change);
}

void mg_sockets_commit(mg_master *m, mg_buf *changes) {
    for (size_t i = m->socket_count; i-- > 0;) {
        mg_master_socket *s = &m->sockets[i];
        if (s->leaving) {
            forget(m, i, changes);
        } else if (!s->listening) {
            begin(m, s, changes);
        } else {
            change(m, s, changes);
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
