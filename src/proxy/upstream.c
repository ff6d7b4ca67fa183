#include "proxy/upstream_inside.h"

#include "base/mem.h"
#include "http/cookie.h"
#include "proxy/admission.h"
#include "proxy/balance.h"
#include "proxy/members.h"
#include "proxy/mirror.h"
#include "proxy/server.h"
#include "proxy/waiting.h"
#include "server/requester.h"

enum { RETRY_AFTER_S = 1 };

// --- an upstream ---

static void free_upstream(mg_upstream *u) {
    mg_link_remove(&u->link);
    mg_members_end(u);
    mg_upstream_pool_unref(u->pool);
    mg_arena_deinit(&u->arena);
    mg_free(u);
}

static mg_upstream *new_upstream(mg_upstreams *us) {
    mg_upstream *u = mg_calloc(1, sizeof *u);
    u->set = us;
    mg_link_init(&u->link);
    return u;
}

static int begin_upstream(mg_upstream *u, const mg_upstream_options *o, mg_error *err) {
    mg_upstream_options_copy(&u->options, o, &u->arena);
    if (o->arm_count > 0) {
        return MG_OK;
    }
    int rc = mg_upstream_pool_get(&u->pool, u->set->base, &u->options, err);
    if (rc == MG_OK) {
        mg_members_begin(u);
    }
    return rc;
}

static int add_upstream(mg_upstreams *us, const mg_upstream_options *o, mg_error *err) {
    mg_upstream *u = new_upstream(us);
    mg_link_append(&us->upstreams, &u->link);
    return begin_upstream(u, o, err);
}

static int add_open(mg_upstreams *us, const mg_upstream_options *o, mg_error *err) {
    us->open = new_upstream(us);
    int rc = begin_upstream(us->open, o, err);
    if (rc == MG_OK) {
        us->open->pool->is_open = true;
    }
    return rc;
}

const mg_upstream_options *mg_upstream_options_of(const mg_upstream *u) {
    return &u->options;
}

bool mg_upstream_may_tell(mg_upstream *u, uint64_t *missing) {
    return mg_changes_may_tell(&u->told, mg_loop_now_ms(u->set->base->loop), missing);
}

// --- a set ---

static int base_for(mg_upstream_base **out, const mg_upstreams_setup *setup, mg_error *err) {
    mg_upstream_base *b = setup->before != NULL ? setup->before->base : NULL;
    if (b == NULL || !mg_upstream_base_fits(b, setup)) {
        return mg_upstream_base_new(out, setup, err);
    }
    *out = mg_upstream_base_ref(b);
    return MG_OK;
}

int mg_upstreams_new(mg_upstreams **out, const mg_upstreams_options *options,
                     const mg_upstreams_setup *setup, mg_error *err) {
    mg_upstream_base *base = NULL;
    int rc = base_for(&base, setup, err);
    if (rc != MG_OK) {
        return rc;
    }
    mg_upstreams *us = mg_calloc(1, sizeof *us);
    us->refs = 1;
    us->base = base;
    mg_link_init(&us->upstreams);
    mg_link_init(&us->mirrors);
    mg_link_append(&base->sets, &us->link);
    for (size_t i = 0; rc == MG_OK && i < options->n; i++) {
        rc = add_upstream(us, &options->items[i], err);
    }
    if (rc == MG_OK && options->open != NULL) {
        rc = add_open(us, options->open, err);
    }
    if (rc != MG_OK) {
        mg_upstreams_unref(us);
        return rc;
    }
    *out = us;
    return MG_OK;
}

mg_upstreams *mg_upstreams_ref(mg_upstreams *us) {
    if (us != NULL) {
        us->refs++;
    }
    return us;
}

void mg_upstreams_unref(mg_upstreams *us) {
    if (us == NULL) {
        return;
    }
    if (us->refs - 1 == us->mirror_count && us->mirror_count > 0) {
        mg_mirrors_end(us);
    }
    if (--us->refs > 0) {
        return;
    }
    while (!mg_link_alone(&us->upstreams)) {
        free_upstream(MG_OF(us->upstreams.next, mg_upstream, link));
    }
    if (us->open != NULL) {
        free_upstream(us->open);
    }
    mg_link_remove(&us->link);
    mg_upstream_base_unref(us->base);
    mg_free(us);
}

mg_upstream *mg_upstreams_find(const mg_upstreams *us, mg_str name) {
    if (us == NULL) {
        return NULL;
    }
    for (mg_link *l = us->upstreams.next; l != &us->upstreams; l = l->next) {
        mg_upstream *u = MG_OF(l, mg_upstream, link);
        if (mg_str_eq(mg_str_of(u->options.name), name)) {
            return u;
        }
    }
    return NULL;
}

mg_upstream *mg_upstreams_open(const mg_upstreams *us) {
    return us != NULL ? us->open : NULL;
}

mg_upstream *mg_upstreams_next(const mg_upstreams *us, const mg_upstream *before) {
    mg_link *l = before != NULL ? before->link.next : us->upstreams.next;
    return l != &us->upstreams ? MG_OF(l, mg_upstream, link) : NULL;
}

// --- what scripts say while it runs ---

void mg_upstreams_set_servers(mg_upstreams *us, mg_str name, const mg_upstream_servers *servers) {
    for (mg_link *l = us->base->sets.next; l != &us->base->sets; l = l->next) {
        mg_upstream *u = mg_upstreams_find(MG_OF(l, mg_upstreams, link), name);
        if (u != NULL && u->pool != NULL) {
            mg_members_set(u, servers);
        }
    }
}

void mg_upstreams_drain(mg_upstreams *us, mg_str name, mg_str url, bool drain) {
    for (mg_link *l = us->base->sets.next; l != &us->base->sets; l = l->next) {
        mg_upstream *u = mg_upstreams_find(MG_OF(l, mg_upstreams, link), name);
        if (u != NULL && u->pool != NULL) {
            mg_members_drain(u, url, drain);
        }
    }
}

// --- choosing ---

static bool was_tried(const mg_choice *c, const mg_upstream_server *s) {
    for (size_t i = 0; i < c->tried_count; i++) {
        if (c->tried[i] == s) {
            return true;
        }
    }
    return false;
}

// Which members a choice is made of.
typedef struct wanted {
    const mg_choice *choice; // NULL: also those that were tried
    bool backup;
    bool usable; // only those that health checks and ejection allow
    bool calm;   // only those that did not fail of late
    uint64_t now_ms;
} wanted;

static bool is_wanted(const mg_upstream *u, const wanted *w, const mg_member *m) {
    const mg_server_hold *h = &m->server->hold;
    return !m->draining && m->backup == w->backup &&
           (w->choice == NULL || !was_tried(w->choice, &m->server->seen)) &&
           (!w->usable || mg_server_is_usable(&u->options, h, w->now_ms)) &&
           (!w->calm || !mg_balance_avoids(h, w->now_ms));
}

static size_t gather(mg_upstream *u, const wanted *w) {
    size_t n = 0;
    for (size_t i = 0; i < u->member_count; i++) {
        mg_member *m = &u->members[i];
        if (is_wanted(u, w, m)) {
            u->candidates[n++] = m;
        }
    }
    return n;
}

static size_t count(mg_upstream *u, bool backup, bool usable, uint64_t now_ms) {
    return gather(u, &(wanted){.backup = backup, .usable = usable, .now_ms = now_ms});
}

// Fewer than half of the servers are usable, and no backup is: then the verdicts, or what all
// servers have in common, are at fault, and all are used rather than that the rest is overrun.
static bool panics(mg_upstream *u, uint64_t now_ms) {
    return 2 * count(u, false, true, now_ms) < count(u, false, false, now_ms) &&
           count(u, true, true, now_ms) == 0;
}

static bool is_for_another(mg_choice_kind kind) {
    return kind == MG_CHOICE_RETRY || kind == MG_CHOICE_FAILOVER || kind == MG_CHOICE_HEDGE;
}

// Whoever takes the server that is free takes the one that fails; and nobody tries again there.
// Where failures eject, they are to be seen.
static bool wants_calm(const mg_upstream *u, const mg_choice *choice) {
    unsigned balance = u->options.balance;
    bool by_load = balance == MG_BALANCE_P2C || balance == MG_BALANCE_LEAST_REQUESTS;
    return (by_load && !u->options.outlier.on) || is_for_another(choice->kind);
}

static bool has_calm(mg_upstream *u, const mg_choice *choice, uint64_t now_ms) {
    wanted w = {.choice = choice, .usable = true, .calm = true, .now_ms = now_ms};
    size_t n = gather(u, &w);
    w.backup = true;
    return n > 0 || gather(u, &w) > 0;
}

// Those among which the choice is. Backups are for when nothing else is usable. A retry or a hedge
// is for another server than those that were tried: there may be none.
static size_t gather_candidates(mg_upstream *u, const mg_choice *choice, uint64_t now_ms) {
    bool defended = u->options.health.on || u->options.outlier.on;
    wanted w = {.choice = choice, .calm = wants_calm(u, choice), .now_ms = now_ms};
    w.usable = defended && !panics(u, now_ms);
    size_t n = gather(u, &w);
    if (n == 0 && w.calm) {
        w.calm = false;
        n = gather(u, &w);
    }
    w.backup = true;
    n = n > 0 ? n : gather(u, &w);
    if (n > 0 || is_for_another(choice->kind)) {
        return n;
    }
    w = (wanted){.backup = false};
    n = gather(u, &w);
    w.backup = true;
    return n > 0 ? n : gather(u, &w);
}

static int refuse(mg_no_server *why, const char *text, mg_upstream *full) {
    if (why != NULL) {
        *why = (mg_no_server){text, RETRY_AFTER_S, full};
    }
    return MG_EAGAIN;
}

// --- splits ---

static const mg_upstream_arm *arm_of(const mg_upstream_options *o, mg_str name) {
    for (size_t i = 0; name.n > 0 && i < o->arm_count; i++) {
        if (o->arms[i].weight > 0 && mg_str_eq(mg_str_of(o->arms[i].upstream), name)) {
            return &o->arms[i];
        }
    }
    return NULL;
}

static const mg_upstream_arm *draw_arm(const mg_upstream_options *o, mg_random *r) {
    uint64_t all = 0;
    for (size_t i = 0; i < o->arm_count; i++) {
        all += o->arms[i].weight;
    }
    uint64_t at = all > 0 ? mg_random_below(r, all) : 0;
    for (size_t i = 0; all > 0; i++) {
        if (at < o->arms[i].weight) {
            return &o->arms[i];
        }
        at -= o->arms[i].weight;
    }
    return NULL;
}

static mg_str cookie_for(const mg_upstream_options *o, mg_exchange *x, const char *arm) {
    mg_buf text = {0};
    const mg_cookie cookie = {
        .name = mg_str_of(o->sticky),
        .value = mg_str_of(arm),
        .path = MG_STR("/"),
        .same_site = MG_SAME_SITE_LAX,
        .secure = x->secure,
        .http_only = true,
    };
    (void)mg_cookie_write(&text, &cookie, NULL); // both were checked
    mg_str kept = {mg_arena_copy(&x->arena, mg_buf_str(&text)), text.n};
    mg_buf_deinit(&text);
    return kept;
}

// A client that has the cookie keeps to its arm, as long as that gets anybody; another is given it.
static mg_upstream *part_of(mg_upstream *u, const mg_choice *choice, mg_str *set_cookie) {
    const mg_upstream_options *o = &u->options;
    mg_exchange *x = choice->exchange;
    bool sticky = o->sticky != NULL && x != NULL;
    const mg_upstream_arm *arm = sticky ? arm_of(o, mg_balance_cookie(x, o->sticky)) : NULL;
    if (arm == NULL) {
        arm = draw_arm(o, &u->set->base->random);
        *set_cookie = sticky && arm != NULL ? cookie_for(o, x, arm->upstream) : *set_cookie;
    }
    return arm != NULL ? mg_upstreams_find(u->set, mg_str_of(arm->upstream)) : NULL;
}

// --- tickets ---

// NULL: there is none that may be asked.
static mg_server_state *pick(mg_upstream *u, const mg_choice *choice, uint64_t now_ms) {
    if (choice->server != NULL) {
        return mg_server_of(u->pool, choice->server, &u->options.tls, NULL);
    }
    size_t n = gather_candidates(u, choice, now_ms);
    return n > 0 ? mg_balance_pick(u, choice, u->candidates, n)->server : NULL;
}

int mg_upstream_choose(mg_upstream *u, const mg_choice *choice, mg_ticket *out, mg_no_server *why) {
    mg_str set_cookie = {"", 0};
    if (u->options.arm_count > 0) {
        u = part_of(u, choice, &set_cookie);
    }
    if (u == NULL || (u->member_count == 0 && choice->server == NULL)) {
        return refuse(why, "no server is configured", NULL);
    }
    uint64_t now_ms = mg_loop_now_ms(u->set->base->loop);
    mg_admission admission;
    if (choice->kind == MG_CHOICE_FIRST && !choice->waited && !mg_link_alone(&u->pool->waiters)) {
        return refuse(why, "others wait already", u);
    }
    mg_choice_kind kind = choice->kind;
    if (kind == MG_CHOICE_FAILOVER && !has_calm(u, choice, now_ms)) {
        kind = MG_CHOICE_RETRY;
    }
    int rc = mg_admit(&admission, &u->options, &u->pool->hold, kind, now_ms, why);
    if (rc == MG_ELIMIT && why != NULL) {
        why->full = u;
    }
    if (rc != MG_OK) {
        return MG_EAGAIN;
    }
    mg_server_state *s = pick(u, choice, now_ms);
    if (s == NULL) {
        mg_admission_undo(&admission, &u->options, &u->pool->hold, now_ms);
        return refuse(why, choice->tried_count > 0 ? "all servers were tried" : "all servers drain",
                      NULL);
    }
    *out = (mg_ticket){
        .upstream = u,
        .server = &s->seen,
        .began_us = mg_loop_now_us(u->set->base->loop),
        .kind = choice->kind,
        .admission = admission,
        .set_cookie = set_cookie,
    };
    mg_link_append(&s->tickets, &out->link);
    mg_count_up(&s->hold.own->in_flight);
    mg_count_total(&s->hold.own->tries);
    mg_upstreams_ref(u->set);
    return MG_OK;
}

const mg_call_origin *mg_ticket_origin(const mg_ticket *t, mg_exchange *x) {
    unsigned version = t->upstream->pool->proxy_protocol;
    if (version == 0) {
        return &t->server->origin;
    }
    mg_call_origin *own = mg_arena_alloc(&x->arena, sizeof *own);
    *own = t->server->origin;
    own->prelude = mg_exchange_proxy_header(x, version);
    own->hint = NULL;
    return own;
}

void mg_ticket_move(mg_ticket *to, mg_ticket *from) {
    *to = *from;
    mg_link_init(&to->link);
    mg_link_append(&from->link, &to->link); // in its place
    mg_link_remove(&from->link);
}

void mg_ticket_rehome(mg_ticket *t, mg_upstream *u) {
    mg_upstreams *before = t->upstream->set;
    if (u->pool == t->upstream->pool && u->set != before) {
        t->upstream = u;
        mg_upstreams_ref(u->set);
        mg_upstreams_unref(before);
    }
}

// Who gave up waiting knows that it takes at least so long.
static void learn(mg_server_cell *c, const mg_outcome *outcome, mg_result result, uint64_t now_ms) {
    bool slower = (double)outcome->answer_us > mg_balance_latency_us(c);
    if (slower || (result == MG_RESULT_GOOD && outcome->answer_us > 0)) {
        mg_balance_learn(c, outcome->answer_us, now_ms);
    }
    if (result != MG_RESULT_NONE) {
        mg_balance_tell(c, result == MG_RESULT_BAD, now_ms);
    }
}

void mg_ticket_end(mg_ticket *t, const mg_outcome *outcome) {
    mg_server_state *s = (mg_server_state *)t->server;
    mg_upstream *u = t->upstream;
    mg_upstreams *us = u->set;
    mg_result result = mg_result_of(outcome);
    uint64_t now_ms = mg_loop_now_ms(us->base->loop);
    mg_count_down(&s->hold.own->in_flight);
    if (outcome->reused) {
        mg_count_total(&s->hold.own->reused);
    }
    if (result == MG_RESULT_BAD) {
        mg_count_total(&s->hold.own->failed);
    }
    learn(s->hold.cell, outcome, result, now_ms);
    mg_admission_end(&t->admission, &u->options, &u->group, &s->hold, result, now_ms,
                     &us->base->changes);
    mg_link_remove(&t->link);
    mg_waiting_look(s->pool);
    mg_server_release(s);
    mg_upstreams_unref(us);
}
