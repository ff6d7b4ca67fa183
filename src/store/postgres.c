#include "store/postgres.h"

#include "base/mem.h"
#include "store/postgres_inside.h"
#include "store/postgres_words.h"

#include <errno.h>
#include <stdio.h>

// --- calls ---

static size_t text_bytes(const mg_db_statement *s) {
    size_t n = s->sql.n + 1;
    for (uint32_t i = 0; i < s->count; i++) {
        n += s->values[i].kind >= MG_DB_TEXT ? s->values[i].text.n + 1 : 0;
    }
    return n;
}

// Terminated, as libpq wants it.
static mg_str copy_text(char **at, mg_str s) {
    mg_str copy = {*at, s.n};
    if (s.n > 0) {
        memcpy(*at, s.p, s.n);
    }
    (*at)[s.n] = '\0';
    *at += s.n + 1;
    return copy;
}

static mg_pg_call *new_call(mg_pg *p, mg_pg_kind kind, const mg_db_statement *s) {
    size_t values = s->count * sizeof(mg_db_value);
    size_t raw = s->raw_count * sizeof *s->raw;
    mg_pg_call *call = mg_calloc(1, sizeof *call + values + raw + text_bytes(s));
    mg_db_value *v = (mg_db_value *)(void *)call->copied;
    char *at = call->copied + values + raw;
    call->base.database = &p->base;
    call->pool = p;
    call->kind = kind;
    mg_link_init(&call->link);
    call->statement = *s;
    call->statement.values = v;
    if (raw > 0) {
        call->statement.raw = memcpy(call->copied + values, s->raw, raw);
    }
    call->statement.sql = copy_text(&at, s->sql);
    for (uint32_t i = 0; i < s->count; i++) {
        v[i] = s->values[i];
        if (v[i].kind >= MG_DB_TEXT) {
            v[i].text = copy_text(&at, v[i].text);
        }
    }
    return call;
}

mg_pg_call *mg_pg_own_call(mg_pg *p, mg_pg_kind kind, mg_str sql) {
    return new_call(p, kind, &(mg_db_statement){.sql = sql});
}

mg_pg_call *mg_pg_stream_call(const mg_pg_call *call) {
    mg_pg_call *stream = new_call(call->pool, MG_PG_STREAM, &call->statement);
    stream->session = call->session;
    return stream;
}

void mg_pg_call_free(mg_pg_call *call) {
    mg_link_remove(&call->link);
    mg_pg_release_prepared(call);
    mg_pg_result_deinit(&call->result);
    mg_free(call);
}

static bool opens(const mg_pg_call *call) {
    return call->kind == MG_PG_BEGIN || call->kind == MG_PG_OPEN_ROWS;
}

// Its session never was, for whoever asked for it.
static bool made_none(const mg_pg_call *call) {
    return opens(call) &&
           (call->result.code != NULL || (call->kind == MG_PG_OPEN_ROWS && !call->more));
}

static void on_soon(mg_timer *t) {
    mg_pg_deliver(MG_OF(t, mg_pg, soon));
}

// --- sessions ---

static mg_pg_session *new_session(mg_pg *p, bool nested) {
    mg_pg_session *s = mg_calloc(1, sizeof *s);
    s->base.database = &p->base;
    s->pool = p;
    s->nested = nested;
    mg_link_init(&s->queue);
    return s;
}

static void free_calls(mg_link *list) {
    mg_link *l;
    while ((l = mg_link_shift(list)) != NULL) {
        mg_pg_call_free(MG_OF(l, mg_pg_call, link));
    }
}

void mg_pg_session_free(mg_pg_session *s) {
    mg_link *ready = &s->pool->ready;
    for (mg_link *l = ready->next; l != ready; l = l->next) {
        mg_pg_call *call = MG_OF(l, mg_pg_call, link);
        if (call->session == s) {
            call->session = NULL; // it is delivered all the same
        }
    }
    free_calls(&s->queue);
    mg_free(s);
}

// The connection is everybody's again.
static void give_back(mg_pg_session *s) {
    if (s->conn != NULL) {
        s->conn->session = NULL;
        s->conn = NULL;
        s->pool->session_count--;
    }
    s->lost = true;
}

void mg_pg_piece(mg_pg_session *s, mg_pg_result *from, bool last) {
    mg_pg_call *call = s->demand;
    s->demand = NULL;
    if (last) {
        s->stream = NULL;
        if (!s->transaction) {
            give_back(s);
        }
    }
    if (call == NULL) {
        return;
    }
    mg_pg_result_move_rows(from, &call->result);
    call->more = !last;
    mg_pg_ready(call);
}

// --- what is over ---

static void settle_ready(mg_pg_call *call) {
    mg_pg_session *s = call->session;
    if (call->kind == MG_PG_STREAM && s->stream == call) {
        mg_pg_piece(s, &call->result, true);
    } else if (call->kind == MG_PG_BEGIN && call->result.code != NULL && call->on_done != NULL) {
        give_back(s);
    }
}

void mg_pg_ready(mg_pg_call *call) {
    mg_pg *p = call->pool;
    call->state = MG_PG_READY;
    call->conn = NULL;
    mg_pg_release_prepared(call);
    settle_ready(call);
    if (call->on_done == NULL) {
        mg_pg_call_free(call);
        return;
    }
    p->faults += call->result.code != NULL;
    mg_link_append(&p->ready, &call->link);
    if (!mg_timer_active(&p->soon)) {
        mg_timer_start(p->loop, &p->soon, 0, 0, on_soon);
    }
}

static void deliver(mg_pg_call *call) {
    mg_pg_session *s = opens(call) ? call->session : NULL;
    if (call->on_done == NULL) {
        mg_pg_call_free(call);
        return;
    }
    if (s != NULL) {
        s->opening = NULL;
    }
    mg_db_rows rows = mg_pg_result_rows(&call->result, call->more);
    mg_db_fault fault = mg_pg_result_fault(&call->result);
    bool failed = call->result.code != NULL;
    call->on_done(call->arg, failed ? NULL : &rows, failed ? &fault : NULL);
    if (made_none(call)) {
        mg_pg_session_free(s);
    }
    mg_pg_call_free(call);
}

static void free_dead(mg_pg *p) {
    mg_link *l;
    while ((l = mg_link_shift(&p->dead)) != NULL) {
        mg_free(MG_OF(l, mg_pg_conn, link));
    }
}

void mg_pg_deliver(mg_pg *p) {
    if (p->delivering) {
        return;
    }
    p->delivering = true;
    mg_timer_stop(&p->soon);
    mg_link *l;
    while ((l = mg_link_shift(&p->ready)) != NULL) {
        deliver(MG_OF(l, mg_pg_call, link));
    }
    p->delivering = false;
    free_dead(p);
}

void mg_pg_requeue(mg_pg_call *call) {
    mg_pg *p = call->pool;
    call->state = MG_PG_QUEUED;
    call->conn = NULL;
    call->since_ms = mg_loop_now_ms(p->loop);
    mg_link_append(p->statements.next, &call->link); // in front
    p->queued++;
}

// --- the operations ---

static int enqueue(mg_pg *p, mg_link *queue, mg_pg_call *call) {
    call->since_ms = mg_loop_now_ms(p->loop);
    mg_link_append(queue, &call->link);
    p->queued++;
    mg_pg_pump(p);
    return MG_OK;
}

static int refuse(mg_pg_call *call, const char *code, const char *message) {
    mg_pg_result_fail(&call->result, code, message);
    mg_pg_ready(call);
    return MG_OK;
}

// NULL, or why PostgreSQL cannot take it.
static const char *refusal(const mg_db_statement *s, const char **code) {
    const char *why = mg_database_refusal(s, code);
    if (why == NULL && !s->savepoint) {
        bool copies = s->copy != MG_DB_NO_COPY;
        why = copies ? mg_pg_words_refuse_copy(s->sql) : mg_pg_words_refuse(s->sql);
        *code = "error";
    }
    for (uint32_t i = 0; why == NULL && i < s->count; i++) {
        const mg_db_value *v = &s->values[i];
        if (v->kind == MG_DB_TEXT && v->text.n > 0 && memchr(v->text.p, '\0', v->text.n) != NULL) {
            *code = "error";
            why = "a NUL byte in a text, which PostgreSQL cannot keep: bytes go in as "
                  "moongate.blob(bytes)";
        }
    }
    return why;
}

// A refused one is not copied.
static mg_pg_call *call_for(mg_pg *p, mg_pg_kind kind, const mg_db_statement *s, const char *why) {
    static const mg_db_statement none;
    return new_call(p, kind, why != NULL ? &none : s);
}

static mg_pg *pool_of(mg_database *d) {
    return MG_OF(d, mg_pg, base);
}

static mg_pg_session *session_of(mg_db_session *s) {
    return s != NULL ? MG_OF(s, mg_pg_session, base) : NULL;
}

static int query_in(mg_pg_session *s, mg_pg_call *call) {
    if (s->aborted) {
        return refuse(call, "error",
                      "a statement of the transaction was given up: it can only be rolled back");
    }
    if (s->stream != NULL) {
        return refuse(call, "error",
                      "the copy that was begun in the transaction is not at its end");
    }
    mg_link_append(&s->queue, &call->link);
    mg_pg_pump(s->pool);
    return MG_OK;
}

static int op_query(mg_db_call **out, mg_database *d, const mg_db_statement *s,
                    mg_db_done_cb on_done, void *arg) {
    mg_pg *p = pool_of(d);
    mg_pg_session *session = session_of(s->session);
    const char *code;
    if (session != NULL && session->lost) {
        return MG_ECLOSED;
    }
    if (session == NULL && p->queued >= p->settings.queue) {
        return MG_ELIMIT;
    }
    const char *why = refusal(s, &code);
    mg_pg_kind kind = s->copy != MG_DB_NO_COPY ? MG_PG_COPY : MG_PG_QUERY;
    mg_pg_call *call = call_for(p, kind, s, why);
    call->session = session;
    call->on_done = on_done;
    call->arg = arg;
    *out = &call->base;
    if (why != NULL) {
        return refuse(call, code, why);
    }
    return session != NULL ? query_in(session, call) : enqueue(p, &p->statements, call);
}

// A nested one is never made to wait behind those who may wait for it.
static bool has_room(const mg_pg *p, bool nested) {
    return !nested || p->session_count < p->settings.pool + MG_PG_SPARE;
}

static int open_session(mg_db_call **out, mg_db_session **session, mg_pg_call *call, bool nested) {
    mg_pg *p = call->pool;
    mg_pg_session *s = new_session(p, nested);
    s->transaction = call->kind == MG_PG_BEGIN;
    call->session = s;
    s->opening = call;
    *session = &s->base;
    *out = &call->base;
    if (!has_room(p, nested)) {
        return refuse(call, "limit",
                      "all connections are held by loops over rows and transactions, and who asks "
                      "for another one holds one already");
    }
    return enqueue(p, &p->openings, call);
}

static size_t begin_text(char *out, size_t size, unsigned flags) {
    const char *isolation =
        (flags & MG_DB_SERIALIZABLE) != 0      ? " ISOLATION LEVEL SERIALIZABLE"
        : (flags & MG_DB_REPEATABLE_READ) != 0 ? " ISOLATION LEVEL REPEATABLE READ"
        : (flags & MG_DB_READ_COMMITTED) != 0  ? " ISOLATION LEVEL READ COMMITTED"
                                               : "";
    int n = snprintf(out, size, "BEGIN%s%s%s", isolation,
                     (flags & MG_DB_WRITE) != 0 ? "" : " READ ONLY",
                     (flags & MG_DB_DEFERRABLE) != 0 ? " DEFERRABLE" : "");
    return (size_t)n;
}

static int op_begin(mg_db_call **out, mg_database *d, unsigned flags, mg_db_session **session,
                    mg_db_done_cb on_done, void *arg) {
    mg_pg *p = pool_of(d);
    if (p->queued >= p->settings.queue) {
        return MG_ELIMIT;
    }
    char sql[80];
    size_t n = begin_text(sql, sizeof sql, flags);
    mg_pg_call *call = mg_pg_own_call(p, MG_PG_BEGIN, (mg_str){sql, n});
    call->on_done = on_done;
    call->arg = arg;
    return open_session(out, session, call, (flags & MG_DB_NESTED) != 0);
}

static int op_open_rows(mg_db_call **out, mg_database *d, const mg_db_statement *s,
                        mg_db_session **session, mg_db_done_cb on_done, void *arg) {
    mg_pg *p = pool_of(d);
    const char *code;
    const char *why = refusal(s, &code);
    if (p->queued >= p->settings.queue) {
        return MG_ELIMIT;
    }
    mg_pg_call *call = call_for(p, MG_PG_OPEN_ROWS, s, why);
    call->on_done = on_done;
    call->arg = arg;
    if (why == NULL) {
        return open_session(out, session, call, s->nested);
    }
    call->session = new_session(p, s->nested);
    call->session->opening = call;
    *session = &call->session->base;
    *out = &call->base;
    return refuse(call, code, why);
}

static int op_fetch(mg_db_call **out, mg_db_session *session, uint32_t max_rows,
                    mg_db_done_cb on_done, void *arg) {
    mg_pg_session *s = session_of(session);
    if (s->lost || s->stream == NULL || s->demand != NULL) {
        return MG_ECLOSED;
    }
    mg_pg_call *call = new_call(s->pool, MG_PG_FETCH, &(mg_db_statement){.max_rows = max_rows});
    call->session = s;
    call->on_done = on_done;
    call->arg = arg;
    call->state = MG_PG_SENT;
    s->demand = call;
    *out = &call->base;
    mg_pg_conn_resume(s->conn);
    return MG_OK;
}

static int op_write(mg_db_call **out, mg_db_session *session, mg_str bytes, bool last,
                    mg_db_done_cb on_done, void *arg) {
    mg_pg_session *s = session_of(session);
    mg_pg_conn *c = s->conn;
    bool takes = !s->lost && s->stream != NULL && s->demand == NULL && c != NULL &&
                 c->copy == s->stream && c->copy_state == MG_PG_COPY_TAKES;
    if (!takes) {
        return MG_ECLOSED;
    }
    mg_pg_call *call = new_call(s->pool, MG_PG_WRITE, &(mg_db_statement){.count = 0});
    call->session = s;
    call->on_done = on_done;
    call->arg = arg;
    call->state = MG_PG_SENT;
    s->demand = call;
    *out = &call->base;
    if (bytes.n > MG_DB_RESULT_MAX) {
        s->demand = NULL;
        return refuse(call, "limit", "more than 64 MiB are written at once");
    }
    mg_pg_copy_write(c, bytes, last);
    return MG_OK;
}

// It ends, whatever it is at.
static void leave_stream(mg_pg_session *s) {
    mg_pg_conn *c = s->conn;
    s->stream = NULL;
    s->finished = true;
    if (c->copy != NULL) {
        mg_pg_copy_give_up(c);
    }
}

static int op_end(mg_db_call **out, mg_db_session *session, bool commit, mg_db_done_cb on_done,
                  void *arg) {
    mg_pg_session *s = session_of(session);
    mg_pg *p = s->pool;
    if (s->lost) {
        mg_pg_session_free(s);
        return MG_ECLOSED;
    }
    bool undo = !commit || s->aborted || s->stream != NULL;
    mg_pg_call *call = mg_pg_own_call(p, MG_PG_END, undo ? MG_STR("ROLLBACK") : MG_STR("COMMIT"));
    call->session = s;
    call->on_done = on_done;
    call->arg = arg;
    call->commit = commit;
    mg_link_append(&s->queue, &call->link);
    leave_stream(s);
    *out = &call->base;
    mg_pg_pump(p);
    return MG_OK;
}

static void disown(mg_link *list, const mg_pg_session *s) {
    for (mg_link *l = list->next; l != list; l = l->next) {
        mg_pg_call *call = MG_OF(l, mg_pg_call, link);
        if (call->session == s) {
            mg_pg_disown(call);
        }
    }
}

// It waits no more: neither in a queue, nor for its delivery.
static void forget_opening(mg_pg_session *s) {
    mg_pg_call *call = s->opening;
    s->opening = NULL;
    if (call == NULL) {
        return;
    }
    call->on_done = NULL;
    if (s->demand == call) {
        s->demand = NULL;
        mg_pg_call_free(call);
    } else if (call->state != MG_PG_SENT) {
        s->pool->queued -= call->state == MG_PG_QUEUED;
        mg_pg_call_free(call);
    }
}

static void op_drop(mg_db_session *session) {
    mg_pg_session *s = session_of(session);
    mg_pg *p = s->pool;
    forget_opening(s);
    free_calls(&s->queue);
    disown(&p->ready, s);
    if (s->demand != NULL) {
        mg_pg_call_free(s->demand);
        s->demand = NULL;
    }
    mg_pg_conn *c = s->conn;
    if (c == NULL) {
        mg_pg_session_free(s);
        return;
    }
    disown(&c->calls, s);
    if (s->transaction) {
        mg_pg_call *undo = mg_pg_own_call(p, MG_PG_PLAIN, MG_STR("ROLLBACK"));
        undo->session = s;
        mg_link_append(&s->queue, &undo->link);
    }
    leave_stream(s);
    if (c->copy == NULL) {
        mg_pg_interrupt(c);
        mg_pg_conn_resume(c);
    }
    mg_pg_pump(p);
}

static void op_cancel(mg_db_call *base) {
    mg_pg_call *call = MG_OF(base, mg_pg_call, base);
    mg_pg_session *s = call->session;
    mg_pg *p = call->pool;
    p->cancelled++;
    if (opens(call)) {
        op_drop(&s->base);
        return;
    }
    if (call->kind == MG_PG_QUERY && s != NULL) {
        s->aborted = true;
    }
    if (call->kind == MG_PG_END || call->state == MG_PG_READY) {
        call->on_done = NULL;
    } else if (call->state == MG_PG_QUEUED) {
        p->queued -= s == NULL;
        mg_pg_call_free(call);
    } else if (s != NULL && s->demand == call) {
        s->demand = NULL;
        mg_pg_call_free(call);
    } else {
        mg_pg_disown(call);
    }
}

static void op_read_stats(const mg_database *d, mg_database_stats *out) {
    const mg_pg *p = (const mg_pg *)(const void *)d;
    *out = (mg_database_stats){
        .connections = p->conn_count - p->opening_count + mg_pg_listens(p),
        .queued = p->queued,
        .sessions = p->session_count,
        .statements = p->sent,
        .faults = p->faults,
        .cancelled = p->cancelled,
    };
    for (const mg_link *l = p->conns.next; l != &p->conns; l = l->next) {
        out->busy += MG_OF(l, mg_pg_conn, link)->in_flight > 0;
    }
}

static void free_openings(mg_pg *p) {
    mg_link *l;
    while ((l = mg_link_shift(&p->openings)) != NULL) {
        mg_pg_call *call = MG_OF(l, mg_pg_call, link);
        mg_pg_session_free(call->session);
        mg_pg_call_free(call);
    }
}

static void free_ready(mg_pg *p) {
    mg_link *l;
    while ((l = mg_link_shift(&p->ready)) != NULL) {
        mg_pg_call *call = MG_OF(l, mg_pg_call, link);
        if (opens(call) && call->session != NULL && call->session->conn == NULL) {
            mg_pg_session_free(call->session);
        }
        mg_pg_call_free(call);
    }
}

static void end_conn(mg_pg_conn *c) {
    mg_pg_session *s = c->session;
    free_calls(&c->calls);
    if (s != NULL) {
        if (s->demand != NULL) {
            mg_pg_call_free(s->demand);
        }
        mg_pg_session_free(s);
    }
    mg_pg_conn_close(c);
}

static void op_free(mg_database *d) {
    mg_pg *p = pool_of(d);
    mg_pg_listen_end(p);
    free_openings(p);
    free_calls(&p->statements);
    free_ready(p);
    while (!mg_link_alone(&p->conns)) {
        end_conn(MG_OF(p->conns.next, mg_pg_conn, link));
    }
    free_dead(p);
    mg_pg_canceller_free(p->canceller);
    mg_timer_stop(&p->soon);
    mg_timer_stop(&p->waiting);
    mg_timer_stop(&p->retry);
    mg_deadlines_deinit(&p->idle);
    mg_dns_free(p->dns);
    mg_pg_settings_deinit(&p->settings);
    mg_free(p);
}

static const mg_database_ops ops = {
    .query = op_query,
    .begin = op_begin,
    .end = op_end,
    .open_rows = op_open_rows,
    .fetch = op_fetch,
    .write = op_write,
    .drop = op_drop,
    .cancel = op_cancel,
    .listen = mg_pg_listen,
    .unlisten = mg_pg_unlisten,
    .read_stats = op_read_stats,
    .free = op_free,
};

// --- opening ---

int mg_postgres_check(mg_str url, mg_error *err) {
    mg_pg_settings s = {0};
    int rc = mg_pg_settings_read(&s, url, err);
    mg_pg_settings_deinit(&s);
    return rc;
}

static void on_idle(mg_deadlines *q, mg_deadline *d) {
    mg_pg *p = MG_OF(q, mg_pg, idle);
    mg_pg_conn *c = MG_OF(d, mg_pg_conn, idle);
    if (c->listens ? mg_link_alone(&p->listening.channels) : p->conn_count > p->settings.minimum) {
        mg_pg_conn_close(c);
        mg_pg_deliver(p);
    }
}

static void on_interrupted(mg_pg_conn *c) {
    mg_pg *p = c->pool;
    c->cancelling = false;
    mg_pg_calm(c);
    mg_pg_pump(p);
    mg_pg_deliver(p);
}

int mg_postgres_open(mg_database **out, mg_loop *loop, const mg_postgres_options *options,
                     mg_error *err) {
    mg_pg *p = mg_calloc(1, sizeof *p);
    p->base.ops = &ops;
    p->loop = loop;
    p->impatient = options->impatient;
    mg_random_init(&p->random, 0);
    mg_link_init(&p->conns);
    mg_link_init(&p->dead);
    mg_link_init(&p->statements);
    mg_link_init(&p->openings);
    mg_link_init(&p->ready);
    mg_link_init(&p->listening.channels);
    int rc = mg_pg_settings_read(&p->settings, mg_str_of(options->url), err);
    mg_deadlines_init(&p->idle, loop, p->settings.idle_ms, on_idle);
    if (rc == MG_OK) {
        const mg_dns_options dns = {.nameservers = options->nameservers};
        rc = mg_dns_new(&p->dns, loop, &dns);
        if (rc == MG_OK) {
            p->canceller = mg_pg_canceller_new(loop, on_interrupted);
            rc = p->canceller != NULL ? MG_OK : -ENOMEM;
        }
        if (rc != MG_OK) {
            mg_error_set(err, rc, "%s: %s", p->settings.name, mg_strerror(rc));
        }
    }
    if (rc != MG_OK) {
        op_free(&p->base);
        return rc;
    }
    *out = &p->base;
    return MG_OK;
}
