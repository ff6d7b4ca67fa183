// What goes to one server of a cluster, and where to when it is not there.
//
// A reply that sends it elsewhere (MOVED, ASK), or asks for patience (TRYAGAIN, CLUSTERDOWN), means
// that nothing was done: it goes again. A connection that is lost means that nobody knows; then it
// goes again only if it reads, or had not been sent.

#include "store/redis_errand.h"

#include "base/mem.h"

#include <stdio.h>

enum { REDIRECTIONS = 16, FIRST_WAIT_MS = 10, LONGEST_WAIT_MS = 100 };

static void on_reply(mg_redis_call *call, const mg_redis_reply *r, uint32_t left);
static void on_fault(mg_redis_call *call, const mg_redis_fault *f);

static mg_loop *loop_of(const mg_redis_unit *u) {
    return u->errand->cluster->redis.loop;
}

// --- those that wait ---

static void on_retry(mg_timer *t);

static void arm_retry(mg_redis_cluster *c) {
    uint64_t now = mg_loop_now_ms(c->redis.loop);
    uint64_t at = UINT64_MAX;
    for (mg_link *l = c->waiting.next; l != &c->waiting; l = l->next) {
        const mg_redis_unit *u = MG_OF(l, mg_redis_unit, waiting);
        uint64_t its = u->again_ms < u->errand->until_ms ? u->again_ms : u->errand->until_ms;
        at = its < at ? its : at;
    }
    if (at != UINT64_MAX) {
        mg_timer_start(c->redis.loop, &c->retry, at > now ? at - now : 0, 0, on_retry);
    }
}

static void set_why(mg_redis_unit *u, const char *why) {
    mg_free(u->why);
    u->why = mg_strdup(why);
}

static void wait_for(mg_redis_unit *u, const char *why) {
    mg_redis_cluster *c = u->errand->cluster;
    uint64_t wait = (uint64_t)FIRST_WAIT_MS << (u->waits < 8 ? u->waits : 8);
    u->waits++;
    u->node = NULL;
    u->asking = false;
    u->again_ms = mg_loop_now_ms(c->redis.loop) + (wait < LONGEST_WAIT_MS ? wait : LONGEST_WAIT_MS);
    set_why(u, why);
    mg_link_append(&c->waiting, &u->waiting);
    bool sooner = !mg_timer_active(&c->retry) || mg_timer_at_ms(&c->retry) > u->again_ms;
    if (sooner && !c->going_on) {
        arm_retry(c);
    }
    mg_redis_refresh(c, MG_REDIS_SOON_MS);
}

static void fail_late(mg_redis_unit *u) {
    mg_error err;
    mg_error_set(&err, MG_EAGAIN, "%s: nothing was done in time: %s",
                 u->errand->cluster->redis.settings.name, u->why);
    mg_redis_unit_failed(u, &(mg_redis_fault){"timeout", err.text, false});
}

static void send_again(mg_redis_unit *u) {
    if (u->everyone && u->errand->cluster->known) {
        mg_redis_unit_expand(u);
    } else if (mg_redis_unit_send(u) != MG_OK) {
        mg_redis_unit_failed(u, &(mg_redis_fault){"limit", u->why, false});
    }
}

// Takes the units that are due out of the list first: what becomes of one may end others.
static void go_on(mg_redis_cluster *c, bool all) {
    uint64_t now = mg_loop_now_ms(c->redis.loop);
    mg_link mark;
    mg_link_init(&mark);
    mg_link_append(&c->waiting, &mark);
    c->going_on = true;
    while (c->waiting.next != &mark) {
        mg_link *l = mg_link_shift(&c->waiting);
        mg_redis_unit *u = MG_OF(l, mg_redis_unit, waiting);
        if (u->errand->until_ms <= now) {
            fail_late(u);
        } else if (all || u->again_ms <= now) {
            send_again(u);
        } else {
            mg_link_append(&c->waiting, l);
        }
    }
    mg_link_remove(&mark);
    c->going_on = false;
    arm_retry(c);
}

static void on_retry(mg_timer *t) {
    go_on(MG_OF(t, mg_redis_cluster, retry), false);
}

void mg_redis_units_go_on(mg_redis_cluster *c) {
    go_on(c, true);
}

void mg_redis_units_fail(mg_redis_cluster *c, const char *why) {
    mg_link *l;
    char text[512];
    snprintf(text, sizeof text, "%.500s", why);
    while ((l = mg_link_shift(&c->waiting)) != NULL) {
        mg_redis_unit_failed(MG_OF(l, mg_redis_unit, waiting),
                             &(mg_redis_fault){"closed", text, false});
    }
}

// --- SCAN ---

// To who has the slot now: what another one's cursor was means nothing to it.
static void write_scan(mg_redis_unit *u, const mg_redis_node *n) {
    mg_redis_scan *s = u->scan;
    uint32_t server = mg_redis_scan_server(n->name);
    char cursor[24];
    s->cursor = s->server == server ? s->cursor : 0;
    s->server = server;
    snprintf(cursor, sizeof cursor, "%llu", (unsigned long long)s->cursor);
    mg_buf_clear(&u->words);
    mg_redis_write_count(&u->words, u->option_count + 2);
    mg_redis_write_word(&u->words, MG_STR("SCAN"));
    mg_redis_write_word(&u->words, mg_str_of(cursor));
    mg_buf_append_str(&u->words, mg_buf_str(&u->options));
}

// What is still to be scanned, as a cursor. False: nothing is.
static bool go_on_scanning(mg_redis_unit *u, mg_str cursor) {
    mg_redis_scan *s = u->scan;
    if (!mg_str_to_u64(cursor, UINT64_MAX, &s->cursor)) {
        s->cursor = 0;
    }
    if (s->cursor > 0) {
        return true;
    }
    s->server = 0;
    return mg_redis_next_master(u->errand->cluster, &s->slot);
}

// The reply, [cursor, [keys]], with the cursor that callers get.
static void finish_scan(mg_redis_unit *u, const mg_redis_reply *r) {
    mg_redis_kept kept;
    bool good = r->count > 2 && r->values[0].type == MG_REDIS_ARRAY && r->values[0].n == 2 &&
                mg_redis_is_text(&r->values[1]);
    if (!good) { // an error, or too large
        mg_redis_unit_done(u, r);
        return;
    }
    mg_redis_keep(r, &kept);
    mg_redis_value *cursor = &kept.values[1];
    bool more = go_on_scanning(u, mg_redis_text(&kept.reply, cursor));
    cursor->at = kept.text.n;
    if (more) {
        mg_redis_scan_write(&kept.text, u->scan);
    } else {
        mg_buf_append_char(&kept.text, '0');
    }
    cursor->n = (uint32_t)(kept.text.n - cursor->at);
    kept.reply.text = kept.text.p;
    mg_redis_unit_done(u, &kept.reply);
    mg_redis_kept_deinit(&kept);
}

// --- sending ---

static mg_redis_node *target_of(const mg_redis_unit *u) {
    mg_redis_cluster *c = u->errand->cluster;
    if (u->node != NULL || u->everyone) {
        return u->node;
    }
    if (u->scan != NULL) {
        return mg_redis_node_from(c, &u->scan->slot);
    }
    return u->anyone ? mg_redis_node_any(c) : mg_redis_node_for(c, u->slot, u->reads);
}

static void describe(const mg_redis_unit *u, char *out, size_t n, mg_redis_node *target) {
    if (target != NULL) {
        snprintf(out, n, "%s", mg_redis_conn_why(mg_redis_node_conn(target)));
    } else if (!u->errand->cluster->known) {
        snprintf(out, n, "no server has said yet who has which slots");
    } else {
        snprintf(out, n, "nobody has slot %u", u->slot);
    }
}

// The words as they are now to be said: with ASKING before them in the cluster's buffer.
static mg_str words_of(mg_redis_unit *u) {
    if (!u->asking) {
        return mg_buf_str(&u->words);
    }
    mg_buf *b = &u->errand->cluster->redis.words;
    mg_buf_clear(b);
    mg_buf_append_str(b, MG_STR("*1\r\n$6\r\nASKING\r\n"));
    mg_buf_append_str(b, mg_buf_str(&u->words));
    return mg_buf_str(b);
}

static void leave_own(mg_redis_unit *u, bool clean) {
    if (u->own != NULL) {
        mg_redis_cluster_give_back(&u->errand->cluster->redis, u->own, clean);
        u->own = NULL;
    }
}

// How long it may take yet; 0: as long as it likes.
static uint32_t left_ms(const mg_redis_unit *u) {
    uint64_t now = mg_loop_now_ms(loop_of(u));
    uint64_t until = u->errand->until_ms;
    return until == UINT64_MAX ? 0 : until > now ? (uint32_t)(until - now) : 1;
}

static int send_to(mg_redis_unit *u, mg_redis_node *n) {
    mg_redis_conn *conn = mg_redis_node_conn(n);
    if (u->errand->q->alone) {
        mg_error err;
        int rc = mg_redis_node_lease(n, &u->own, &err);
        if (rc != MG_OK) {
            set_why(u, err.text);
            return rc;
        }
        conn = u->own;
    }
    u->call = (mg_redis_call){.on_reply = on_reply, .on_fault = on_fault, .timeout_ms = left_ms(u)};
    u->got = 0;
    if (u->scan != NULL) {
        write_scan(u, n);
    }
    int rc = mg_redis_conn_send(conn, &u->call, words_of(u), u->count + u->asking);
    if (rc == MG_ELIMIT) {
        mg_error err;
        mg_error_set(&err, rc, "%s: %s", n->name, mg_redis_conn_full);
        set_why(u, err.text);
    }
    if (rc != MG_OK) {
        leave_own(u, false);
    }
    return rc;
}

int mg_redis_unit_send(mg_redis_unit *u) {
    char why[256];
    mg_redis_node *n = target_of(u);
    int rc = n != NULL ? send_to(u, n) : MG_ECLOSED;
    u->in_flight = rc == MG_OK;
    if (rc == MG_OK) {
        u->node = n;
    } else if (rc == MG_ELIMIT) {
        return rc;
    } else {
        describe(u, why, sizeof why, n);
        wait_for(u, why);
    }
    return MG_OK;
}

static void forget_replies(mg_redis_unit *u) {
    for (uint32_t i = 0; u->kept != NULL && i < u->got; i++) {
        mg_redis_kept_deinit(&u->kept[i]);
    }
    u->got = 0;
}

void mg_redis_unit_free(mg_redis_unit *u) {
    if (u->in_flight) {
        mg_redis_call_cancel(&u->call);
    }
    leave_own(u, false);
    forget_replies(u);
    mg_link_remove(&u->waiting);
    mg_link_remove(&u->link);
    mg_buf_deinit(&u->words);
    mg_buf_deinit(&u->options);
    mg_free(u->scan);
    mg_free(u->why);
    mg_free(u->kept);
    mg_free(u);
}

// --- replies ---

static bool asks_for_patience(const mg_redis_reply *r) {
    static const char *const codes[] = {"TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN"};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (mg_redis_is_error(r, mg_str_of(codes[i]))) {
            return true;
        }
    }
    return false;
}

static void be_patient(mg_redis_unit *u, const mg_redis_reply *r) {
    char why[256];
    mg_str said = mg_redis_text(r, r->values);
    snprintf(why, sizeof why, "%s: %.*s", u->node->name, (int)(said.n < 160 ? said.n : 160),
             said.p);
    forget_replies(u);
    wait_for(u, why);
}

// CLIENT CACHING and ASKING do not go together: what is read so is not tracked, and the reply to
// the former says so by being none.
static void leave_tracking(mg_redis_unit *u) {
    mg_str words = mg_buf_str(&u->words);
    mg_redis_reader reader = {.limits = {1 << 20, 64}};
    mg_redis_reply command;
    const char *fault;
    if (mg_redis_read(&reader, &words, &command, &fault)) { // a command reads like a reply
        mg_buf_consume(&u->words, u->words.n - words.n);
        u->count--;
        u->untracked = true;
    }
    mg_redis_reader_deinit(&reader);
}

static void follow(mg_redis_unit *u, const mg_redis_redirect *d) {
    mg_redis_cluster *c = u->errand->cluster;
    mg_redis_node *to = mg_redis_redirected_to(u->node, d);
    u->tries++;
    u->asking = d->kind == MG_REDIS_ASK;
    if (u->asking && u->tracked && !u->untracked) {
        leave_tracking(u);
    }
    if (d->kind == MG_REDIS_MOVED) {
        mg_redis_slot_moved(c, d->slot, to);
    }
    forget_replies(u);
    u->node = to;
    send_again(u);
}

// The reply that decides what becomes of all: the last one; where a transaction was refused, the
// one that says why.
static const mg_redis_reply *verdict_of(const mg_redis_unit *u, const mg_redis_reply *last) {
    if (u->kept == NULL || !mg_redis_is_error(last, MG_STR("EXECABORT"))) {
        return last;
    }
    for (uint32_t i = 0; i < u->got; i++) {
        const mg_redis_reply *r = &u->kept[i].reply;
        if (mg_redis_redirect_of(r).kind != MG_REDIS_STAY || asks_for_patience(r)) {
            return r;
        }
    }
    return last;
}

static void on_reply(mg_redis_call *call, const mg_redis_reply *r, uint32_t left) {
    mg_redis_unit *u = MG_OF(call, mg_redis_unit, call);
    if (u->asking && left == u->count) {
        return; // ASKING has been heard
    }
    u->in_flight = left > 0;
    if (u->kept != NULL) {
        mg_redis_keep(r, &u->kept[u->got++]);
        r = &u->kept[u->got - 1].reply;
    }
    if (left > 0) {
        return;
    }
    leave_own(u, true);
    if (u->stays) {
        mg_redis_unit_done(u, r);
        return;
    }
    const mg_redis_reply *verdict = verdict_of(u, r);
    mg_redis_redirect d = mg_redis_redirect_of(verdict);
    if (d.kind != MG_REDIS_STAY && u->tries < REDIRECTIONS) {
        follow(u, &d);
    } else if (asks_for_patience(verdict)) {
        be_patient(u, verdict);
    } else if (u->scan != NULL) {
        finish_scan(u, r);
    } else {
        mg_redis_unit_done(u, r);
    }
}

// --- faults ---

// Waiting does not help.
static bool is_final(const mg_redis_fault *f) {
    static const char *const codes[] = {"timeout", "auth", "tls", "denied", "limit", "protocol"};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (strcmp(f->code, codes[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void on_fault(mg_redis_call *call, const mg_redis_fault *f) {
    mg_redis_unit *u = MG_OF(call, mg_redis_unit, call);
    u->in_flight = false;
    leave_own(u, false);
    forget_replies(u);
    bool again = (!f->sent || u->reads) && !is_final(f);
    if (again) {
        wait_for(u, f->text);
    } else {
        mg_redis_refresh(u->errand->cluster, MG_REDIS_SOON_MS);
        mg_redis_unit_failed(u, f);
    }
}
