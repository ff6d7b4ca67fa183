// The loop's side: calls go into the queues, results come out of `finished`.

#include "base/mem.h"
#include "store/sqlite_inside.h"

static int query(mg_db_call **out, mg_database *d, const mg_db_statement *s, mg_db_done_cb on_done,
                 void *arg);
static int begin(mg_db_call **out, mg_database *d, unsigned flags, mg_db_session **session,
                 mg_db_done_cb on_done, void *arg);
static int end(mg_db_call **out, mg_db_session *session, bool commit, mg_db_done_cb on_done,
               void *arg);
static int open_rows(mg_db_call **out, mg_database *d, const mg_db_statement *s,
                     mg_db_session **session, mg_db_done_cb on_done, void *arg);
static int fetch(mg_db_call **out, mg_db_session *session, uint32_t max_rows, mg_db_done_cb on_done,
                 void *arg);
static void drop(mg_db_session *session);
static void cancel(mg_db_call *call);
static void read_stats(const mg_database *d, mg_database_stats *out);

const mg_database_ops mg_sqlite_ops = {
    .query = query,
    .begin = begin,
    .end = end,
    .open_rows = open_rows,
    .fetch = fetch,
    .drop = drop,
    .cancel = cancel,
    .read_stats = read_stats,
    .free = mg_sqlite_free,
    .one_writer = true,
};

void mg_sqlite_call_free(mg_sqlite_call *call) {
    mg_sqlite_result_deinit(&call->result);
    mg_free(call);
}

// --- calls -------------------------------------------------------------------

static size_t text_bytes(const mg_db_value *v) {
    return v->kind == MG_DB_TEXT || v->kind == MG_DB_BLOB ? v->text.n : 0;
}

static char *put(char *at, mg_str *text) {
    if (text->n > 0) {
        memcpy(at, text->p, text->n);
    }
    text->p = at;
    return at + text->n;
}

// One block: the values, the statement, the texts.
static mg_sqlite_call *new_call(mg_sqlite *p, mg_sqlite_kind kind, const mg_db_statement *s) {
    static const mg_db_statement none;
    s = s == NULL ? &none : s;
    size_t n = s->count * sizeof *s->values + s->sql.n;
    for (uint32_t i = 0; i < s->count; i++) {
        n += text_bytes(&s->values[i]);
    }
    mg_sqlite_call *call = mg_malloc(sizeof *call + n);
    *call = (mg_sqlite_call){.base.database = &p->base, .kind = kind, .statement = *s};
    mg_db_value *values = (mg_db_value *)(void *)call->copied;
    char *at = put(call->copied + s->count * sizeof *values, &call->statement.sql);
    for (uint32_t i = 0; i < s->count; i++) {
        values[i] = s->values[i];
        if (values[i].kind == MG_DB_TEXT || values[i].kind == MG_DB_BLOB) {
            at = put(at, &values[i].text);
        }
    }
    call->statement.values = values;
    if (call->statement.max_bytes == 0) {
        call->statement.max_bytes = MG_DB_RESULT_MAX;
    }
    mg_link_init(&call->link);
    return call;
}

static mg_sqlite_session *new_session(mg_sqlite *p, mg_sqlite_call *call, bool write) {
    mg_sqlite_session *s = mg_calloc(1, sizeof *s);
    s->base.database = &p->base;
    s->opening = call;
    s->write = write;
    mg_link_init(&s->link);
    mg_link_init(&s->calls);
    call->session = s;
    return s;
}

// With the lock held: some thread works or will, without any help from the loop.
static bool moving(const mg_sqlite *p) {
    for (uint32_t i = 0; i < p->count; i++) {
        const mg_sqlite_thread *t = &p->threads[i];
        if (t->current != NULL || (t->session != NULL && t->session->dropped) ||
            mg_sqlite_first_of(t) != NULL) {
            return true;
        }
    }
    return !mg_link_alone(&p->finished);
}

// With the lock held. Returns whom to nudge.
static mg_sqlite_thread *enqueue(mg_sqlite *p, mg_sqlite_call *call, bool writer) {
    p->queued++;
    p->sessions += mg_sqlite_opens(call);
    call->number = p->asked++;
    if (call->session != NULL && call->session->opening == NULL) {
        mg_link_append(&call->session->calls, &call->link);
        return call->session->thread;
    }
    if (writer) {
        mg_link_append(&p->writes, &call->link);
        return &p->threads[0];
    }
    bool opens = mg_sqlite_opens(call);
    mg_link_append(opens ? &p->openings : &p->reads, &call->link);
    return mg_sqlite_rouse(p, opens);
}

// With the lock held.
static void enqueue_at(mg_sqlite_thread *t, mg_sqlite_call *call) {
    t->pool->queued++;
    t->pool->sessions++;
    mg_link_append(&t->given, &call->link);
}

// Never inside the starting call. With the lock held.
static void refuse_locked(mg_sqlite *p, mg_sqlite_call *call, const char *code, const char *text) {
    call->state = MG_SQLITE_FINISHED;
    mg_sqlite_result_fail(&call->result, code, SQLITE_ERROR, "%s", text);
    p->sessions += mg_sqlite_opens(call);
    mg_link_append(&p->finished, &call->link);
    mg_wake_send(p->wake);
}

// With the lock held. Returns whom to nudge.
static mg_sqlite_thread *enqueue_nested(mg_sqlite *p, mg_sqlite_call *call) {
    mg_sqlite_thread *t = mg_sqlite_take_free(p);
    if (t != NULL) {
        enqueue_at(t, call);
    } else {
        refuse_locked(p, call, "limit",
                      "all connections are held by rows that are being read and by transactions, "
                      "one of them by who asks for another: read the outer rows, or the inner "
                      "ones, as a whole: db:query");
    }
    return t;
}

static int submit(mg_sqlite *p, mg_sqlite_call *call, bool writer, mg_db_done_cb on_done,
                  void *arg) {
    call->on_done = on_done;
    call->arg = arg;
    pthread_mutex_lock(&p->lock);
    bool full = p->queued >= p->queue_max && call->kind != MG_SQLITE_END;
    mg_sqlite_thread *nudged = NULL;
    if (!full) {
        nudged = call->nested && !writer ? enqueue_nested(p, call) : enqueue(p, call, writer);
        mg_wake_expect(p->wake, moving(p));
    }
    pthread_mutex_unlock(&p->lock);
    if (nudged != NULL) {
        pthread_cond_signal(&nudged->nudge); // one woken with the lock held would wait again
    }
    if (full) {
        mg_sqlite_call_free(call);
        return MG_ELIMIT;
    }
    p->statements++;
    return MG_OK;
}

static int refuse(mg_sqlite *p, mg_sqlite_call *call, const char *code, const char *text,
                  mg_db_done_cb on_done, void *arg) {
    call->on_done = on_done;
    call->arg = arg;
    pthread_mutex_lock(&p->lock);
    refuse_locked(p, call, code, text);
    mg_wake_expect(p->wake, true);
    pthread_mutex_unlock(&p->lock);
    return MG_OK;
}

// A guess that costs nothing; the reader hands over what turns out to write.
static bool looks_like_a_read(mg_str sql) {
    static const char *const words[] = {"select", "with", "values", "explain", "pragma"};
    sql = mg_sqlite_skip_blank(sql);
    size_t n = 0;
    while (n < sql.n && ((sql.p[n] | 0x20) >= 'a' && (sql.p[n] | 0x20) <= 'z')) {
        n++;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (mg_str_ieq((mg_str){sql.p, n}, mg_str_of(words[i]))) {
            return true;
        }
    }
    return false;
}

static bool for_writer(const mg_sqlite *p, const mg_sqlite_call *call) {
    return p->settings.memory || !looks_like_a_read(call->statement.sql);
}

// NULL, or why SQLite cannot take it.
static const char *refusal_of(const mg_db_statement *s, const char **code) {
    if (s->copy != MG_DB_NO_COPY) {
        *code = "error";
        return "SQLite has no COPY: many rows go in quickly inside of one transaction";
    }
    return mg_database_refusal(s, code);
}

static int query(mg_db_call **out, mg_database *d, const mg_db_statement *s, mg_db_done_cb on_done,
                 void *arg) {
    mg_sqlite *p = (mg_sqlite *)d;
    const char *code;
    const char *refusal = refusal_of(s, &code);
    mg_sqlite_call *call = new_call(p, MG_SQLITE_QUERY, refusal == NULL ? s : NULL);
    *out = &call->base;
    if (refusal != NULL) {
        return refuse(p, call, code, refusal, on_done, arg);
    }
    call->session = (mg_sqlite_session *)s->session;
    return submit(p, call, for_writer(p, call), on_done, arg);
}

static int begin(mg_db_call **out, mg_database *d, unsigned flags, mg_db_session **session,
                 mg_db_done_cb on_done, void *arg) {
    mg_sqlite *p = (mg_sqlite *)d;
    bool write = flags & MG_DB_WRITE;
    mg_sqlite_call *call = new_call(p, MG_SQLITE_BEGIN, NULL);
    call->nested = flags & MG_DB_NESTED;
    mg_sqlite_session *s = new_session(p, call, write);
    int rc = submit(p, call, write || p->settings.memory, on_done, arg);
    if (rc != MG_OK) {
        mg_free(s);
        return rc;
    }
    *session = &s->base;
    *out = &call->base;
    return MG_OK;
}

static int end(mg_db_call **out, mg_db_session *session, bool commit, mg_db_done_cb on_done,
               void *arg) {
    mg_sqlite *p = (mg_sqlite *)session->database;
    mg_sqlite_call *call = new_call(p, MG_SQLITE_END, NULL);
    call->session = (mg_sqlite_session *)session;
    call->commit = commit;
    *out = &call->base;
    return submit(p, call, false, on_done, arg);
}

static int open_rows(mg_db_call **out, mg_database *d, const mg_db_statement *s,
                     mg_db_session **session, mg_db_done_cb on_done, void *arg) {
    mg_sqlite *p = (mg_sqlite *)d;
    const char *code = "error";
    const char *refusal = s->session == NULL
                              ? refusal_of(s, &code)
                              : "rows cannot be fetched piece by piece inside a transaction";
    mg_sqlite_call *call = new_call(p, MG_SQLITE_OPEN_ROWS, refusal == NULL ? s : NULL);
    mg_sqlite_session *made = new_session(p, call, true);
    made->piecewise = true;
    call->nested = s->nested;
    call->max_rows = s->max_rows;
    *session = &made->base;
    *out = &call->base;
    if (refusal != NULL) {
        return refuse(p, call, code, refusal, on_done, arg);
    }
    int rc = submit(p, call, for_writer(p, call), on_done, arg);
    if (rc != MG_OK) {
        mg_free(made);
    }
    return rc;
}

static int fetch(mg_db_call **out, mg_db_session *session, uint32_t max_rows, mg_db_done_cb on_done,
                 void *arg) {
    mg_sqlite *p = (mg_sqlite *)session->database;
    mg_sqlite_call *call = new_call(p, MG_SQLITE_FETCH, NULL);
    call->session = (mg_sqlite_session *)session;
    call->max_rows = max_rows;
    *out = &call->base;
    return submit(p, call, false, on_done, arg);
}

// --- results -----------------------------------------------------------------

static void forget_session(const mg_link *list, const mg_sqlite_session *s) {
    for (mg_link *l = list->next; l != list; l = l->next) {
        mg_sqlite_call *call = MG_OF(l, mg_sqlite_call, link);
        call->session = call->session == s ? NULL : call->session;
    }
}

// With the lock held. Calls of it may be finished but not delivered yet.
static void free_session(mg_sqlite *p, mg_sqlite_session *s) {
    forget_session(&p->finished, s);
    forget_session(&p->ready, s);
    mg_link_remove(&s->link);
    p->sessions--;
    mg_free(s);
}

void mg_sqlite_free_left(mg_sqlite *p) {
    while (!mg_link_alone(&p->left)) {
        free_session(p, MG_OF(p->left.next, mg_sqlite_session, link));
    }
}

static void deliver(mg_sqlite *p, mg_sqlite_call *call) {
    const mg_db_fault *fault = call->result.fault.code == NULL ? NULL : &call->result.fault;
    if (mg_sqlite_opens(call)) {
        call->session->opening = NULL;
    }
    p->faults += fault != NULL;
    call->on_done(call->arg, fault == NULL ? &call->result.rows : NULL, fault);
    if (mg_sqlite_made_none(call)) {
        pthread_mutex_lock(&p->lock);
        free_session(p, call->session);
        pthread_mutex_unlock(&p->lock);
    }
    mg_sqlite_call_free(call);
}

void mg_sqlite_on_wake(void *arg) {
    mg_sqlite *p = arg;
    mg_link *l;
    pthread_mutex_lock(&p->lock);
    while ((l = mg_link_shift(&p->finished)) != NULL) {
        mg_link_append(&p->ready, l);
    }
    mg_sqlite_free_left(p);
    mg_wake_expect(p->wake, moving(p));
    pthread_mutex_unlock(&p->lock);
    p->delivering = true;
    while ((l = mg_link_shift(&p->ready)) != NULL) {
        deliver(p, MG_OF(l, mg_sqlite_call, link));
    }
    p->delivering = false;
}

// --- giving up ---------------------------------------------------------------

// With the lock held.
static void drop_session(mg_sqlite_session *s) {
    s->dropped = true;
    pthread_cond_signal(&s->thread->nudge);
}

// With the lock held. What becomes of the session of a call that is no more.
static void give_up_session(mg_sqlite *p, mg_sqlite_call *call) {
    mg_sqlite_session *s = call->session;
    bool ended = call->kind == MG_SQLITE_END && call->state == MG_SQLITE_FINISHED;
    if (s == NULL || ended) {
        return;
    }
    if (mg_sqlite_opens(call) && s->thread == NULL) {
        mg_link_append(&p->left, &s->link);
    } else if (mg_sqlite_opens(call) || call->kind == MG_SQLITE_END) {
        drop_session(s);
    } else {
        s->aborted = true;
    }
}

// With the lock held. True: the call is the caller's to free; else its thread does.
static bool withdraw(mg_sqlite *p, mg_sqlite_call *call) {
    if (call->state == MG_SQLITE_RUNNING) {
        call->cancelled = true;
        mg_sqlite_conn_interrupt(&call->thread->conn);
        return false;
    }
    p->queued -= call->state == MG_SQLITE_QUEUED;
    mg_link_remove(&call->link);
    return true;
}

static void cancel(mg_db_call *base) {
    mg_sqlite_call *call = (mg_sqlite_call *)base;
    mg_sqlite *p = (mg_sqlite *)base->database;
    p->cancelled++;
    pthread_mutex_lock(&p->lock);
    give_up_session(p, call);
    bool ours = withdraw(p, call);
    mg_sqlite_free_left(p);
    mg_wake_expect(p->wake, moving(p));
    pthread_mutex_unlock(&p->lock);
    if (ours) {
        mg_sqlite_call_free(call);
    }
}

static void withdraw_from(mg_sqlite_session *s, mg_link *list) {
    for (mg_link *l = list->next; l != list;) {
        mg_sqlite_call *call = MG_OF(l, mg_sqlite_call, link);
        l = l->next;
        if (call->session == s && call->kind != MG_SQLITE_END &&
            withdraw((mg_sqlite *)s->base.database, call)) {
            mg_sqlite_call_free(call);
        }
    }
}

static void drop(mg_db_session *base) {
    mg_sqlite_session *s = (mg_sqlite_session *)base;
    mg_sqlite *p = (mg_sqlite *)base->database;
    if (s->opening != NULL) {
        cancel(&s->opening->base);
        return;
    }
    pthread_mutex_lock(&p->lock);
    withdraw_from(s, &s->calls);
    withdraw_from(s, &p->finished);
    withdraw_from(s, &p->ready);
    mg_sqlite_call *current = s->thread->current;
    if (current != NULL) {
        withdraw(p, current);
    }
    drop_session(s);
    mg_wake_expect(p->wake, true);
    pthread_mutex_unlock(&p->lock);
}

static void read_stats(const mg_database *d, mg_database_stats *out) {
    mg_sqlite *p = (mg_sqlite *)d; // only its lock changes
    pthread_mutex_lock(&p->lock);
    *out = (mg_database_stats){
        .queued = p->queued,
        .sessions = p->sessions,
        .statements = p->statements,
        .faults = p->faults,
        .cancelled = p->cancelled,
    };
    for (uint32_t i = 0; i < p->count; i++) {
        const mg_sqlite_thread *t = &p->threads[i];
        out->connections += t->conn.db != NULL;
        out->busy += t->current != NULL || t->session != NULL;
    }
    pthread_mutex_unlock(&p->lock);
}
