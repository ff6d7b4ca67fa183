// store/database_ops.h: one kind of database, seen from database.c. Not for other rooms.
//
// A kind embeds these structs at the front of its own and fills them.
#pragma once

#include "store/database_listen.h"

typedef struct mg_database_ops {
    int (*query)(mg_db_call **out, mg_database *d, const mg_db_statement *s, mg_db_done_cb on_done,
                 void *arg);
    int (*begin)(mg_db_call **out, mg_database *d, unsigned flags, mg_db_session **session,
                 mg_db_done_cb on_done, void *arg);
    int (*end)(mg_db_call **out, mg_db_session *session, bool commit, mg_db_done_cb on_done,
               void *arg);
    int (*open_rows)(mg_db_call **out, mg_database *d, const mg_db_statement *s,
                     mg_db_session **session, mg_db_done_cb on_done, void *arg);
    int (*fetch)(mg_db_call **out, mg_db_session *session, uint32_t max_rows, mg_db_done_cb on_done,
                 void *arg);
    // NULL: it has no COPY, and refuses such statements.
    int (*write)(mg_db_call **out, mg_db_session *session, mg_str bytes, bool last,
                 mg_db_done_cb on_done, void *arg);
    void (*drop)(mg_db_session *session);
    void (*cancel)(mg_db_call *call);
    // NULL: it has no channels.
    int (*listen)(mg_db_listener **out, mg_database *d, mg_str channel, mg_db_note_cb on_note,
                  void *arg);
    void (*unlisten)(mg_db_listener *l);
    void (*read_stats)(const mg_database *d, mg_database_stats *out);
    void (*free)(mg_database *d);
    bool one_writer;
} mg_database_ops;

struct mg_database {
    const mg_database_ops *ops;
};

struct mg_db_session {
    mg_database *database;
};

struct mg_db_listener {
    mg_database *database;
};

struct mg_db_call {
    mg_database *database;
};

// What no kind accepts, or NULL; `*code` is the fault's.
const char *mg_database_refusal(const mg_db_statement *s, const char **code);
