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
#include "base/str.h"
#include "event/loop.h"

typedef struct mg_database mg_database;
typedef struct mg_db_session mg_db_session; // a transaction, or a result that is read row by row
typedef struct mg_db_call mg_db_call;

typedef enum mg_db_kind {
    MG_DB_NULL,
    MG_DB_I64,
    MG_DB_DOUBLE,
    MG_DB_BOOL,
    MG_DB_TEXT,
    MG_DB_BLOB,
    MG_DB_JSON, // of a result: the text of a JSON value
} mg_db_kind;

typedef struct mg_db_value {
    mg_db_kind kind;
    union {
        int64_t i64; // BOOL too: 0 or 1
        double number;
        mg_str text; // TEXT, BLOB, JSON
    };
} mg_db_value;

// A finished result: `rows` rows of `columns` values, row by row. Owned by the call.
typedef struct mg_db_rows {
    uint32_t columns;
    uint32_t rows;
    const mg_str *names;       // of the columns
    const mg_db_value *values; // rows * columns
    int64_t affected;          // rows changed by an INSERT, UPDATE or DELETE; 0 for others
    int64_t last_id;           // of the last row inserted, 0: none
    bool more;                 // of a result read piecewise: there is more to come
} mg_db_rows;

// What a server tells of a fault besides its message.
typedef enum mg_db_field {
    MG_DB_SQLSTATE,
    MG_DB_DETAIL,
    MG_DB_HINT,
    MG_DB_POSITION, // in the statement, in characters from 1
    MG_DB_SCHEMA,
    MG_DB_TABLE,
    MG_DB_COLUMN,
    MG_DB_CONSTRAINT, // its name
    MG_DB_FIELDS
} mg_db_field;

typedef struct mg_db_fault {
    // Static: "constraint", "syntax", "busy", "limit", "readonly", "closed", "error".
    const char *code;
    const char *message;
    int native;                       // the library's own number
    const char *fields[MG_DB_FIELDS]; // NULL: not told
} mg_db_fault;

// One of `rows` and `fault` is NULL; both are borrowed for the call.
typedef void (*mg_db_done_cb)(void *arg, const mg_db_rows *rows, const mg_db_fault *fault);

typedef struct mg_db_statement {
    mg_str sql; // one statement; `$1`, `$2` ... are its parameters
    const mg_db_value *values;
    uint32_t count;
    uint64_t max_bytes;     // of the result; beyond it fault "limit"; 0: MG_DB_RESULT_MAX
    mg_db_session *session; // NULL: any connection; of open_rows always so
    uint32_t max_rows;      // of open_rows: how many of them come at once
    bool nested;            // of open_rows: who asks holds a session
} mg_db_statement;

enum { MG_DB_WRITE = 1, MG_DB_NESTED = 2 }; // of a begin

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

// Begins a transaction on a connection of its own (`flags`: MG_DB_WRITE, one that may change rows;
// MG_DB_NESTED). `*session` is usable once `on_done` came without a fault.
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
