// store/postgres_inside.h: what the files of PostgreSQL's half know of each other.
//
//   postgres.c           the calls and sessions: what mg_database_ops asks for
//   postgres_pool.c      which connection serves which, when one is opened
//   postgres_conn.c      one connection: its opening, its bytes, its end
//   postgres_pipeline.c  what is sent over it, and the results, in the same order
//   postgres_copy.c      a COPY, for which a connection leaves its pipeline
//   postgres_listen.c    channels, and the connection that hears of them
//   postgres_result.c    a result as values
//   postgres_cancel.c    interrupts a statement, from a thread
//   postgres_settings.c  what a URL asks for
#pragma once

#include "base/random.h"
#include "store/postgres_conn.h"
#include "store/postgres_settings.h"

typedef struct mg_pg_canceller mg_pg_canceller;

typedef struct mg_pg_listening {
    mg_link channels;
    mg_pg_conn *conn; // NULL: there is none
    mg_timer soon;    // who came when it listened already is told
} mg_pg_listening;

struct mg_pg {
    mg_database base;
    mg_loop *loop;
    mg_pg_settings settings;
    mg_dns *dns;
    mg_link conns;
    mg_link dead; // closed ones: nobody up the stack may still use them when they are freed
    uint32_t conn_count, opening_count, session_count;
    mg_link statements; // queued
    mg_link openings;   // queued: of sessions
    uint32_t queued;
    mg_link ready;
    bool delivering, pumping;
    bool impatient;
    mg_deadlines idle;
    mg_timer soon;     // what became ready inside a call of ours is delivered
    mg_timer waiting;  // the oldest call that is queued has waited too long
    mg_timer retry;    // not before that is a connection tried again
    uint32_t failures; // to open one, in a row
    char last_fault[320];
    uint64_t heard_ms; // when the server said something last
    mg_random random;
    mg_pg_canceller *canceller;
    mg_pg_listening listening;
    uint64_t sent, faults, cancelled;
};

// --- postgres_pool.c ---

enum { MG_PG_SPARE = 4 }; // connections beyond the pool, for those who hold one already

void mg_pg_pump(mg_pg *p); // gives work to connections, and opens them
void mg_pg_opened(mg_pg_conn *c);
void mg_pg_not_opened(mg_pg *p, const char *fault, bool hopeless); // `hopeless`: so says the server
void mg_pg_interrupt(mg_pg_conn *c); // what is under way, if nobody waits for any of it
void mg_pg_calm(mg_pg_conn *c);      // a cancellation has arrived, or what it was for is over
void mg_pg_disown(mg_pg_call *call); // nobody waits for it any more

// --- postgres_listen.c ---

int mg_pg_listen(mg_db_listener **out, mg_database *d, mg_str channel, mg_db_note_cb on_note,
                 void *arg);
void mg_pg_unlisten(mg_db_listener *l);
bool mg_pg_listens(const mg_pg *p);                   // there is a connection for it, open
void mg_pg_listen_pump(mg_pg *p);                     // opens the connection, if it is wanted
void mg_pg_listen_begin(mg_pg_conn *c);               // it is open
void mg_pg_listen_read(mg_pg_conn *c);                // what was told
void mg_pg_listen_lost(mg_pg *p);                     // its connection is closed
void mg_pg_listen_refused(mg_pg *p, const char *why); // the server said no
void mg_pg_listen_end(mg_pg *p);                      // all listeners are gone

// --- postgres_cancel.c ---

mg_pg_canceller *mg_pg_canceller_new(mg_loop *loop, void (*on_done)(mg_pg_conn *c));
void mg_pg_canceller_free(mg_pg_canceller *k); // its thread ends by itself. Accepts NULL
// Asks the server to interrupt what `c` is at; on_done(c) follows, unless it is forgotten. False:
// that cannot be done.
bool mg_pg_cancel(mg_pg_canceller *k, mg_pg_conn *c);
void mg_pg_cancel_forget(mg_pg_canceller *k, const mg_pg_conn *c);
