// store/sqlite_inside.h: what sqlite.c (the loop's side) and sqlite_thread.c (the threads') share.
//
// One lock guards it all; it is never held while SQLite works. A call moves
// QUEUED (in a queue of the pool or of its session) -> RUNNING (some thread's `current`) ->
// FINISHED (in `finished`, then on the loop in `ready`) -> delivered and freed.
// A begin takes its thread when it runs; from then on the thread serves only that session, until it
// has ended or was dropped. Then it puts the session into `left`; only the loop frees sessions.
//
// Readers serve statements and sessions. When all of them hold sessions, the reserve serves the
// statements, one by one. Sessions of those who hold one already are given to an idle reader or to
// a spare thread, of which the first so many start when they are needed.
#pragma once

#include "event/wake.h"
#include "store/database_ops.h"
#include "store/sqlite_stmt.h"

typedef struct mg_sqlite mg_sqlite;
typedef struct mg_sqlite_thread mg_sqlite_thread;
typedef struct mg_sqlite_session mg_sqlite_session;

typedef enum mg_sqlite_kind {
    MG_SQLITE_QUERY,
    MG_SQLITE_BEGIN,
    MG_SQLITE_OPEN_ROWS,
    MG_SQLITE_FETCH,
    MG_SQLITE_END,
} mg_sqlite_kind;

typedef struct mg_sqlite_call {
    mg_db_call base;
    mg_link link;
    mg_sqlite_kind kind;
    enum { MG_SQLITE_QUEUED, MG_SQLITE_RUNNING, MG_SQLITE_FINISHED } state;
    bool cancelled; // while it ran: nobody wants to hear of it
    bool commit;
    bool nested;
    uint64_t number; // in the order of asking
    bool doomed;     // as `aborted` of its session was when it started
    bool spoils;     // the transaction is not to be committed after this
    uint32_t max_rows;
    mg_sqlite_session *session; // of a query: may be NULL; of an end: gone once it is FINISHED
    mg_sqlite_thread *thread;   // while it is RUNNING
    mg_db_done_cb on_done;
    void *arg;
    mg_sqlite_result result;
    mg_db_statement statement; // points into `copied`
    _Alignas(8) char copied[];
} mg_sqlite_call;

struct mg_sqlite_session {
    mg_db_session base;
    mg_link link;             // in `left`
    mg_link calls;            // in order
    mg_sqlite_call *opening;  // until it is delivered; the loop's
    mg_sqlite_thread *thread; // NULL: none yet, or none any more
    bool write;
    bool dropped;
    bool aborted; // only a rollback is possible

    bool piecewise;       // of open_rows
    mg_sqlite_stmt *rows; // of such a one, until its end; the thread's
    uint64_t rows_bytes;
};

enum { MG_SQLITE_DESCRIPTORS = 2 }; // of a connection: the file and its log

typedef enum mg_sqlite_role {
    MG_SQLITE_WRITER,
    MG_SQLITE_READER,
    MG_SQLITE_RESERVE,
    MG_SQLITE_SPARE,
    MG_SQLITE_ROLES
} mg_sqlite_role;

struct mg_sqlite_thread {
    mg_sqlite *pool;
    mg_sqlite_role role;
    mg_sqlite_conn conn;
    mg_link idle;  // in pool->idle, the one that worked last in front
    mg_link given; // an opening that is this thread's to serve
    pthread_cond_t nudge;
    pthread_t id;
    bool started;
    mg_sqlite_call *current;
    mg_sqlite_session *session;
};

struct mg_sqlite {
    mg_database base;
    mg_loop *loop;
    mg_wake *wake;
    mg_sqlite_settings settings;
    uint32_t queue_max;
    uint32_t descriptors; // counted in the loop

    pthread_mutex_t lock; // guards what follows
    mg_link reads;
    mg_link openings; // of sessions that read
    mg_link writes;   // openings of sessions that write as well
    mg_link idle[MG_SQLITE_ROLES];
    mg_link finished;
    mg_link left;    // sessions that are over
    uint32_t queued; // calls, in all queues
    uint32_t sessions;
    uint64_t asked;
    uint32_t readers;
    bool closing;

    mg_link ready; // the loop's: taken out of `finished`
    bool delivering;
    uint64_t statements, faults, cancelled;
    uint32_t count;
    mg_sqlite_thread threads[]; // the writer, the readers, the reserve, the spare ones
};

void *mg_sqlite_thread_main(void *arg);

// With the lock held: whose nudge is to be signalled now that there is a statement, or an opening,
// for some reader. NULL: whoever is ready first takes it.
mg_sqlite_thread *mg_sqlite_rouse(mg_sqlite *p, bool opening);

// With the lock held: a thread that serves a session at once, or NULL.
mg_sqlite_thread *mg_sqlite_take_free(mg_sqlite *p);

// With the lock held: what the thread does next, or NULL.
mg_sqlite_call *mg_sqlite_first_of(const mg_sqlite_thread *t);

int mg_sqlite_start_thread(mg_sqlite_thread *t); // 0 or a negative code

void mg_sqlite_call_free(mg_sqlite_call *call);

extern const mg_database_ops mg_sqlite_ops;
void mg_sqlite_free(mg_database *d);
void mg_sqlite_on_wake(void *arg);
void mg_sqlite_free_left(mg_sqlite *p); // with the lock held

// It makes a session.
static inline bool mg_sqlite_opens(const mg_sqlite_call *call) {
    return call->kind == MG_SQLITE_BEGIN || call->kind == MG_SQLITE_OPEN_ROWS;
}

// It has made none: a fault, or all rows came at once.
static inline bool mg_sqlite_made_none(const mg_sqlite_call *call) {
    return mg_sqlite_opens(call) &&
           (call->result.fault.code != NULL ||
            (call->kind == MG_SQLITE_OPEN_ROWS && !call->result.rows.more));
}
