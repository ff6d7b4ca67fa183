// Channels: LISTEN and what is told by NOTIFY.
//
// All of a pool's listeners share one connection beside the pool. A channel is asked for once,
// however many listen to it:
//
//   WANTED --LISTEN is sent--> ASKED --it is done--> HEARD
//   ASKED, HEARD --the connection is lost--> WANTED
//
// The first time that it is HEARD its listeners are told MG_DB_LISTENS, later MG_DB_MISSED.

#include "store/postgres_inside.h"

#include "base/mem.h"

#include <errno.h>

typedef struct channel {
    mg_link link;
    mg_link listeners;
    enum { WANTED, ASKED, HEARD } state;
    mg_pg_call *asked; // LISTEN, under way; NULL: none is
    size_t n;
    char name[];
} channel;

typedef struct listener {
    mg_db_listener base;
    mg_link link;
    channel *channel;
    bool told; // that it listens
    mg_db_note_cb on_note;
    void *arg;
} listener;

static void tell_all(channel *ch, const mg_db_note *note) {
    for (mg_link *l = ch->listeners.next; l != &ch->listeners; l = l->next) {
        const listener *one = MG_OF(l, listener, link);
        one->on_note(one->arg, note);
    }
}

static void tell_heard(channel *ch) {
    for (mg_link *l = ch->listeners.next; l != &ch->listeners; l = l->next) {
        listener *one = MG_OF(l, listener, link);
        one->on_note(one->arg, &(mg_db_note){.news = one->told ? MG_DB_MISSED : MG_DB_LISTENS});
        one->told = true;
    }
}

// Who has heard something before waits until the server has another opinion.
static void tell_deaf(channel *ch, const char *why) {
    for (mg_link *l = ch->listeners.next; l != &ch->listeners; l = l->next) {
        const listener *one = MG_OF(l, listener, link);
        if (!one->told) {
            one->on_note(one->arg, &(mg_db_note){.news = MG_DB_DEAF, .text = mg_str_of(why)});
        }
    }
}

// Nobody is told of it any more.
static void forget_asked(channel *ch) {
    if (ch->asked != NULL) {
        ch->asked->on_done = NULL;
        ch->asked = NULL;
    }
}

// --- LISTEN and UNLISTEN ---

// As a name of SQL that means exactly these bytes.
static mg_pg_call *command(mg_pg *p, const char *verb, const channel *ch) {
    mg_buf sql = {0};
    mg_buf_printf(&sql, "%s \"", verb);
    for (size_t i = 0; i < ch->n; i++) {
        if (ch->name[i] == '"') {
            mg_buf_append_char(&sql, '"');
        }
        mg_buf_append_char(&sql, ch->name[i]);
    }
    mg_buf_append_char(&sql, '"');
    mg_pg_call *call = mg_pg_own_call(p, MG_PG_PLAIN, mg_buf_str(&sql));
    mg_buf_deinit(&sql);
    return call;
}

static void on_asked(void *arg, const mg_db_rows *rows, const mg_db_fault *fault) {
    channel *ch = arg;
    (void)rows;
    ch->asked = NULL;
    if (fault == NULL) {
        ch->state = HEARD;
        tell_heard(ch);
    } else if (strcmp(fault->code, "closed") != 0) { // else it is asked again
        tell_deaf(ch, fault->message);
    }
}

static void ask(mg_pg_conn *c, channel *ch) {
    mg_pg_call *call = command(c->pool, "LISTEN", ch);
    call->on_done = on_asked;
    call->arg = ch;
    ch->asked = call;
    ch->state = ASKED;
    mg_pg_send(c, call);
}

static mg_pg_conn *open_conn(const mg_pg *p) {
    mg_pg_conn *c = p->listening.conn;
    return c != NULL && c->state == MG_PG_OPEN ? c : NULL;
}

bool mg_pg_listens(const mg_pg *p) {
    return open_conn(p) != NULL;
}

static void ask_for_wanted(mg_pg *p) {
    mg_link *list = &p->listening.channels;
    for (mg_link *l = list->next; l != list && open_conn(p) != NULL; l = l->next) {
        channel *ch = MG_OF(l, channel, link);
        if (ch->state == WANTED) {
            ask(open_conn(p), ch);
        }
    }
}

void mg_pg_listen_begin(mg_pg_conn *c) {
    c->pool->listening.conn = c;
    ask_for_wanted(c->pool);
}

void mg_pg_listen_lost(mg_pg *p) {
    p->listening.conn = NULL;
    for (mg_link *l = p->listening.channels.next; l != &p->listening.channels; l = l->next) {
        channel *ch = MG_OF(l, channel, link);
        ch->state = WANTED;
        forget_asked(ch);
    }
}

void mg_pg_listen_refused(mg_pg *p, const char *why) {
    for (mg_link *l = p->listening.channels.next; l != &p->listening.channels; l = l->next) {
        tell_deaf(MG_OF(l, channel, link), why);
    }
}

void mg_pg_listen_pump(mg_pg *p) {
    bool wanted = !mg_link_alone(&p->listening.channels) && p->listening.conn == NULL;
    if (wanted && !mg_timer_active(&p->retry)) {
        mg_pg_conn *c = mg_pg_conn_open(p, true);
        p->listening.conn = c->state != MG_PG_CLOSED ? c : NULL;
    }
}

// --- listeners ---

static channel *find(mg_pg *p, mg_str name) {
    for (mg_link *l = p->listening.channels.next; l != &p->listening.channels; l = l->next) {
        channel *ch = MG_OF(l, channel, link);
        if (mg_str_eq((mg_str){ch->name, ch->n}, name)) {
            return ch;
        }
    }
    return NULL;
}

static channel *new_channel(mg_pg *p, mg_str name) {
    channel *ch = mg_calloc(1, sizeof *ch + name.n);
    mg_link_init(&ch->listeners);
    ch->n = name.n;
    memcpy(ch->name, name.p, name.n);
    mg_link_append(&p->listening.channels, &ch->link);
    return ch;
}

// Who comes to a channel that is heard already.
static void on_soon(mg_timer *t) {
    mg_pg *p = MG_OF(t, mg_pg, listening.soon);
    for (mg_link *l = p->listening.channels.next; l != &p->listening.channels; l = l->next) {
        channel *ch = MG_OF(l, channel, link);
        for (mg_link *k = ch->listeners.next; k != &ch->listeners; k = k->next) {
            listener *one = MG_OF(k, listener, link);
            if (!one->told && ch->state == HEARD) {
                one->told = true;
                one->on_note(one->arg, &(mg_db_note){.news = MG_DB_LISTENS});
            }
        }
    }
    ask_for_wanted(p);
    mg_pg_pump(p);
    mg_pg_deliver(p);
}

int mg_pg_listen(mg_db_listener **out, mg_database *d, mg_str channel_name, mg_db_note_cb on_note,
                 void *arg) {
    mg_pg *p = MG_OF(d, mg_pg, base);
    channel *ch = find(p, channel_name);
    listener *one = mg_calloc(1, sizeof *one);
    one->base.database = d;
    one->channel = ch != NULL ? ch : new_channel(p, channel_name);
    one->on_note = on_note;
    one->arg = arg;
    mg_link_append(&one->channel->listeners, &one->link);
    *out = &one->base;
    mg_timer_start(p->loop, &p->listening.soon, 0, 0, on_soon);
    return MG_OK;
}

static void free_channel(channel *ch) {
    forget_asked(ch);
    mg_link_remove(&ch->link);
    mg_free(ch);
}

void mg_pg_unlisten(mg_db_listener *base) {
    listener *one = MG_OF(base, listener, base);
    mg_pg *p = MG_OF(base->database, mg_pg, base);
    channel *ch = one->channel;
    mg_link_remove(&one->link);
    mg_free(one);
    if (!mg_link_alone(&ch->listeners)) {
        return;
    }
    mg_pg_call *call = command(p, "UNLISTEN", ch);
    mg_pg_conn *c = open_conn(p);
    if (c != NULL && ch->state != WANTED) {
        mg_pg_send(c, call);
    } else {
        mg_pg_call_free(call);
    }
    free_channel(ch);
}

void mg_pg_listen_end(mg_pg *p) {
    mg_timer_stop(&p->listening.soon);
    while (!mg_link_alone(&p->listening.channels)) {
        channel *ch = MG_OF(p->listening.channels.next, channel, link);
        mg_link *l;
        while ((l = mg_link_shift(&ch->listeners)) != NULL) {
            mg_free(MG_OF(l, listener, link));
        }
        free_channel(ch);
    }
}

// --- what is told ---

void mg_pg_listen_read(mg_pg_conn *c) {
    PGnotify *n;
    while ((n = PQnotifies(c->pg)) != NULL) {
        channel *ch = find(c->pool, mg_str_of(n->relname));
        if (ch != NULL) {
            tell_all(ch, &(mg_db_note){MG_DB_NOTE, mg_str_of(n->extra), n->be_pid});
        }
        PQfreemem(n);
    }
}
