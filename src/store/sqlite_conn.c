#include "store/sqlite_conn.h"

#include "store/sqlite_stmt.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    STEPS_BETWEEN_LOOKS = 2000,
    NAP_MS_MAX = 20,
    JOURNAL_BYTES = 64 << 20,
};

static int on_busy(void *arg, int count);
static int on_progress(void *arg);
static int judge(void *arg, int action, const char *a, const char *b, const char *database,
                 const char *trigger);
static bool set_up(mg_sqlite_conn *c, sqlite3 *db, mg_sqlite_result *r);

bool mg_sqlite_conn_open(mg_sqlite_conn *c, mg_sqlite_result *r) {
    mg_link_init(&c->recent);
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    flags |= c->writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(c->settings->path, &db, flags, NULL);
    if (rc != SQLITE_OK) {
        int number = db == NULL ? 0 : sqlite3_system_errno(db);
        mg_sqlite_result_fail(r, "error", rc, "%s: %s%s%s", c->settings->path, sqlite3_errstr(rc),
                              number == 0 ? "" : ": ", number == 0 ? "" : strerror(number));
    } else if (set_up(c, db, r)) {
        pthread_mutex_lock(c->lock);
        c->db = db;
        pthread_mutex_unlock(c->lock);
        return true;
    }
    sqlite3_close_v2(db);
    return false;
}

void mg_sqlite_conn_close(mg_sqlite_conn *c) {
    if (c->db == NULL) {
        return;
    }
    mg_sqlite_forget_statements(c);
    c->broken = false;
    pthread_mutex_lock(c->lock);
    sqlite3 *db = c->db;
    c->db = NULL;
    pthread_mutex_unlock(c->lock);
    sqlite3_close_v2(db);
}

void mg_sqlite_conn_interrupt(mg_sqlite_conn *c) {
    atomic_store_explicit(&c->stop, true, memory_order_relaxed);
    if (c->db != NULL) {
        sqlite3_interrupt(c->db);
    }
    pthread_cond_signal(c->nudge);
}

bool mg_sqlite_conn_command(mg_sqlite_conn *c, const char *sql, mg_sqlite_result *r) {
    int rc = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK || mg_sqlite_result_fail_by(r, c->db, rc);
}

uint64_t mg_sqlite_now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

// --- opening -----------------------------------------------------------------

static bool stopped(const mg_sqlite_conn *c) {
    return atomic_load_explicit(&c->stop, memory_order_relaxed);
}

static void nap(mg_sqlite_conn *c, uint32_t ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(c->lock);
    if (!stopped(c)) {
        pthread_cond_timedwait(c->nudge, c->lock, &until);
    }
    pthread_mutex_unlock(c->lock);
}

static void configure(mg_sqlite_conn *c, sqlite3 *db) {
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, MG_DB_RESULT_MAX);
    sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, MG_DB_SQL_MAX);
    sqlite3_limit(db, SQLITE_LIMIT_VARIABLE_NUMBER, MG_DB_PARAMETERS_MAX);
    sqlite3_busy_handler(db, on_busy, c);
    sqlite3_progress_handler(db, STEPS_BETWEEN_LOOKS, on_progress, c);
    sqlite3_set_authorizer(db, judge, c);
}

static int keep_word(void *arg, int columns, char **values, char **names) {
    (void)names;
    char *word = arg;
    if (columns == 1 && values[0] != NULL) {
        snprintf(word, 16, "%s", values[0]);
    }
    return 0;
}

// Two processes that do this to a new file at the same time may block each other; then SQLite gives
// up without asking the busy handler.
static int ask_for_wal(mg_sqlite_conn *c, sqlite3 *db, char mode[16]) {
    uint64_t since_ms = mg_sqlite_now_ms();
    for (;;) {
        int rc = sqlite3_exec(db, "PRAGMA journal_mode=WAL", keep_word, mode, NULL);
        bool late = stopped(c) || mg_sqlite_now_ms() - since_ms >= c->settings->busy_ms;
        if ((rc & 0xff) != SQLITE_BUSY || late) {
            return rc;
        }
        nap(c, NAP_MS_MAX);
    }
}

// The mode is kept in the file; a reader finds it there.
static bool use_wal(mg_sqlite_conn *c, sqlite3 *db, mg_sqlite_result *r) {
    char mode[16] = "";
    int rc = ask_for_wal(c, db, mode);
    if (rc == SQLITE_OK && strcmp(mode, "wal") != 0) {
        return mg_sqlite_result_fail(r, "error", rc, "%s: cannot have a write-ahead log (mode %s)",
                                     c->settings->path, mode);
    }
    return rc == SQLITE_OK ||
           mg_sqlite_result_fail(r, "error", rc, "%s: %s", c->settings->path, sqlite3_errmsg(db));
}

static bool set_up(mg_sqlite_conn *c, sqlite3 *db, mg_sqlite_result *r) {
    configure(c, db);
    if (c->writer && sqlite3_db_readonly(db, "main") == 1) {
        return mg_sqlite_result_fail(r, "readonly", SQLITE_READONLY, "%s: may not be written",
                                     c->settings->path);
    }
    if (c->writer && !c->settings->memory && !use_wal(c, db, r)) {
        return false;
    }
    char pragmas[128];
    snprintf(pragmas, sizeof pragmas,
             "PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=%d",
             JOURNAL_BYTES);
    int rc = sqlite3_exec(db, pragmas, NULL, NULL, NULL);
    return rc == SQLITE_OK ||
           mg_sqlite_result_fail(r, "error", rc, "%s: %s", c->settings->path, sqlite3_errmsg(db));
}

// --- what SQLite asks --------------------------------------------------------

static int on_busy(void *arg, int count) {
    mg_sqlite_conn *c = arg;
    uint64_t now_ms = mg_sqlite_now_ms();
    if (count == 0) {
        c->waiting_ms = now_ms;
    }
    if (stopped(c) || now_ms - c->waiting_ms >= c->settings->busy_ms) {
        return 0;
    }
    nap(c, count < NAP_MS_MAX ? (uint32_t)count + 1 : NAP_MS_MAX);
    return !stopped(c);
}

static int on_progress(void *arg) {
    const mg_sqlite_conn *c = arg;
    return stopped(c) || (c->until_ms != 0 && mg_sqlite_now_ms() >= c->until_ms);
}

static bool one_of(const char *word, const char *const *words) {
    for (; *words != NULL; words++) {
        if (sqlite3_stricmp(word, *words) == 0) {
            return true;
        }
    }
    return false;
}

// Connections are shared, so a statement may look at settings but not change them.
static bool may_pragma(const mg_sqlite_conn *c, const char *name, const char *value) {
    static const char *const with_value[] = {
        "table_info",     "table_xinfo",       "table_list",      "index_list",  "index_info",
        "index_xinfo",    "foreign_key_list",  "integrity_check", "quick_check", "user_version",
        "application_id", "foreign_key_check", "optimize",        NULL,
    };
    if (value == NULL) {
        return true;
    }
    // Ends with the transaction.
    bool defers = sqlite3_stricmp(name, "defer_foreign_keys") == 0;
    return one_of(name, with_value) || (defers && !sqlite3_get_autocommit(c->db));
}

static int judge(void *arg, int action, const char *a, const char *b, const char *database,
                 const char *trigger) {
    mg_sqlite_conn *c = arg;
    (void)database, (void)trigger;
    if (!c->judging) {
        // VACUUM attaches while it runs: a nameless file for itself, or the one behind INTO.
        if (action != SQLITE_ATTACH || a == NULL || a[0] == '\0') {
            return SQLITE_OK;
        }
        c->refused = "VACUUM INTO is not allowed: statements write no other files";
        return SQLITE_DENY;
    }
    if (action == SQLITE_TRANSACTION || action == SQLITE_SAVEPOINT) {
        c->refused = "transactions are not made by statements: use db:transaction(fn)";
    } else if (action == SQLITE_ATTACH || action == SQLITE_DETACH) {
        c->refused = "ATTACH and DETACH are not allowed: connections are shared";
    } else if (action >= SQLITE_CREATE_TEMP_INDEX && action <= SQLITE_CREATE_TEMP_VIEW) {
        c->refused = "nothing temporary can be made: connections are shared";
    } else if (action == SQLITE_PRAGMA && !may_pragma(c, a, b)) {
        c->refused = "this PRAGMA is not allowed: connections are shared";
    } else {
        return SQLITE_OK;
    }
    return SQLITE_DENY;
}
