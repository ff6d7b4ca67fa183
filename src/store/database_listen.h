// store/database_listen.h: channels of a database, by which all who are connected to it tell each
// other of something (PostgreSQL's LISTEN and NOTIFY).
#pragma once

#include "store/database.h"

typedef struct mg_db_listener mg_db_listener;

typedef enum mg_db_news {
    MG_DB_LISTENS, // from now on nothing is missed
    MG_DB_NOTE,    // somebody told something
    MG_DB_MISSED,  // it listens again, behind a connection that was lost: something may be missing
    MG_DB_DEAF,    // the server refuses; it is the last call
} mg_db_news;

typedef struct mg_db_note {
    mg_db_news news;
    mg_str text; // of a NOTE what was told, of DEAF why. Borrowed for the call
    int pid;     // of a NOTE: the server's process of whoever told
} mg_db_note;

typedef void (*mg_db_note_cb)(void *arg, const mg_db_note *note);

// Hears what is told on the channel of exactly that name, until it is dropped: all listeners of an
// mg_database share one connection, which is none of its pool, and which is opened again when it
// is lost. `on_note` never comes inside a call of this room's user. -ENOTSUP: it has no channels.
// A listener dies with its database.
int mg_database_listen(mg_db_listener **out, mg_database *d, mg_str channel, mg_db_note_cb on_note,
                       void *arg);
void mg_database_unlisten(mg_db_listener *l);

bool mg_database_has_channels(const mg_database *d);
