// store/postgres_conn.h: one connection to a PostgreSQL server, and what is sent over it.
//
// Its pool owns it; closed, it is freed when nobody up the stack can use it any more.
#pragma once

#include "event/deadline.h"
#include "event/dns.h"
#include "event/poll.h"
#include "store/postgres_call.h"

typedef enum mg_pg_conn_state {
    MG_PG_RESOLVING,
    MG_PG_CONNECTING,
    MG_PG_OPEN,
    MG_PG_CLOSED,
} mg_pg_conn_state;

enum { MG_PG_BUCKETS = 64 };

typedef enum mg_pg_copy_state {
    MG_PG_COPY_BEGUN, // the server has not answered
    MG_PG_COPY_GIVES,
    MG_PG_COPY_TAKES,
    MG_PG_COPY_ENDS, // what comes of it is awaited
} mg_pg_copy_state;

struct mg_pg_conn {
    mg_pg *pool;
    mg_link link; // in the pool's list, the one used last in front
    mg_pg_conn_state state;
    mg_pg_session *session; // NULL: it is everybody's
    PGconn *pg;
    mg_poll *poll;
    int fd;
    mg_link calls; // the pipeline
    uint32_t in_flight;
    uint32_t unwanted; // of them: what is to be interrupted must be alone with its like
    bool listens;      // it is none of the pool's: postgres_listen.c
    bool reserved;     // for a session: takes nothing more until then
    bool cancelling;   // a cancellation is on its way
    bool shaken;       // there was one, and no round trip since
    bool doomed;       // closes as soon as nothing is under way
    bool reading;
    mg_pg_call *copy; // it is out of the pipeline for this one (postgres_copy.c); NULL: it is not
    mg_pg_copy_state copy_state;
    mg_buf gathered; // of a COPY that gives
    uint64_t born_ms;
    uint64_t taken_ms; // when it was free last
    mg_deadline idle;
    mg_timer timer; // opening: its deadline; else: a look at a statement that nobody waits for

    // while it opens
    mg_dns_lookup *lookup;
    uint32_t next_host; // to be looked up
    uint32_t skip;      // hosts tried in vain before
    uint32_t target_count;
    mg_buf hosts, addresses, ports; // comma separated, as libpq wants them
    char fault[256];

    // statements that are prepared
    mg_pg_prepared *prepared[MG_PG_BUCKETS];
    mg_link used; // the one used last in front
    uint32_t prepared_count, next_number;
    uint32_t tag; // drawn: of the names that they have
};

// --- postgres_conn.c ---

mg_pg_conn *mg_pg_conn_open(mg_pg *p, bool listens);
void mg_pg_conn_close(mg_pg_conn *c);
void mg_pg_conn_lost(mg_pg_conn *c, const char *why); // what is under way fails
void mg_pg_conn_resume(mg_pg_conn *c); // there is a demand, or nothing to hold back any more
void mg_pg_conn_flush(mg_pg_conn *c);  // sends, and watches for what it now waits for

// --- postgres_pipeline.c ---

// Sends; a failure loses the connection, and with it what was under way.
void mg_pg_send(mg_pg_conn *c, mg_pg_call *call);
void mg_pg_read_results(mg_pg_conn *c);
void mg_pg_forget_prepared(mg_pg_conn *c);
void mg_pg_release_prepared(mg_pg_call *call);

void mg_pg_finish_head(mg_pg_conn *c, mg_pg_call *call); // its last result has come
// A result is a fault: of the statement, or of the connection, which is lost then.
void mg_pg_conn_fail_by(mg_pg_conn *c, mg_pg_call *call, const PGresult *r);

// --- postgres_copy.c ---

void mg_pg_copy_begin(mg_pg_conn *c, mg_pg_call *stream); // nothing is under way
void mg_pg_copy_read(mg_pg_conn *c);
void mg_pg_copy_drained(mg_pg_conn *c); // what was written is in the kernel
// The answer to what `call`, the demand, has to write. False: the connection is lost.
bool mg_pg_copy_write(mg_pg_conn *c, mg_str bytes, bool last);
void mg_pg_copy_give_up(mg_pg_conn *c); // nobody reads or writes any more

// Nobody asks for the next piece of its rows: they wait in the kernel, and at the server.
bool mg_pg_holds_back(const mg_pg_conn *c);
