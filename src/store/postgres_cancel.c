// Interrupts statements. libpq's PQcancel opens a connection and blocks, for ever if the server is
// frozen, so a thread of its own does it, one after the other; it belongs to nobody: when the pool
// goes it finishes what it is at, and ends.

#include "base/mem.h"
#include "event/wake.h"
#include "store/postgres_inside.h"

#include <pthread.h>
#include <signal.h>

typedef struct request {
    mg_link link;
    PGcancel *cancel;
    mg_pg_conn *conn; // NULL: it is gone; the loop's
} request;

struct mg_pg_canceller {
    pthread_mutex_t lock; // guards what follows
    pthread_cond_t nudge;
    mg_link asked;
    mg_link done;
    request *current;
    mg_wake *wake; // NULL: the pool is gone
    bool running;
    void (*on_done)(mg_pg_conn *c);
};

static void free_request(request *r) {
    PQfreeCancel(r->cancel);
    mg_free(r);
}

static void free_list(mg_link *list) {
    mg_link *l;
    while ((l = mg_link_shift(list)) != NULL) {
        free_request(MG_OF(l, request, link));
    }
}

static void free_canceller(mg_pg_canceller *k) {
    free_list(&k->asked);
    free_list(&k->done);
    pthread_cond_destroy(&k->nudge);
    pthread_mutex_destroy(&k->lock);
    mg_free(k);
}

static void *thread_main(void *arg) {
    mg_pg_canceller *k = arg;
    char why[256];
    pthread_mutex_lock(&k->lock);
    while (k->wake != NULL) {
        mg_link *l = mg_link_shift(&k->asked);
        if (l == NULL) {
            pthread_cond_wait(&k->nudge, &k->lock);
            continue;
        }
        k->current = MG_OF(l, request, link);
        pthread_mutex_unlock(&k->lock);
        (void)PQcancel(k->current->cancel, why, sizeof why); // that it ran on shows by its result
        pthread_mutex_lock(&k->lock);
        mg_link_append(&k->done, &k->current->link);
        k->current = NULL;
        if (k->wake != NULL) {
            mg_wake_send(k->wake);
        }
    }
    pthread_mutex_unlock(&k->lock);
    free_canceller(k);
    return NULL;
}

static void on_wake(void *arg) {
    mg_pg_canceller *k = arg;
    for (;;) {
        pthread_mutex_lock(&k->lock);
        mg_link *l = mg_link_shift(&k->done);
        mg_wake_expect(k->wake, k->current != NULL || !mg_link_alone(&k->asked));
        pthread_mutex_unlock(&k->lock);
        if (l == NULL) {
            return;
        }
        request *r = MG_OF(l, request, link);
        mg_pg_conn *conn = r->conn;
        free_request(r);
        if (conn != NULL) {
            k->on_done(conn);
        }
    }
}

mg_pg_canceller *mg_pg_canceller_new(mg_loop *loop, void (*on_done)(mg_pg_conn *c)) {
    mg_pg_canceller *k = mg_calloc(1, sizeof *k);
    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->nudge, NULL);
    mg_link_init(&k->asked);
    mg_link_init(&k->done);
    k->on_done = on_done;
    if (mg_wake_open(&k->wake, loop, on_wake, k) != MG_OK) {
        free_canceller(k);
        return NULL;
    }
    return k;
}

void mg_pg_canceller_free(mg_pg_canceller *k) {
    if (k == NULL) {
        return;
    }
    pthread_mutex_lock(&k->lock);
    mg_wake_close(k->wake);
    k->wake = NULL;
    bool running = k->running;
    pthread_cond_signal(&k->nudge);
    pthread_mutex_unlock(&k->lock);
    if (!running) {
        free_canceller(k);
    }
}

// With the lock held. Signals belong to the loop's thread.
static bool start(mg_pg_canceller *k) {
    sigset_t all;
    sigset_t old;
    pthread_t id;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    k->running = pthread_create(&id, NULL, thread_main, k) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (k->running) {
        pthread_detach(id);
    }
    return k->running;
}

bool mg_pg_cancel(mg_pg_canceller *k, mg_pg_conn *c) {
    PGcancel *cancel = PQgetCancel(c->pg);
    pthread_mutex_lock(&k->lock);
    bool good = cancel != NULL && (k->running || start(k));
    if (good) {
        request *r = mg_calloc(1, sizeof *r);
        r->cancel = cancel;
        r->conn = c;
        mg_link_append(&k->asked, &r->link);
        mg_wake_expect(k->wake, true);
        pthread_cond_signal(&k->nudge);
    }
    pthread_mutex_unlock(&k->lock);
    if (!good) {
        PQfreeCancel(cancel);
    }
    return good;
}

static void forget_in(const mg_link *list, const mg_pg_conn *c) {
    for (const mg_link *l = list->next; l != list; l = l->next) {
        request *r = MG_OF(l, request, link);
        if (r->conn == c) {
            r->conn = NULL;
        }
    }
}

void mg_pg_cancel_forget(mg_pg_canceller *k, const mg_pg_conn *c) {
    pthread_mutex_lock(&k->lock);
    forget_in(&k->asked, c);
    forget_in(&k->done, c);
    if (k->current != NULL && k->current->conn == c) {
        k->current->conn = NULL;
    }
    pthread_mutex_unlock(&k->lock);
}
