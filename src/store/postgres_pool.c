// Which connection serves which call.
//
// A statement goes to a connection where nothing is under way, else behind the fewest, but behind
// none that has been at its first one for long. Sessions get a connection on which nothing is under
// way; if there is none, and none can be opened, some are reserved for them: they take no more
// statements, until they are through. One is always left to statements.

#include "store/postgres_inside.h"

#include <stdio.h>

enum {
    DEPTH = 32,       // statements under way in a connection
    LONG_MS = 20,     // a first one that has taken so long may take much longer
    SILENT_MS = 1000, // what a server owes for so long is told
    RETRY_LEAST_MS = 50,
    RETRY_MOST_MS = 500,
};

// --- connections ---

static bool is_usable(const mg_pg_conn *c) {
    return c->state == MG_PG_OPEN && c->session == NULL && !c->listens && !c->shaken && !c->doomed;
}

static bool is_free(const mg_pg_conn *c) {
    return is_usable(c) && c->in_flight == 0;
}

static bool takes_statements(const mg_pg_conn *c, uint64_t now_ms) {
    if (!is_usable(c) || c->reserved || c->unwanted > 0 || c->in_flight >= DEPTH) {
        return false;
    }
    return c->in_flight == 0 || now_ms - MG_OF(c->calls.next, mg_pg_call, link)->since_ms < LONG_MS;
}

static mg_pg_conn *for_statement(mg_pg *p) {
    uint64_t now_ms = mg_loop_now_ms(p->loop);
    mg_pg_conn *best = NULL;
    for (mg_link *l = p->conns.next; l != &p->conns; l = l->next) {
        mg_pg_conn *c = MG_OF(l, mg_pg_conn, link);
        if (takes_statements(c, now_ms) && (best == NULL || c->in_flight < best->in_flight)) {
            best = c;
            if (c->in_flight == 0) {
                break;
            }
        }
    }
    return best;
}

// A reserved one first: it waited for this.
static mg_pg_conn *for_session(mg_pg *p) {
    mg_pg_conn *best = NULL;
    for (mg_link *l = p->conns.next; l != &p->conns; l = l->next) {
        mg_pg_conn *c = MG_OF(l, mg_pg_conn, link);
        if (is_free(c) && (best == NULL || c->reserved)) {
            best = c;
        }
    }
    return best;
}

// --- sessions ---

static uint32_t most_sessions(const mg_pg *p, bool nested) {
    uint32_t pool = p->settings.pool;
    return nested ? pool + MG_PG_SPARE : pool > 1 ? pool - 1 : 1;
}

static void begin_stream(mg_pg_conn *c, mg_pg_call *call) {
    mg_pg_session *s = call->session;
    mg_pg_call *stream = mg_pg_stream_call(call);
    call->state = MG_PG_SENT;
    s->demand = call;
    s->stream = stream;
    if (stream->statement.copy != MG_DB_NO_COPY) {
        mg_pg_copy_begin(c, stream);
    } else {
        mg_pg_send(c, stream);
    }
}

static void lease(mg_pg_conn *c, mg_pg_call *call) {
    mg_pg *p = c->pool;
    mg_link_remove(&call->link);
    p->queued--;
    p->session_count++;
    c->reserved = false;
    c->session = call->session;
    call->session->conn = c;
    c->taken_ms = mg_loop_now_ms(p->loop);
    mg_deadline_stop(&c->idle);
    if (call->kind == MG_PG_OPEN_ROWS) {
        begin_stream(c, call);
    } else {
        mg_pg_send(c, call);
    }
}

// Returns how many still wait for a connection.
static uint32_t serve_openings(mg_pg *p) {
    uint32_t waiting = 0;
    mg_link *next;
    for (mg_link *l = p->openings.next; l != &p->openings; l = next) {
        mg_pg_call *call = MG_OF(l, mg_pg_call, link);
        next = l->next;
        if (p->session_count + waiting >= most_sessions(p, call->session->nested)) {
            continue;
        }
        mg_pg_conn *c = for_session(p);
        if (c == NULL) {
            waiting++;
        } else {
            lease(c, call);
        }
    }
    return waiting;
}

// So many connections are to take no more statements.
static void reserve(mg_pg *p, uint32_t n) {
    uint32_t common = 0;
    for (mg_link *l = p->conns.next; l != &p->conns; l = l->next) {
        mg_pg_conn *c = MG_OF(l, mg_pg_conn, link);
        c->reserved = c->reserved && n > 0;
        n -= c->reserved;
        common += is_usable(c) && !c->reserved;
    }
    uint32_t leave = p->settings.pool > 1;
    for (mg_link *l = p->conns.next; l != &p->conns && n > 0 && common > leave; l = l->next) {
        mg_pg_conn *c = MG_OF(l, mg_pg_conn, link);
        if (is_usable(c) && !c->reserved) {
            c->reserved = true;
            n--;
            common--;
        }
    }
}

// Whether it is through, and its connection fit for others.
static void settle_session(mg_pg_conn *c) {
    mg_pg_session *s = c->session;
    if (!s->finished || !mg_link_alone(&s->queue) || c->in_flight > 0 || c->shaken) {
        return;
    }
    c->doomed |= PQtransactionStatus(c->pg) != PQTRANS_IDLE;
    c->session = NULL;
    c->pool->session_count--;
    mg_pg_session_free(s);
}

static bool takes_from_session(const mg_pg_conn *c) {
    return c->state == MG_PG_OPEN && !c->shaken && c->unwanted == 0 && c->copy == NULL &&
           !mg_link_alone(&c->session->queue);
}

static void pump_session(mg_pg_conn *c) {
    while (takes_from_session(c)) {
        mg_pg_call *call = MG_OF(c->session->queue.next, mg_pg_call, link);
        bool copies = call->kind == MG_PG_COPY;
        if (copies && c->in_flight > 0) {
            return; // it leaves the pipeline, which is to be empty
        }
        mg_link_remove(&call->link);
        if (copies) {
            begin_stream(c, call);
        } else {
            mg_pg_send(c, call);
        }
    }
    if (c->state == MG_PG_OPEN) {
        settle_session(c);
    }
}

// --- the turn of the pool ---

static bool too_old(const mg_pg_conn *c) {
    uint32_t most = c->pool->settings.max_age_ms;
    return most > 0 && mg_loop_now_ms(c->pool->loop) - c->born_ms > most;
}

static void rest(mg_pg_conn *c) {
    if (c->listens && !mg_link_alone(&c->pool->listening.channels)) {
        return;
    }
    if (c->doomed || too_old(c)) {
        mg_pg_conn_close(c);
    } else if (mg_link_alone(&c->idle.link)) {
        mg_deadline_start(&c->pool->idle, &c->idle);
    }
}

static void look_after(mg_pg *p) {
    mg_link *next;
    for (mg_link *l = p->conns.next; l != &p->conns; l = next) {
        mg_pg_conn *c = MG_OF(l, mg_pg_conn, link);
        next = l->next;
        if (c->state == MG_PG_OPEN && c->session != NULL) {
            pump_session(c);
        }
        if (c->state == MG_PG_OPEN && c->session == NULL && c->in_flight == 0 && !c->shaken) {
            rest(c);
        }
    }
}

// True if one was put behind another though there could be more connections.
static bool serve_statements(mg_pg *p) {
    bool crowded = false;
    while (!mg_link_alone(&p->statements)) {
        mg_pg_conn *c = for_statement(p);
        if (c == NULL) {
            return true;
        }
        crowded |= c->in_flight > 0;
        mg_link *l = mg_link_shift(&p->statements);
        p->queued--;
        mg_pg_send(c, MG_OF(l, mg_pg_call, link));
    }
    return crowded;
}

static bool spare_wanted(const mg_pg *p) {
    for (const mg_link *l = p->openings.next; l != &p->openings; l = l->next) {
        if (MG_OF(l, mg_pg_call, link)->session->nested) {
            return true;
        }
    }
    return false;
}

static void open_more(mg_pg *p, uint32_t waiting, bool crowded) {
    uint32_t most = p->settings.pool + (spare_wanted(p) ? MG_PG_SPARE : 0);
    uint32_t wanted = waiting + crowded;
    while (!mg_timer_active(&p->retry) && p->conn_count < most && p->opening_count < wanted) {
        (void)mg_pg_conn_open(p, false);
    }
}

static void on_waited(mg_timer *t);

static void watch_queues(mg_pg *p) {
    const mg_link *lists[2] = {&p->statements, &p->openings};
    uint64_t first_ms = UINT64_MAX;
    for (int i = 0; i < 2; i++) {
        if (!mg_link_alone(lists[i])) {
            uint64_t since = MG_OF(lists[i]->next, mg_pg_call, link)->since_ms;
            first_ms = since < first_ms ? since : first_ms;
        }
    }
    if (first_ms == UINT64_MAX) {
        mg_timer_stop(&p->waiting);
    } else if (!mg_timer_active(&p->waiting)) {
        uint64_t spent = mg_loop_now_ms(p->loop) - first_ms;
        uint64_t left = spent < p->settings.wait_ms ? p->settings.wait_ms - spent : 0;
        mg_timer_start(p->loop, &p->waiting, left, 0, on_waited);
    }
}

void mg_pg_pump(mg_pg *p) {
    if (p->pumping) {
        return;
    }
    p->pumping = true;
    look_after(p);
    uint32_t waiting = serve_openings(p);
    bool full = p->conn_count >= p->settings.pool;
    reserve(p, full ? waiting : 0);
    bool crowded = serve_statements(p);
    open_more(p, waiting, crowded);
    mg_pg_listen_pump(p);
    watch_queues(p);
    p->pumping = false;
}

// --- calls that wait ---

static void fail_waiting(mg_pg *p, mg_pg_call *call, const char *code, const char *why) {
    mg_link_remove(&call->link);
    p->queued--;
    mg_pg_result_fail(&call->result, code, why);
    mg_pg_ready(call);
}

typedef struct use {
    uint32_t in_use;
    uint64_t since_ms; // the oldest of them
    uint64_t owed_ms;  // when the server was first asked for what has not come
} use;

static use look_at_use(const mg_pg *p) {
    uint64_t now_ms = mg_loop_now_ms(p->loop);
    use u = {0, now_ms, now_ms};
    for (const mg_link *l = p->conns.next; l != &p->conns; l = l->next) {
        const mg_pg_conn *c = MG_OF(l, mg_pg_conn, link);
        if (c->state != MG_PG_OPEN || c->listens || (c->session == NULL && c->in_flight == 0)) {
            continue;
        }
        u.in_use++;
        u.since_ms = c->taken_ms < u.since_ms ? c->taken_ms : u.since_ms;
        if (c->in_flight > 0) {
            uint64_t asked_ms = MG_OF(c->calls.next, mg_pg_call, link)->since_ms;
            u.owed_ms = asked_ms < u.owed_ms ? asked_ms : u.owed_ms;
        }
    }
    u.owed_ms = p->heard_ms > u.owed_ms ? p->heard_ms : u.owed_ms;
    return u;
}

// Whose fault it is that nothing is free: that of who holds them, or of a server that is silent.
static void tell_use(const mg_pg *p, char *out, size_t size) {
    use u = look_at_use(p);
    uint64_t now_ms = mg_loop_now_ms(p->loop);
    int n = snprintf(out, size,
                     "%u of %u are in use, the oldest for %.1f s (pool=N in the URL "
                     "allows more)",
                     u.in_use, p->settings.pool, (double)(now_ms - u.since_ms) / 1000);
    if (now_ms - u.owed_ms >= SILENT_MS) {
        snprintf(out + n, size - (size_t)n, "; the server has said nothing for %.1f s",
                 (double)(now_ms - u.owed_ms) / 1000);
    }
}

// Returns the code.
static const char *tell_late(const mg_pg *p, char *out, size_t size) {
    if (p->last_fault[0] != '\0') {
        snprintf(out, size, "%s", p->last_fault);
    } else if (p->opening_count > 0 && p->opening_count == p->conn_count) {
        snprintf(out, size, "the server has not answered yet");
    } else {
        tell_use(p, out, size);
        return "limit";
    }
    return "closed";
}

static void fail_late(mg_pg *p, mg_link *list) {
    uint64_t now_ms = mg_loop_now_ms(p->loop);
    char why[320];
    char text[480];
    const char *code = tell_late(p, why, sizeof why);
    snprintf(text, sizeof text, "%s: no connection within %u s: %s", p->settings.name,
             p->settings.wait_ms / 1000, why);
    while (!mg_link_alone(list)) {
        mg_pg_call *call = MG_OF(list->next, mg_pg_call, link);
        if (now_ms - call->since_ms < p->settings.wait_ms) {
            return;
        }
        fail_waiting(p, call, code, text);
    }
}

static void on_waited(mg_timer *t) {
    mg_pg *p = MG_OF(t, mg_pg, waiting);
    fail_late(p, &p->statements);
    fail_late(p, &p->openings);
    watch_queues(p);
    mg_pg_deliver(p);
}

static void fail_all(mg_pg *p, const char *why) {
    while (!mg_link_alone(&p->statements)) {
        fail_waiting(p, MG_OF(p->statements.next, mg_pg_call, link), "closed", why);
    }
    while (!mg_link_alone(&p->openings)) {
        fail_waiting(p, MG_OF(p->openings.next, mg_pg_call, link), "closed", why);
    }
}

// --- connections come and go ---

void mg_pg_opened(mg_pg_conn *c) {
    c->pool->failures = 0;
    c->pool->last_fault[0] = '\0';
    mg_timer_stop(&c->pool->retry);
    if (c->listens) {
        mg_pg_listen_begin(c);
    }
}

static void on_retry(mg_timer *t) {
    mg_pg *p = MG_OF(t, mg_pg, retry);
    mg_pg_pump(p);
    mg_pg_deliver(p);
}

void mg_pg_not_opened(mg_pg *p, const char *fault, bool hopeless) {
    snprintf(p->last_fault, sizeof p->last_fault, "%s", fault);
    uint32_t most = (uint32_t)RETRY_LEAST_MS << (p->failures < 4 ? p->failures : 4);
    uint32_t pause = most < RETRY_MOST_MS ? most : RETRY_MOST_MS;
    // Workers and machines that lost the same server do not return in step.
    uint32_t jitter = (uint32_t)mg_random_below(&p->random, pause / 2 + 1);
    p->failures++;
    mg_timer_start(p->loop, &p->retry, pause / 2 + jitter, 0, on_retry);
    if (hopeless || p->impatient) {
        char why[480];
        snprintf(why, sizeof why, "%s: %s", p->settings.name, fault);
        fail_all(p, why);
        mg_pg_listen_refused(p, why);
    }
}

// --- interruptions ---
//
// A cancellation hits whatever runs when it arrives. So it is sent only when nobody waits for
// anything that is under way, and nothing else is sent until it has arrived and a round trip behind
// it has come back.

static bool is_unwanted(const mg_pg_call *call) {
    bool left = call->kind == MG_PG_STREAM ? call->session->stream != call : call->on_done == NULL;
    return (call->kind == MG_PG_QUERY || call->kind == MG_PG_STREAM) &&
           (left || call->result.code != NULL);
}

void mg_pg_interrupt(mg_pg_conn *c) {
    if (c->state != MG_PG_OPEN || c->cancelling || mg_link_alone(&c->calls)) {
        return;
    }
    for (const mg_link *l = c->calls.next; l != &c->calls; l = l->next) {
        if (!is_unwanted(MG_OF(l, mg_pg_call, link))) {
            return;
        }
    }
    c->cancelling = mg_pg_cancel(c->pool->canceller, c);
    c->shaken |= c->cancelling;
}

// Most statements are over before a cancellation could reach them.
static void on_look(mg_timer *t) {
    mg_pg_interrupt(MG_OF(t, mg_pg_conn, timer));
}

static void look_later(mg_pg_conn *c) {
    if (!mg_timer_active(&c->timer)) {
        mg_timer_start(c->pool->loop, &c->timer, LONG_MS, 0, on_look);
    }
}

void mg_pg_calm(mg_pg_conn *c) {
    if (c->state != MG_PG_OPEN || !c->shaken || c->cancelling) {
        return;
    }
    if (c->in_flight == 0) {
        mg_pg_send(c, mg_pg_own_call(c->pool, MG_PG_SYNC, (mg_str){NULL, 0}));
    } else {
        look_later(c); // there may be more that nobody waits for
    }
}

void mg_pg_disown(mg_pg_call *call) {
    mg_pg_conn *c = call->conn;
    if (call->on_done == NULL) {
        return; // counted already: cancelled, and then dropped with its session
    }
    call->on_done = NULL;
    if (c != NULL && call->kind == MG_PG_QUERY) {
        c->unwanted++;
        look_later(c);
    }
}
