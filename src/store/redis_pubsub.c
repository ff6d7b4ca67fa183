// What has been asked of the server is confirmed in the order in which it was asked, one reply
// each: so that a refusal is known for what it is of.

#include "store/redis_pubsub.h"

#include "base/mem.h"

#include <stdio.h>

enum { BUCKETS = 256, PING_MS = 10 * 1000, QUIET_MS = 2 * PING_MS };

typedef struct channel {
    mg_link link; // in its bucket
    mg_link subscriptions;
    uint32_t listeners; // how many these are
    uint32_t asked;     // what is still to be confirmed of it
    uint32_t kind;
    bool on;    // it is listened to
    bool again; // it was, on a connection that is lost
    char name[];
} channel;

// What has been asked of the server.
typedef struct question {
    mg_link link;
    channel *of; // NULL: a PING
    bool subscribe;
} question;

struct mg_redis_pubsub {
    mg_loop *loop;
    mg_redis_conn_options o;
    void (*on_moved)(void *arg, mg_redis_subscription *s); // its arg is that of `o`
    mg_redis_conn *conn;                                   // NULL: nobody listens
    mg_link buckets[BUCKETS];
    mg_link questions;
    mg_timer ping;
    mg_timer soon; // somebody came to a channel that is on
    uint32_t count, channels;
    mg_buf words;
};

static void on_ready(void *arg, mg_redis_conn *c);
static void on_lost(void *arg, mg_redis_conn *c, const mg_redis_fault *f);
static void on_push(void *arg, mg_redis_conn *c, const mg_redis_reply *r);
static void on_where(void *arg, mg_redis_conn *c);
static void on_ping(mg_timer *t);
static void on_soon(mg_timer *t);

static const mg_redis_conn_events events = {
    .on_ready = on_ready, .on_lost = on_lost, .on_push = on_push};
static const mg_redis_conn_events events_where = {
    .on_ready = on_ready, .on_lost = on_lost, .on_push = on_push, .on_where = on_where};

mg_redis_pubsub *mg_redis_pubsub_new(mg_loop *loop, const mg_redis_conn_options *o,
                                     void (*on_moved)(void *arg, mg_redis_subscription *s)) {
    mg_redis_pubsub *p = mg_calloc(1, sizeof *p);
    p->loop = loop;
    p->o = *o;
    p->on_moved = on_moved;
    mg_link_init(&p->questions);
    for (size_t i = 0; i < BUCKETS; i++) {
        mg_link_init(&p->buckets[i]);
    }
    return p;
}

// --- channels ---

static mg_link *bucket_of(mg_redis_pubsub *p, uint32_t kind, mg_str name) {
    return &p->buckets[(mg_str_hash(name) + kind) % BUCKETS];
}

static channel *find(mg_redis_pubsub *p, uint32_t kind, mg_str name) {
    mg_link *bucket = bucket_of(p, kind, name);
    for (mg_link *l = bucket->next; l != bucket; l = l->next) {
        channel *c = MG_OF(l, channel, link);
        if (c->kind == kind && mg_str_eq(mg_str_of(c->name), name)) {
            return c;
        }
    }
    return NULL;
}

static channel *find_or_make(mg_redis_pubsub *p, uint32_t kind, mg_str name) {
    channel *c = find(p, kind, name);
    if (c == NULL) {
        c = mg_calloc(1, sizeof *c + name.n + 1);
        memcpy(c->name, name.p, name.n);
        c->kind = kind;
        mg_link_init(&c->subscriptions);
        mg_link_append(bucket_of(p, kind, name), &c->link);
        p->channels++;
    }
    return c;
}

// Nobody listens any more, and nothing is to be confirmed.
static void drop_if_over(mg_redis_pubsub *p, channel *c) {
    if (c->listeners == 0 && c->asked == 0) {
        mg_link_remove(&c->link);
        mg_free(c);
        p->channels--;
    }
}

static void close_if_over(mg_redis_pubsub *p) {
    if (p->channels == 0 && p->conn != NULL) {
        mg_timer_stop(&p->ping);
        mg_redis_conn_close(p->conn);
        p->conn = NULL;
        while (!mg_link_alone(&p->questions)) { // PINGs
            mg_free(MG_OF(mg_link_shift(&p->questions), question, link));
        }
    }
}

// --- asking ---

static void ask(mg_redis_pubsub *p, channel *c, bool subscribe) {
    static const char *const words[][2] = {
        [MG_REDIS_CHANNEL] = {"UNSUBSCRIBE", "SUBSCRIBE"},
        [MG_REDIS_PATTERN] = {"PUNSUBSCRIBE", "PSUBSCRIBE"},
        [MG_REDIS_SHARDED] = {"SUNSUBSCRIBE", "SSUBSCRIBE"},
    };
    if (p->conn == NULL || mg_redis_conn_state(p->conn) != MG_REDIS_READY) {
        return; // on_ready does
    }
    const mg_str command[] = {mg_str_of(words[c->kind][subscribe]), mg_str_of(c->name)};
    question *q = mg_malloc(sizeof *q);
    *q = (question){.of = c, .subscribe = subscribe};
    mg_link_append(&p->questions, &q->link);
    c->asked++;
    mg_buf_clear(&p->words);
    mg_redis_write(&p->words, command, 2);
    mg_redis_conn_say(p->conn, mg_buf_str(&p->words));
}

// --- telling ---

// The next one behind the mark, which moves on; whoever comes and goes meanwhile does no harm.
static mg_redis_subscription *step(channel *c, mg_link *mark) {
    mg_link *l = mark->next;
    mg_link_remove(mark);
    if (l == &c->subscriptions) {
        return NULL;
    }
    mg_link_append(l->next, mark);
    return MG_OF(l, mg_redis_subscription, link);
}

static void begin_steps(channel *c, mg_link *mark) {
    mg_link_append(c->subscriptions.next, mark);
}

static void tell_listening(channel *c, bool again) {
    mg_link mark;
    mg_redis_subscription *s;
    begin_steps(c, &mark);
    while ((s = step(c, &mark)) != NULL) {
        bool first = s->waits;
        s->waits = false;
        if (first || again) {
            bool missed = !first || s->again;
            s->again = false;
            s->on_listening(s, missed);
        }
    }
}

static void tell_refused(mg_redis_pubsub *p, channel *c, mg_str said) {
    char text[256];
    mg_link *l;
    snprintf(text, sizeof text, "%s refuses '%.60s': %.*s", p->o.name, c->name,
             (int)(said.n < 120 ? said.n : 120), said.p);
    while ((l = mg_link_shift(&c->subscriptions)) != NULL) {
        mg_redis_subscription *s = MG_OF(l, mg_redis_subscription, link);
        mg_link_remove(&s->others);
        s->inside = NULL;
        c->listeners--;
        p->count--;
        s->on_fault(s, &(mg_redis_fault){"refused", text, false});
    }
}

static void tell_message(channel *c, mg_str from, mg_str text) {
    mg_link mark;
    mg_redis_subscription *s;
    begin_steps(c, &mark);
    while ((s = step(c, &mark)) != NULL) {
        s->on_message(s, from, text);
    }
}

// --- who listens ---

static mg_redis_conn *open_conn(mg_redis_pubsub *p) {
    mg_redis_conn_options o = p->o;
    o.listens = true;
    o.events = p->o.events != NULL && p->o.events->on_where != NULL ? &events_where : &events;
    o.arg = p;
    return mg_redis_conn_new(p->loop, &o);
}

void mg_redis_pubsub_add(mg_redis_pubsub *p, mg_redis_subscription *s) {
    channel *c = find_or_make(p, s->kind, mg_str_of(s->name));
    mg_link_append(&c->subscriptions, &s->link);
    c->listeners++;
    s->inside = c;
    s->waits = true;
    p->count++;
    if (p->conn == NULL) {
        p->conn = open_conn(p);
        mg_redis_conn_dial(p->conn);
    } else if (c->listeners == 1) {
        ask(p, c, true);
    } else if (c->on) {
        mg_timer_start(p->loop, &p->soon, 0, 0, on_soon);
    }
}

void mg_redis_pubsub_remove(mg_redis_pubsub *p, mg_redis_subscription *s) {
    channel *c = s->inside;
    mg_link_remove(&s->link);
    s->inside = NULL;
    c->listeners--;
    p->count--;
    if (c->listeners == 0) {
        c->on = c->again = false;
        ask(p, c, false);
        drop_if_over(p, c);
        close_if_over(p);
    }
}

static void on_soon(mg_timer *t) {
    mg_redis_pubsub *p = MG_OF(t, mg_redis_pubsub, soon);
    for (size_t i = 0; i < BUCKETS; i++) {
        mg_link *l = p->buckets[i].next;
        while (l != &p->buckets[i]) {
            channel *c = MG_OF(l, channel, link);
            c->asked++; // it stays meanwhile
            if (c->on) {
                tell_listening(c, false);
            }
            c->asked--;
            l = l->next;
            drop_if_over(p, c);
        }
    }
    close_if_over(p);
}

// --- the connection ---

static void on_where(void *arg, mg_redis_conn *conn) {
    mg_redis_pubsub *p = arg;
    p->o.events->on_where(p->o.arg, conn);
}

static void on_ready(void *arg, mg_redis_conn *conn) {
    mg_redis_pubsub *p = arg;
    (void)conn;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (mg_link *l = p->buckets[i].next; l != &p->buckets[i]; l = l->next) {
            ask(p, MG_OF(l, channel, link), true);
        }
    }
    mg_timer_start(p->loop, &p->ping, PING_MS, PING_MS, on_ping);
}

static void on_lost(void *arg, mg_redis_conn *conn, const mg_redis_fault *f) {
    mg_redis_pubsub *p = arg;
    (void)conn;
    (void)f;
    mg_timer_stop(&p->ping);
    for (mg_link *l; (l = mg_link_shift(&p->questions)) != NULL;) {
        question *q = MG_OF(l, question, link);
        channel *c = q->of;
        mg_free(q);
        if (c != NULL) {
            c->asked--;
            drop_if_over(p, c);
        }
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        for (mg_link *l = p->buckets[i].next; l != &p->buckets[i]; l = l->next) {
            channel *c = MG_OF(l, channel, link);
            c->again |= c->on;
            c->on = false;
        }
    }
    close_if_over(p);
}

// An idle connection is asked now and then whether it is still one.
static void on_ping(mg_timer *t) {
    mg_redis_pubsub *p = MG_OF(t, mg_redis_pubsub, ping);
    if (mg_redis_conn_quiet_ms(p->conn) > QUIET_MS) {
        mg_redis_conn_renew(p->conn, "it has stopped answering");
        return;
    }
    question *q = mg_calloc(1, sizeof *q);
    mg_link_append(&p->questions, &q->link);
    mg_redis_conn_say(p->conn, MG_STR("*1\r\n$4\r\nPING\r\n"));
}

// --- what it says ---

static void on_moved(mg_redis_pubsub *p, channel *c);

static bool is_elsewhere(const mg_redis_reply *r) {
    return mg_redis_is_error(r, MG_STR("MOVED")) || mg_redis_is_error(r, MG_STR("CLUSTERDOWN"));
}

static void on_answer(mg_redis_pubsub *p, const mg_redis_reply *r) {
    mg_link *l = mg_link_shift(&p->questions);
    if (l == NULL) {
        return;
    }
    question q = *MG_OF(l, question, link);
    mg_free(MG_OF(l, question, link));
    channel *c = q.of;
    if (c == NULL) {
        return;
    }
    if (q.subscribe && p->on_moved != NULL && is_elsewhere(r)) {
        on_moved(p, c);
    } else if (q.subscribe && r->values[0].type == MG_REDIS_ERROR) {
        tell_refused(p, c, mg_redis_text(r, r->values));
    } else if (q.subscribe && c->asked == 1 && c->listeners > 0) {
        bool again = c->again;
        c->on = true;
        c->again = false;
        tell_listening(c, again);
    }
    c->asked--;
    drop_if_over(p, c);
    close_if_over(p);
}

// It ends a subscription by itself, if the head of what was asked is not that.
static bool is_moved(mg_redis_pubsub *p, const mg_redis_reply *r, channel **out) {
    if (r->count < 3 || !mg_redis_is_text(&r->values[1]) || !mg_redis_is_text(&r->values[2]) ||
        !mg_str_eq(mg_redis_text(r, &r->values[1]), MG_STR("sunsubscribe"))) {
        return false;
    }
    const question *q = MG_OF(p->questions.next, question, link);
    *out = find(p, MG_REDIS_SHARDED, mg_redis_text(r, &r->values[2]));
    bool asked = !mg_link_alone(&p->questions) && q->of == *out && !q->subscribe;
    return *out != NULL && !asked;
}

static void on_moved(mg_redis_pubsub *p, channel *c) {
    c->again |= c->on;
    c->on = false;
    if (p->on_moved == NULL) {
        ask(p, c, true);
        return;
    }
    c->asked++; // it stays meanwhile
    for (mg_link *l; (l = mg_link_shift(&c->subscriptions)) != NULL;) {
        mg_redis_subscription *s = MG_OF(l, mg_redis_subscription, link);
        s->inside = NULL;
        c->listeners--;
        p->count--;
        p->on_moved(p->o.arg, s);
    }
    c->asked--;
    drop_if_over(p, c);
    close_if_over(p);
}

static void on_message(mg_redis_pubsub *p, uint32_t kind, mg_str name, mg_str from, mg_str text) {
    channel *c = find(p, kind, name);
    if (c == NULL) {
        return;
    }
    c->asked++; // it stays meanwhile
    tell_message(c, from, text);
    c->asked--;
    drop_if_over(p, c);
    close_if_over(p);
}

static void on_push(void *arg, mg_redis_conn *conn, const mg_redis_reply *r) {
    static const struct {
        const char *word;
        uint32_t kind, words;
    } messages[] = {
        {"message", MG_REDIS_CHANNEL, 3},
        {"pmessage", MG_REDIS_PATTERN, 4},
        {"smessage", MG_REDIS_SHARDED, 3},
    };
    mg_redis_pubsub *p = arg;
    if (r->count == 0) { // and so all who listen are told that something is missing
        mg_redis_conn_renew(conn, "a message was larger than max_reply");
        return;
    }
    uint32_t n = r->values[0].type >= MG_REDIS_ARRAY ? r->values[0].n : 0;
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        if (n == messages[i].words && r->count == n + 1 && mg_redis_is_text(&r->values[1]) &&
            mg_str_eq(mg_redis_text(r, &r->values[1]), mg_str_of(messages[i].word)) &&
            mg_redis_is_text(&r->values[2]) && mg_redis_is_text(&r->values[n - 1]) &&
            mg_redis_is_text(&r->values[n])) {
            on_message(p, messages[i].kind, mg_redis_text(r, &r->values[2]),
                       mg_redis_text(r, &r->values[n - 1]), mg_redis_text(r, &r->values[n]));
            return;
        }
    }
    channel *moved;
    if (is_moved(p, r, &moved)) {
        on_moved(p, moved);
    } else {
        on_answer(p, r);
    }
}

// --- the end ---

void mg_redis_pubsub_free(mg_redis_pubsub *p) {
    if (p == NULL) {
        return;
    }
    mg_timer_stop(&p->ping);
    mg_timer_stop(&p->soon);
    mg_redis_conn_close(p->conn);
    for (mg_link *l; (l = mg_link_shift(&p->questions)) != NULL;) {
        mg_free(MG_OF(l, question, link));
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        for (mg_link *l; (l = mg_link_shift(&p->buckets[i])) != NULL;) {
            channel *c = MG_OF(l, channel, link);
            for (mg_link *s; (s = mg_link_shift(&c->subscriptions)) != NULL;) {
                MG_OF(s, mg_redis_subscription, link)->inside = NULL;
            }
            mg_free(c);
        }
    }
    mg_buf_deinit(&p->words);
    mg_free(p);
}

uint32_t mg_redis_pubsub_count(const mg_redis_pubsub *p) {
    return p->count;
}

mg_redis_conn *mg_redis_pubsub_conn(const mg_redis_pubsub *p) {
    return p->conn;
}
