// store/database.h: a database as seen from the loop: statements in, rows out, later. What is
// behind it (SQLite today) is a table of functions, as with streams.
//
// An mg_database owns its connections and their queue. Sessions hold a connection from one call to
// the next, statements alone do not: however many sessions there are, a statement that reads goes
// on. Whoever holds a session and asks for another one (`nested`) is never made to wait behind
// other sessions, whose holders may wait likewise: it gets a connection now, or is refused.
//
//  A call is heap memory of this room; its
// `on_done` comes exactly once on the loop, never inside the call that started it, unless it is
// cancelled: then never.
#pragma once

#include "base/error.h"
#include "event/loop.h"
#include "store/database_values.h"

typedef struct mg_database mg_database;
typedef struct mg_db_session mg_db_session; // a transaction, or a result that is read row by row
typedef struct mg_db_call mg_db_call;

// One of `rows` and `fault` is NULL; both are borrowed for the call.
typedef void (*mg_db_done_cb)(void *arg, const mg_db_rows *rows, const mg_db_fault *fault);

// COPY, whose data goes as it is (PostgreSQL).
typedef enum mg_db_copy { MG_DB_NO_COPY, MG_DB_COPY_OUT, MG_DB_COPY_IN } mg_db_copy;

typedef struct mg_db_statement {
    mg_str sql; // one statement; `$1`, `$2` ... are its parameters
    const mg_db_value *values;
    uint32_t count;
    uint64_t max_bytes;     // of the result; beyond it fault "limit"; 0: MG_DB_RESULT_MAX
    mg_db_session *session; // NULL: any connection; of open_rows always so
    uint32_t max_rows;      // of open_rows: how many of them come at once
    bool nested;            // of open_rows: who asks holds a session
    mg_db_copy copy;        // of open_rows, and of a session's statement
    const uint32_t *raw;    // `raw_count` types whose values are wanted as the server writes them
    uint32_t raw_count;
    bool savepoint; // of a session: it makes, releases or goes back to one
} mg_db_statement;

// Of a begin. SQLite isolates as serializable whatever is said.
enum {
    MG_DB_WRITE = 1, // it may change rows
    MG_DB_NESTED = 2,
    MG_DB_READ_COMMITTED = 4,
    MG_DB_REPEATABLE_READ = 8,
    MG_DB_SERIALIZABLE = 16,
    MG_DB_DEFERRABLE = 32, // serializable and only reading: it waits until it cannot fail
};

enum {
    MG_DB_RESULT_MAX = 64 << 20,
    MG_DB_SQL_MAX = 1 << 20,
    MG_DB_PARAMETERS_MAX = 32766,
};

typedef struct mg_database_stats {
    uint32_t connections, busy, queued, sessions;
    uint64_t statements, faults, cancelled;
} mg_database_stats;

// Runs a statement; texts are copied. MG_OK, or MG_ELIMIT (the queue is full), MG_ECLOSED: then no
// call comes.
int mg_database_query(mg_db_call **out, mg_database *d, const mg_db_statement *s,
                      mg_db_done_cb on_done, void *arg);

// Begins a transaction on a connection of its own (`flags`: as above). `*session` is usable once
// `on_done` came without a fault.
int mg_database_begin(mg_db_call **out, mg_database *d, unsigned flags, mg_db_session **session,
                      mg_db_done_cb on_done, void *arg);

// Ends it: commit or roll back. The session is gone at once, for the caller; after a fault of a
// commit the transaction has been rolled back.
int mg_database_end(mg_db_call **out, mg_db_session *session, bool commit, mg_db_done_cb on_done,
                    void *arg);

// A statement whose rows are fetched piece by piece: `*session` holds the connection until it is
// dropped. The first `max_rows` come with on_done; `more` false: these are all, and there is no
// session. So it is with every statement that writes (it is committed then), and with a database in
// memory, which has one connection only. Each fetch gives up to `max_rows`; `more` false: that was
// the last.
int mg_database_open_rows(mg_db_call **out, mg_database *d, const mg_db_statement *s,
                          mg_db_session **session, mg_db_done_cb on_done, void *arg);
int mg_database_fetch(mg_db_call **out, mg_db_session *session, uint32_t max_rows,
                      mg_db_done_cb on_done, void *arg);

// COPY is an open_rows whose statement says `copy`. What it gives (MG_DB_COPY_OUT) are pieces of
// some 64 KiB, each a row of one value, and whole lines if it is text. What it takes
// (MG_DB_COPY_IN) is written once open_rows is done, with `more`: `on_done` comes when there is
// room for the next write. With `last` it comes when all is committed, and tells what was affected;
// dropped before, nothing of it is kept. One write at a time. In a transaction it is a query that
// says `copy`, and fetches and writes are its session's; until its end there is no other statement.
int mg_database_write(mg_db_call **out, mg_db_session *session, mg_str bytes, bool last,
                      mg_db_done_cb on_done, void *arg);

// Rolls back and gives the connection back, whatever is under way in it (which is interrupted; its
// on_done does not come). No call comes of this.
void mg_database_drop(mg_db_session *session);

// Interrupts the statement, or takes it out of the queue. A session it belongs to stays usable, but
// its transaction can then only be rolled back; a begin or open_rows takes its session with it. Not
// to be called after on_done.
void mg_database_cancel(mg_db_call *call);

// While a transaction may write, every other statement that writes waits for its end.
bool mg_database_has_one_writer(const mg_database *d);

void mg_database_read_stats(const mg_database *d, mg_database_stats *out);

// Interrupts what runs, waits for the threads, closes. on_done of pending calls does not come.
// Not inside an on_done. Accepts NULL.
void mg_database_free(mg_database *d);
