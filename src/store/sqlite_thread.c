// The threads' side: takes a call, runs it on the thread's own connection, hands back the result.

#include "base/mem.h"
#include "event/descriptors.h"
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

// --- whose turn it is: with the lock held ------------------------------------

static mg_sqlite_thread *take_idle(mg_sqlite *p, mg_sqlite_role role) {
    mg_link *l = mg_link_shift(&p->idle[role]);
    return l == NULL ? NULL : MG_OF(l, mg_sqlite_thread, idle);
}

static bool all_hold_sessions(const mg_sqlite *p) {
    for (uint32_t i = 1; i <= p->readers; i++) {
        const mg_sqlite_session *s = p->threads[i].session;
        if (s == NULL || s->dropped) {
            return false;
        }
    }
    return true;
}

mg_sqlite_thread *mg_sqlite_rouse(mg_sqlite *p, bool opening) {
    mg_sqlite_thread *t = take_idle(p, MG_SQLITE_READER);
    bool reserve = t == NULL && !opening && all_hold_sessions(p);
    return reserve ? take_idle(p, MG_SQLITE_RESERVE) : t;
}

// On the loop.
static mg_sqlite_thread *start_spare(mg_sqlite *p) {
    uint32_t i = p->readers + 2;
    while (i < p->count && p->threads[i].started) {
        i++;
    }
    if (i >= p->count || !mg_descriptors_room(p->loop, MG_SQLITE_DESCRIPTORS) ||
        mg_sqlite_start_thread(&p->threads[i]) != MG_OK) {
        return NULL;
    }
    p->descriptors += MG_SQLITE_DESCRIPTORS;
    mg_descriptors_hold(p->loop, MG_SQLITE_DESCRIPTORS);
    return &p->threads[i];
}

mg_sqlite_thread *mg_sqlite_take_free(mg_sqlite *p) {
    mg_sqlite_thread *t = take_idle(p, MG_SQLITE_READER);
    t = t == NULL ? take_idle(p, MG_SQLITE_SPARE) : t;
    return t == NULL ? start_spare(p) : t;
}

static mg_sqlite_call *first(const mg_link *queue) {
    return mg_link_alone(queue) ? NULL : MG_OF(queue->next, mg_sqlite_call, link);
}

// What a reader does next: whatever was asked for first.
static mg_sqlite_call *first_read(const mg_sqlite *p) {
    mg_sqlite_call *statement = first(&p->reads);
    mg_sqlite_call *opening = first(&p->openings);
    if (statement == NULL || opening == NULL) {
        return statement == NULL ? opening : statement;
    }
    return statement->number < opening->number ? statement : opening;
}

mg_sqlite_call *mg_sqlite_first_of(const mg_sqlite_thread *t) {
    const mg_sqlite *p = t->pool;
    if (t->session != NULL) {
        return first(&t->session->calls);
    }
    switch (t->role) {
    case MG_SQLITE_WRITER:
        return first(&p->writes);
    case MG_SQLITE_READER:
        return mg_link_alone(&t->given) ? first_read(p) : first(&t->given);
    case MG_SQLITE_RESERVE:
        return all_hold_sessions(p) ? first(&p->reads) : NULL;
    default:
        return first(&t->given);
    }
}

static mg_sqlite_call *next_call(mg_sqlite_thread *t) {
    mg_sqlite_call *call = mg_sqlite_first_of(t);
    if (call != NULL) {
        mg_link_remove(&call->link);
    }
    return call;
}

// The last reader has just got a session: the statements that wait are the reserve's.
static void rouse_reserve(mg_sqlite *p) {
    mg_sqlite_thread *t =
        mg_link_alone(&p->reads) || !all_hold_sessions(p) ? NULL : take_idle(p, MG_SQLITE_RESERVE);
    if (t != NULL) {
        pthread_cond_signal(&t->nudge);
    }
}

// One with a session is woken by name.
static void sleep_until_nudged(mg_sqlite_thread *t) {
    if (t->session == NULL) {
        mg_link *list = &t->pool->idle[t->role];
        t->idle.prev = list;
        t->idle.next = list->next;
        t->idle.next->prev = &t->idle;
        list->next = &t->idle;
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
        rouse_reserve(p);
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
    pthread_cond_signal(&p->threads[0].nudge);
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
    } else if (mg_sqlite_made_none(call) && !call->cancelled) {
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

// No statement of a script may say this.
static void run_savepoint(mg_sqlite_thread *t, mg_sqlite_call *call) {
    char *sql = mg_strndup(call->statement.sql.p, call->statement.sql.n);
    (void)mg_sqlite_conn_command(&t->conn, sql, &call->result);
    mg_free(sql);
}

static outcome query(mg_sqlite_thread *t, mg_sqlite_call *call) {
    mg_sqlite_result *r = &call->result;
    mg_sqlite_session *session = call->session;
    if (session != NULL && !usable(t, call)) {
        return FINISHED;
    }
    if (session != NULL && call->statement.savepoint) {
        run_savepoint(t, call);
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

// The connection that writes is not held while somebody reads.
static void run_whole(mg_sqlite_thread *t, mg_sqlite_stmt *s, mg_sqlite_call *call) {
    mg_sqlite_piece piece = whole(call);
    if (!mg_sqlite_bind(&t->conn, s, &call->statement, false, &call->result)) {
        return;
    }
    if (s->returns) {
        run_returning(t, s, call);
    } else {
        mg_sqlite_run(&t->conn, s, &piece, &call->result);
    }
}

// Keeps the statement in the session if there is more of it.
static void run_first_piece(mg_sqlite_thread *t, mg_sqlite_stmt *s, mg_sqlite_call *call) {
    mg_sqlite_result *r = &call->result;
    mg_sqlite_piece piece = {
        .max_bytes = call->statement.max_bytes,
        .enough_bytes = PIECE_BYTES,
        .max_rows = call->max_rows,
    };
    if (mg_sqlite_bind(&t->conn, s, &call->statement, true, r) &&
        mg_sqlite_run(&t->conn, s, &piece, r) && r->rows.more) {
        call->session->rows = s;
        call->session->rows_bytes = piece.max_bytes;
    }
}

static outcome open_rows(mg_sqlite_thread *t, mg_sqlite_call *call) {
    mg_sqlite_conn *c = &t->conn;
    mg_sqlite_stmt *s = mg_sqlite_prepare(c, call->statement.sql, &call->result);
    if (s == NULL) {
        return FINISHED;
    }
    outcome how = !s->readonly && !c->writer ? HAND_OVER : FINISHED;
    if (c->writer) {
        run_whole(t, s, call);
    } else if (how == FINISHED) {
        run_first_piece(t, s, call);
    }
    if (call->session->rows == NULL) {
        mg_sqlite_release(c, s);
    }
    return how;
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
        release_rows(t, session);
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
