#include "store/sqlite.h"

#include "base/mem.h"
#include "event/descriptors.h"
#include "store/sqlite_inside.h"

#include <assert.h>
#include <signal.h>

enum {
    READERS = 4,
    READERS_MAX = 64,
    BUSY_MS = 5000,
    QUEUE = 10000,
    STATEMENTS = 128,
    OPTIMIZE_MS = 100,
    SPARE = 16,
};

static void prepare_library(void) {
    // Its count of memory would put one lock around every allocation.
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static uint32_t or_default(uint32_t n, uint32_t otherwise) {
    return n == 0 ? otherwise : n;
}

static mg_sqlite *new_pool(mg_loop *loop, const mg_sqlite_options *o) {
    bool memory = strcmp(o->path, ":memory:") == 0;
    uint32_t readers = or_default(o->readers, READERS);
    readers = memory ? 0 : readers < READERS_MAX ? readers : READERS_MAX;
    uint32_t count = memory ? 1 : 1 + readers + 1 + SPARE;
    mg_sqlite *p = mg_calloc(1, sizeof *p + count * sizeof p->threads[0]);
    p->base.ops = &mg_sqlite_ops;
    p->loop = loop;
    p->settings = (mg_sqlite_settings){
        .path = mg_strdup(o->path),
        .busy_ms = or_default(o->busy_ms, BUSY_MS),
        .statements = or_default(o->statements, STATEMENTS),
        .memory = memory,
    };
    p->queue_max = or_default(o->queue, QUEUE);
    p->readers = readers;
    p->count = count;
    // Of all connections also the index of the log, and a journal. Spare ones count from their
    // start.
    p->descriptors = memory ? 1 : MG_SQLITE_DESCRIPTORS * (count - SPARE) + 2;
    mg_descriptors_hold(loop, p->descriptors);
    // It is held for less time than going to sleep takes.
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&p->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    mg_link_init(&p->reads);
    mg_link_init(&p->openings);
    mg_link_init(&p->writes);
    for (int i = 0; i < MG_SQLITE_ROLES; i++) {
        mg_link_init(&p->idle[i]);
    }
    mg_link_init(&p->finished);
    mg_link_init(&p->left);
    mg_link_init(&p->ready);
    return p;
}

static mg_sqlite_role role_of(const mg_sqlite *p, uint32_t i) {
    if (i == 0) {
        return MG_SQLITE_WRITER;
    }
    return i <= p->readers       ? MG_SQLITE_READER
           : i == p->readers + 1 ? MG_SQLITE_RESERVE
                                 : MG_SQLITE_SPARE;
}

static void init_thread(mg_sqlite *p, uint32_t i) {
    mg_sqlite_thread *t = &p->threads[i];
    // The clock of timed waits must not jump with the wall clock.
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&t->nudge, &attr);
    pthread_condattr_destroy(&attr);
    mg_link_init(&t->idle);
    mg_link_init(&t->given);
    t->role = role_of(p, i);
    t->pool = p;
    t->conn.settings = &p->settings;
    t->conn.lock = &p->lock;
    t->conn.nudge = &t->nudge;
    t->conn.writer = t->role == MG_SQLITE_WRITER;
}

// Signals belong to the loop's thread.
int mg_sqlite_start_thread(mg_sqlite_thread *t) {
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&t->id, NULL, mg_sqlite_thread_main, t);
    t->started = rc == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -rc;
}

static int start_threads(mg_sqlite *p) {
    int rc = 0;
    for (uint32_t i = 0; i < p->count && rc == 0; i++) {
        if (p->threads[i].role != MG_SQLITE_SPARE) {
            rc = mg_sqlite_start_thread(&p->threads[i]);
        }
    }
    return rc;
}

// The first connection makes the file and shows what is wrong with it; the others are opened by
// their threads when they are first needed.
static int open_writer(mg_sqlite *p, mg_error *err) {
    mg_sqlite_result r = {0};
    int rc = MG_OK;
    if (!mg_sqlite_conn_open(&p->threads[0].conn, &r)) {
        rc = mg_error_set(err, MG_ECONFIG, "%s", r.fault.message);
    }
    mg_sqlite_result_deinit(&r);
    return rc;
}

int mg_sqlite_open(mg_database **out, mg_loop *loop, const mg_sqlite_options *options,
                   mg_error *err) {
    static pthread_once_t prepared = PTHREAD_ONCE_INIT;
    pthread_once(&prepared, prepare_library);
    assert(sqlite3_threadsafe() != 0);
    mg_sqlite *p = new_pool(loop, options);
    for (uint32_t i = 0; i < p->count; i++) {
        init_thread(p, i);
    }
    int rc = open_writer(p, err);
    if (rc != MG_OK) {
        goto fail;
    }
    rc = mg_wake_open(&p->wake, loop, mg_sqlite_on_wake, p);
    if (rc == MG_OK) {
        rc = start_threads(p);
    }
    if (rc != MG_OK) {
        mg_error_set(err, rc, "%s: cannot start its threads: %s", options->path, mg_strerror(rc));
        goto fail;
    }
    *out = &p->base;
    return MG_OK;

fail:
    mg_sqlite_free(&p->base);
    return rc;
}

static void free_calls(mg_link *list) {
    mg_link *l;
    while ((l = mg_link_shift(list)) != NULL) {
        mg_sqlite_call *call = MG_OF(l, mg_sqlite_call, link);
        // A thread may hold the session of one that is finished.
        if (mg_sqlite_opens(call) && call->session->thread == NULL) {
            mg_free(call->session);
        }
        mg_sqlite_call_free(call);
    }
}

static void stop_threads(mg_sqlite *p) {
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    for (uint32_t i = 0; i < p->count; i++) {
        mg_sqlite_conn_interrupt(&p->threads[i].conn);
    }
    pthread_mutex_unlock(&p->lock);
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->threads[i].started) {
            pthread_join(p->threads[i].id, NULL);
        }
    }
}

// What the planner should know of the tables, but not for long.
static void optimize(mg_sqlite_conn *c) {
    if (c->db == NULL || c->settings->memory || sqlite3_total_changes64(c->db) == 0) {
        return;
    }
    atomic_store(&c->stop, false);
    c->until_ms = mg_sqlite_now_ms() + OPTIMIZE_MS;
    sqlite3_busy_timeout(c->db, 0);
    sqlite3_exec(c->db, "PRAGMA analysis_limit=200; PRAGMA optimize", NULL, NULL, NULL);
}

static void free_thread(mg_sqlite_thread *t) {
    mg_sqlite_session *s = t->session;
    free_calls(&t->given);
    if (s != NULL) {
        mg_sqlite_release(&t->conn, s->rows);
        if (t->conn.db != NULL && !sqlite3_get_autocommit(t->conn.db)) {
            sqlite3_exec(t->conn.db, "ROLLBACK", NULL, NULL, NULL);
        }
        free_calls(&s->calls);
        mg_free(s);
    }
    if (t->conn.writer) {
        optimize(&t->conn);
    }
    mg_sqlite_conn_close(&t->conn);
    pthread_cond_destroy(&t->nudge);
}

void mg_sqlite_free(mg_database *d) {
    mg_sqlite *p = (mg_sqlite *)d;
    assert(!p->delivering);
    stop_threads(p);
    free_calls(&p->reads);
    free_calls(&p->openings);
    free_calls(&p->writes);
    free_calls(&p->finished);
    free_calls(&p->ready);
    mg_sqlite_free_left(p);
    for (uint32_t i = p->count; i > 0; i--) {
        free_thread(&p->threads[i - 1]); // the writer last: it moves the log into the file
    }
    mg_wake_close(p->wake);
    pthread_mutex_destroy(&p->lock);
    mg_descriptors_release(p->loop, p->descriptors);
    mg_free(p->settings.path);
    mg_free(p);
}
