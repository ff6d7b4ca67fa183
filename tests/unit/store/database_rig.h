// store/database_rig.h: a database in a file of its own.
#pragma once

#include "base/mem.h"
#include "database_answers.h"

#include <assert.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[64];
static char path[96];

// Would run for ever.
static const char endless[] __attribute__((unused)) =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
    "SELECT count(*) FROM n";

// Waits for the threads alone: what they finished is not told yet.
static inline void wait_for_threads(uint32_t busy) {
    mg_database_stats stats;
    do {
        sched_yield();
        mg_database_read_stats(db, &stats);
    } while (stats.busy != busy || stats.queued > 0);
}

static inline mg_database *open_at(const char *where, const mg_sqlite_options *more) {
    mg_sqlite_options o = more == NULL ? (mg_sqlite_options){0} : *more;
    o.path = where;
    mg_error err = {""};
    mg_database *d = NULL;
    int rc = mg_sqlite_open(&d, loop, &o, &err);
    if (rc != MG_OK) {
        fail_msg("%d: %s", rc, err.text);
    }
    return d;
}

static inline void reopen(const mg_sqlite_options *options) {
    mg_database_free(db);
    db = open_at(path, options);
}

static inline int set_up(void **state) {
    (void)state;
    alarm(120);
    answered = 0;
    snprintf(folder, sizeof folder, "/tmp/mg-sqlite-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.db", folder);
    assert_int_equal(mg_loop_new(&loop, NULL), 0);
    db = open_at(path, NULL);
    return 0;
}

static inline int tear_down(void **state) {
    (void)state;
    mg_database_free(db);
    db = NULL;
    int leaked = mg_loop_free(loop);
    const char *const names[] = {"a.db", "a.db-wal", "a.db-shm", "b.db", "b.db-wal", "b.db-shm"};
    char file[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(file, sizeof file, "%s/%s", folder, names[i]);
        unlink(file);
    }
    return leaked | rmdir(folder);
}
