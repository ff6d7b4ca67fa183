// store/postgres_call.h: calls and sessions of a PostgreSQL pool.
//
// A call moves QUEUED (in a queue of the pool, or of its session) -> SENT (in its connection's
// pipeline) -> READY (in the pool's list) -> delivered and freed. A call that nobody waits for any
// more (`on_done` NULL) is freed instead.
#pragma once

#include "base/list.h"
#include "store/database_ops.h"
#include "store/postgres_result.h"

typedef struct mg_pg mg_pg;
typedef struct mg_pg_conn mg_pg_conn;
typedef struct mg_pg_session mg_pg_session;

typedef enum mg_pg_kind {
    MG_PG_QUERY,
    MG_PG_BEGIN,
    MG_PG_OPEN_ROWS, // waits for the first piece of what its session's `stream` gives
    MG_PG_COPY,      // likewise, in a transaction
    MG_PG_FETCH,     // for another one
    MG_PG_WRITE,     // for room in what a COPY takes, or for its end
    MG_PG_END,
    MG_PG_STREAM, // ours: the statement whose rows come piece by piece
    MG_PG_PLAIN,  // ours: a statement without parameters
    MG_PG_SYNC,   // ours: nothing but a round trip
} mg_pg_kind;

typedef struct mg_pg_prepared mg_pg_prepared;

typedef struct mg_pg_call {
    mg_db_call base;
    mg_link link;
    mg_pg_kind kind;
    enum { MG_PG_QUEUED, MG_PG_SENT, MG_PG_READY } state;
    mg_pg *pool;
    mg_pg_conn *conn;       // while it is sent
    mg_pg_session *session; // may be NULL
    mg_db_done_cb on_done;  // NULL: nobody waits
    void *arg;
    uint64_t since_ms; // in the queue, then at the head of the pipeline
    bool parses;       // its statement is prepared on the way
    bool parsed;
    bool commit; // of an end
    bool again;  // it was sent a second time
    bool more;   // of rows
    mg_pg_prepared *prepared;
    mg_pg_result result;
    mg_db_statement statement; // points into `copied`
    _Alignas(8) char copied[];
} mg_pg_call;

// --- sessions ---

struct mg_pg_session {
    mg_db_session base;
    mg_pg *pool;
    mg_pg_conn *conn;    // NULL: not yet, or lost
    mg_link queue;       // calls that are not sent yet
    mg_pg_call *opening; // until it is delivered
    mg_pg_call *stream;  // of rows: the statement under way
    mg_pg_call *demand;  // who waits for a piece of it
    bool nested;
    bool transaction; // it does not end with its stream
    bool lost;
    bool aborted;  // only a rollback is possible
    bool finished; // its last statement is queued: it ends once that is through
};

// --- postgres.c ---

void mg_pg_deliver(mg_pg *p);         // what is ready; not inside a call of the pool's user
void mg_pg_ready(mg_pg_call *call);   // its result is whole
void mg_pg_requeue(mg_pg_call *call); // in front: it had no effect
void mg_pg_call_free(mg_pg_call *call);
mg_pg_call *mg_pg_own_call(mg_pg *p, mg_pg_kind kind, mg_str sql);
mg_pg_call *mg_pg_stream_call(const mg_pg_call *call); // the statement of an open_rows
void mg_pg_session_free(mg_pg_session *s);
void mg_pg_piece(mg_pg_session *s, mg_pg_result *from, bool last); // meets the demand
