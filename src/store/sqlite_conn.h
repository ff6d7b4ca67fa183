// store/sqlite_conn.h: one SQLite connection. It belongs to one thread; only the interrupt may come
// from another.
#pragma once

#include "base/list.h"
#include "store/sqlite_result.h"

#include <pthread.h>
#include <stdatomic.h>

enum { MG_SQLITE_BUCKETS = 256 };

typedef struct mg_sqlite_stmt mg_sqlite_stmt;

typedef struct mg_sqlite_settings {
    char *path;
    uint32_t busy_ms;
    uint32_t statements; // prepared ones that are kept
    bool memory;
} mg_sqlite_settings;

// Zeroed it is closed; the fields above `db` are the owner's to set.
typedef struct mg_sqlite_conn {
    const mg_sqlite_settings *settings;
    pthread_mutex_t *lock; // guards `db` against the interrupt; not held while SQLite works
    pthread_cond_t *nudge; // ends a wait for a foreign lock early
    bool writer;

    sqlite3 *db; // NULL: closed
    bool broken; // to be closed once nothing of it is in use
    atomic_bool stop;
    uint64_t until_ms;   // what runs is stopped then; 0: never
    uint64_t waiting_ms; // for a foreign lock, since then
    bool judging;
    const char *refused; // what the judge had against a statement

    mg_link recent; // the statements kept, oldest use first
    mg_sqlite_stmt *buckets[MG_SQLITE_BUCKETS];
    uint32_t kept;
} mg_sqlite_conn;

// False: `r` has the fault, and the connection is closed.
bool mg_sqlite_conn_open(mg_sqlite_conn *c, mg_sqlite_result *r);
void mg_sqlite_conn_close(mg_sqlite_conn *c); // harmless on a closed one

// Makes what runs end soon. Any thread, with the lock held; `stop` is cleared by who starts the
// next.
void mg_sqlite_conn_interrupt(mg_sqlite_conn *c);

// Runs a statement of this room's own, which is not judged.
bool mg_sqlite_conn_command(mg_sqlite_conn *c, const char *sql, mg_sqlite_result *r);

uint64_t mg_sqlite_now_ms(void);
