// store/sqlite_stmt.h: prepared statements of one connection: kept by their text, the ones used
// least recently go first.
#pragma once

#include "store/sqlite_conn.h"

struct mg_sqlite_stmt {
    mg_link recent; // alone while it is in use
    mg_sqlite_stmt *next;
    mg_str sql; // owned
    uint64_t hash;
    sqlite3_stmt *stmt;
    bool kept;
    bool readonly;
    bool returns;     // changes rows and shows them
    uint32_t wants;   // values
    uint16_t *places; // SQLite's parameter i takes value places[i]; NULL: value i
    bool *booleans;   // of the columns; NULL: not known yet
    int prepared;     // how often SQLite had prepared it anew when that was read
};

// How far a run goes: to the end, or until one of these is reached.
typedef struct mg_sqlite_piece {
    uint64_t max_bytes; // beyond: a fault
    uint64_t enough_bytes;
    uint32_t max_rows;
} mg_sqlite_piece;

// The text without blanks, comments and semicolons in front.
mg_str mg_sqlite_skip_blank(mg_str sql);

// NULL: `r` has the fault. A statement is in the caller's hands until it is released.
mg_sqlite_stmt *mg_sqlite_prepare(mg_sqlite_conn *c, mg_str sql, mg_sqlite_result *r);
void mg_sqlite_release(mg_sqlite_conn *c, mg_sqlite_stmt *s); // accepts NULL

// Binds the values, which are borrowed until the release (`copy`: not at all).
bool mg_sqlite_bind(mg_sqlite_conn *c, mg_sqlite_stmt *s, const mg_db_statement *values, bool copy,
                    mg_sqlite_result *r);

// Steps and fills `r`; rows.more says that it stopped before the end.
bool mg_sqlite_run(mg_sqlite_conn *c, mg_sqlite_stmt *s, const mg_sqlite_piece *piece,
                   mg_sqlite_result *r);

void mg_sqlite_forget_statements(mg_sqlite_conn *c);
