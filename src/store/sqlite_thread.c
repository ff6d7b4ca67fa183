// The threads' side: takes a call, runs it on the thread's own connection, hands back the result.

#include "base/mem.h"
#include "store/sqlite_inside.h"

enum { PIECE_BYTES = 1 << 20 };

typedef enum outcome { FINISHED, HAND_OVER } outcome;

static void serve(mg_sqlite_thread *t);
static void perform(mg_sqlite_thread *t, mg_sqlite_call *call);
static void close_broken(mg_sqlite_conn *c);
static void settle(mg_sqlite_thread *t, mg_sqlite_call *call, outcome how);
static void leave_session(mg_sqlite_thread *t);
static outcome run(mg_sqlite_thread *t, mg_sqlite_call *call);

void *mg_sqlite_thread_main(void *arg) {
    mg_sqlite_thread *t = arg;
    pthread_setname_np(pthread_self(), t->conn.writer ? "sqlite-writer" : "sqlite-reader");
    pthread_mutex_lock(&t->pool->lock);
    serve(t);
    pthread_mutex_unlock(&t->pool->lock);
    return NULL;
}

mg_sqlite_thread *mg_sqlite_rouse(mg_sqlite *p, bool writer) {
    if (writer) {
        return &p->threads[0];
    }
    mg_link *l = mg_link_shift(&p->idle);
    return l == NULL ? NULL : MG_OF(l, mg_sqlite_thread, idle);
}

static mg_sqlite_call *next_call(mg_sqlite_thread *t) {
    mg_link *queue = t->conn.writer ? &t->pool->writes : &t->pool->reads;
    if (t->session != NULL) {
        queue = &t->session->calls;
    }
    mg_link *l = mg_link_shift(queue);
    return l == NULL ? NULL : MG_OF(l, mg_sqlite_call, link);
}

// One with a session is woken by name.
static void sleep_until_nudged(mg_sqlite_thread *t) {
    if (!t->conn.writer && t->session == NULL) {
        t->idle.prev = &t->pool->idle;
        t->idle.next = t->pool->idle.next;
        t->idle.next->prev = &t->idle;
        t->pool->idle.next = &t->idle;
    }
    pthread_cond_wait(&t->nudge, &t->pool->lock);
    mg_link_remove(&t->idle);
}

static void serve(mg_sqlite_thread *t) {
    while (!t->pool->closing) {
        if (t->session != NULL && t->session->dropped) {
            leave_session(t);
            continue;
        }
        mg_sqlite_call *call = next_call(t);
        if (call != NULL) {
            perform(t, call);
        } else {
            sleep_until_nudged(t);
        }
    }
}

static void perform(mg_sqlite_thread *t, mg_sqlite_call *call) {
    mg_sqlite *p = t->pool;
    p->queued--;
    call->state = MG_SQLITE_RUNNING;
    call->thread = t;
    t->current = call;
    if (mg_sqlite_opens(call)) {
        t->session = call->session;
        t->session->thread = t;
    }
    call->doomed = t->session != NULL && t->session->aborted;
    atomic_store_explicit(&t->conn.stop, false, memory_order_relaxed);
    pthread_mutex_unlock(&p->lock);
    outcome how = run(t, call);
    close_broken(&t->conn);
    pthread_mutex_lock(&p->lock);
    t->current = NULL;
    call->thread = NULL;
    if (call->spoils) {
        t->session->aborted = true;
    }
    settle(t, call, how);
}

// With the lock held.
static mg_sqlite_session *part(mg_sqlite_thread *t) {
    mg_sqlite_session *s = t->session;
    t->session = NULL;
    s->thread = NULL;
    return s;
}

static void leave(mg_sqlite_thread *t) {
    mg_sqlite_session *s = part(t);
    mg_link_append(&t->pool->left, &s->link);
}

static void finish(mg_sqlite *p, mg_sqlite_call *call) {
    call->state = MG_SQLITE_FINISHED;
    mg_link_append(&p->finished, &call->link);
}

// Nobody wants the result any more: what it began is undone, what it ended is over.
static void settle_cancelled(mg_sqlite_thread *t, mg_sqlite_call *call) {
    if (mg_sqlite_opens(call) && t->session != NULL) {
        t->session->dropped = true;
    }
    mg_sqlite_call_free(call);
    mg_wake_send(t->pool->wake);
}

static void hand_over(mg_sqlite_thread *t, mg_sqlite_call *call) {
    mg_sqlite *p = t->pool;
    if (mg_sqlite_opens(call)) {
        part(t);
    }
    if (call->cancelled) {
        if (mg_sqlite_opens(call)) {
            mg_link_append(&p->left, &call->session->link);
        }
        mg_sqlite_call_free(call);
        return;
    }
    call->state = MG_SQLITE_QUEUED;
    p->queued++;
    mg_link_append(&p->writes, &call->link);
    pthread_cond_signal(&mg_sqlite_rouse(p, true)->nudge);
}

static void settle(mg_sqlite_thread *t, mg_sqlite_call *call, outcome how) {
    mg_sqlite *p = t->pool;
    if (how == HAND_OVER) {
        hand_over(t, call);
        mg_wake_send(p->wake); // the loop looks anew whether anything moves
        return;
    }
    if (call->kind == MG_SQLITE_END) {
        leave(t);
    } else if (mg_sqlite_opens(call) && call->result.fault.code != NULL && !call->cancelled) {
        part(t);
    }
    if (call->cancelled) {
        settle_cancelled(t, call);
        return;
    }
    bool first = mg_link_alone(&p->finished);
    finish(p, call);
    if (first) {
        mg_wake_send(p->wake);
    }
}

// --- without the lock --------------------------------------------------------

static bool ready(mg_sqlite_thread *t, mg_sqlite_result *r) {
    return t->conn.db != NULL || mg_sqlite_conn_open(&t->conn, r);
}

static void release_rows(mg_sqlite_thread *t, mg_sqlite_session *s) {
    mg_sqlite_release(&t->conn, s->rows);
    s->rows = NULL;
}

// Leaves no transaction to the next caller; harmless where there is none.
static void roll_back(mg_sqlite_thread *t) {
    mg_sqlite_conn *c = &t->conn;
    if (c->db == NULL || sqlite3_get_autocommit(c->db)) {
        return;
    }
    mg_sqlite_result unused = {0};
    mg_sqlite_conn_command(c, "ROLLBACK", &unused);
    mg_sqlite_result_deinit(&unused);
    c->broken = !sqlite3_get_autocommit(c->db);
}

static void close_broken(mg_sqlite_conn *c) {
    if (c->broken) {
        mg_sqlite_conn_close(c);
    }
}

// With the lock held. What still waits when the end of its transaction is cancelled.
static void fail_rest(mg_sqlite *p, mg_sqlite_session *s) {
    mg_link *l;
    while ((l = mg_link_shift(&s->calls)) != NULL) {
        mg_sqlite_call *call = MG_OF(l, mg_sqlite_call, link);
        p->queued--;
        mg_sqlite_result_fail(&call->result, "closed", SQLITE_ABORT,
                              "the transaction was given up");
        finish(p, call);
    }
}

// With the lock held, but not throughout.
static void leave_session(mg_sqlite_thread *t) {
    mg_sqlite *p = t->pool;
    mg_sqlite_session *s = t->session;
    atomic_store_explicit(&t->conn.stop, false, memory_order_relaxed);
    pthread_mutex_unlock(&p->lock);
    release_rows(t, s);
    roll_back(t);
    close_broken(&t->conn);
    pthread_mutex_lock(&p->lock);
    fail_rest(p, s);
    leave(t);
    mg_wake_send(p->wake);
}

static bool usable(const mg_sqlite_thread *t, mg_sqlite_call *call) {
    mg_sqlite_result *r = &call->result;
    if (call->doomed) {
        return mg_sqlite_result_fail(r, "error", SQLITE_ABORT,
                                     "a statement of the transaction was given up: it can only be "
                                     "rolled back");
    }
    if (call->session->piecewise) {
        return mg_sqlite_result_fail(r, "error", SQLITE_MISUSE,
                                     "rows that are fetched piece by piece are no transaction");
    }
    if (sqlite3_get_autocommit(t->conn.db)) {
        return mg_sqlite_result_fail(r, "error", SQLITE_ABORT,
                                     "the transaction has been rolled back");
    }
    return true;
}

static mg_sqlite_piece whole(const mg_sqlite_call *call) {
    return (mg_sqlite_piece){
        .max_bytes = call->statement.max_bytes,
        .enough_bytes = UINT64_MAX,
        .max_rows = UINT32_MAX,
    };
}

// Its rows may turn out to be too many when they are changed already.
static bool run_returning(mg_sqlite_thread *t, mg_sqlite_stmt *s, mg_sqlite_call *call) {
    mg_sqlite_conn *c = &t->conn;
    mg_sqlite_piece piece = whole(call);
    if (!mg_sqlite_conn_command(c, "BEGIN IMMEDIATE", &call->result)) {
        return false;
    }
    bool good = mg_sqlite_run(c, s, &piece, &call->result);
    sqlite3_reset(s->stmt);
    good = good && mg_sqlite_conn_command(c, "COMMIT", &call->result);
    roll_back(t);
    return good;
}

static bool may_run(const mg_sqlite_call *call, const mg_sqlite_stmt *s, mg_sqlite_result *r) {
    if (s->readonly || call->session == NULL || call->session->write) {
        return true;
    }
    return mg_sqlite_result_fail(r, "readonly", SQLITE_READONLY,
                                 "the statement writes, but the transaction only reads");
}

static void run_statement(mg_sqlite_thread *t, mg_sqlite_stmt *s, mg_sqlite_call *call) {
    mg_sqlite_result *r = &call->result;
    mg_sqlite_session *session = call->session;
    mg_sqlite_piece piece = whole(call);
    if (!may_run(call, s, r) || !mg_sqlite_bind(&t->conn, s, &call->statement, false, r)) {
        return;
    }
    if (s->returns && session == NULL) {
        run_returning(t, s, call);
    } else if (!mg_sqlite_run(&t->conn, s, &piece, r)) {
        // Then rows were changed already; after its own faults SQLite has undone the statement.
        call->spoils = s->returns && r->fault.native == SQLITE_TOOBIG;
    }
}

static outcome query(mg_sqlite_thread *t, mg_sqlite_call *call) {
    mg_sqlite_result *r = &call->result;
    mg_sqlite_session *session = call->session;
    if (session != NULL && !usable(t, call)) {
        return FINISHED;
    }
    mg_sqlite_stmt *s = mg_sqlite_prepare(&t->conn, call->statement.sql, r);
    if (s == NULL) {
        return FINISHED;
    }
    outcome how = !s->readonly && !t->conn.writer && session == NULL ? HAND_OVER : FINISHED;
    if (how == FINISHED) {
        run_statement(t, s, call);
    }
    mg_sqlite_release(&t->conn, s);
    return how;
}

static void begin(mg_sqlite_thread *t, mg_sqlite_call *call) {
    const char *sql = call->session->write ? "BEGIN IMMEDIATE" : "BEGIN";
    mg_sqlite_conn_command(&t->conn, sql, &call->result);
}

static outcome open_rows(mg_sqlite_thread *t, mg_sqlite_call *call) {
    mg_sqlite_conn *c = &t->conn;
    mg_sqlite_result *r = &call->result;
    mg_sqlite_session *session = call->session;
    mg_sqlite_stmt *s = mg_sqlite_prepare(c, call->statement.sql, r);
    if (s == NULL) {
        return FINISHED;
    }
    if (!s->readonly && !c->writer) {
        mg_sqlite_release(c, s);
        return HAND_OVER;
    }
    if (!mg_sqlite_bind(c, s, &call->statement, true, r) ||
        (!s->readonly && !mg_sqlite_conn_command(c, "BEGIN IMMEDIATE", r))) {
        mg_sqlite_release(c, s);
        return FINISHED;
    }
    session->rows = s;
    session->rows_bytes = call->statement.max_bytes;
    mg_sqlite_result_add_names(r, s->stmt);
    r->rows.more = true;
    return FINISHED;
}

// The end of the rows, or a fault.
static void close_rows(mg_sqlite_thread *t, mg_sqlite_session *session, mg_sqlite_result *r) {
    release_rows(t, session);
    if (r->fault.code == NULL && !sqlite3_get_autocommit(t->conn.db)) {
        mg_sqlite_conn_command(&t->conn, "COMMIT", r);
    }
    roll_back(t);
}

static void fetch(mg_sqlite_thread *t, mg_sqlite_call *call) {
    mg_sqlite_session *session = call->session;
    mg_sqlite_piece piece = {
        .max_bytes = session->rows_bytes,
        .enough_bytes = PIECE_BYTES,
        .max_rows = call->max_rows,
    };
    if (call->doomed) {
        usable(t, call);
        return;
    }
    if (!session->piecewise) {
        mg_sqlite_result_fail(&call->result, "error", SQLITE_MISUSE,
                              "a transaction has no rows to fetch");
        return;
    }
    if (session->rows == NULL) {
        return;
    }
    if (!mg_sqlite_run(&t->conn, session->rows, &piece, &call->result) || !call->result.rows.more) {
        close_rows(t, session, &call->result);
        call->spoils = call->result.fault.code != NULL;
    }
}

static void end(mg_sqlite_thread *t, mg_sqlite_call *call) {
    mg_sqlite_session *session = call->session;
    if (call->commit && !session->piecewise && usable(t, call)) {
        mg_sqlite_conn_command(&t->conn, "COMMIT", &call->result);
    }
    release_rows(t, session);
    roll_back(t);
}

static outcome run(mg_sqlite_thread *t, mg_sqlite_call *call) {
    if (!ready(t, &call->result)) {
        return FINISHED;
    }
    switch (call->kind) {
    case MG_SQLITE_QUERY:
        return query(t, call);
    case MG_SQLITE_OPEN_ROWS:
        return open_rows(t, call);
    case MG_SQLITE_BEGIN:
        begin(t, call);
        break;
    case MG_SQLITE_FETCH:
        fetch(t, call);
        break;
    case MG_SQLITE_END:
        end(t, call);
        break;
    }
    return FINISHED;
}
