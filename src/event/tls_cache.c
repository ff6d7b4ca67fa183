#include "event/tls_cache.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "event/task.h"

#include <string.h>

// The files that demands name, as they were.
typedef struct stamps {
    mg_stamp ca, cert, key;
} stamps;

typedef struct entry {
    mg_tls_demands demands; // its texts are owned
    stamps of;
    mg_tls_context *context; // NULL: the place is free
} entry;

struct mg_tls_cache {
    mg_loop *loop;
    char *ca;
    mg_buf ca_text;
    mg_link loads;
    entry entries[MG_TLS_CACHED];
    uint32_t next; // the entry that goes when a new one needs its place
};

// What the thread works on is its own; the cache may go meanwhile.
typedef struct load {
    mg_task task;
    mg_tls_cache *cache; // NULL: it is gone
    mg_link link;        // in mg_tls_cache.loads
    mg_link waits;
    mg_tls_demands demands; // its texts are owned
    stamps of;
    char *file;
    mg_buf text;
    mg_tls_context *context; // NULL: see `err`
    mg_error err;
} load;

// --- demands ---

static bool same_text(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_demands(const mg_tls_demands *a, const mg_tls_demands *b) {
    return a->insecure == b->insecure && same_text(a->ca, b->ca) && same_text(a->cert, b->cert) &&
           same_text(a->key, b->key) && same_text(a->alpn, b->alpn);
}

static char *copy(const char *s) {
    return s != NULL ? mg_strdup(s) : NULL;
}

static mg_tls_demands copy_demands(const mg_tls_demands *d) {
    return (mg_tls_demands){copy(d->ca), copy(d->cert), copy(d->key), copy(d->alpn), d->insecure};
}

static void free_demands(mg_tls_demands *d) {
    mg_free((char *)(uintptr_t)d->ca);
    mg_free((char *)(uintptr_t)d->cert);
    mg_free((char *)(uintptr_t)d->key);
    mg_free((char *)(uintptr_t)d->alpn);
    *d = (mg_tls_demands){0};
}

static mg_stamp stamp_of(const char *path) {
    return path != NULL ? mg_stamp_of(path) : (mg_stamp){0};
}

static stamps stamps_of(const mg_tls_demands *d) {
    return (stamps){stamp_of(d->ca), stamp_of(d->cert), stamp_of(d->key)};
}

static bool same_stamps(const stamps *a, const stamps *b) {
    return mg_stamp_same(&a->ca, &b->ca) && mg_stamp_same(&a->cert, &b->cert) &&
           mg_stamp_same(&a->key, &b->key);
}

// --- what has been made ---

static void forget(entry *e) {
    mg_tls_unref(e->context);
    free_demands(&e->demands);
    *e = (entry){0};
}

static entry *find(mg_tls_cache *c, const mg_tls_demands *demands) {
    for (size_t i = 0; i < MG_TLS_CACHED; i++) {
        entry *e = &c->entries[i];
        if (e->context != NULL && same_demands(&e->demands, demands)) {
            return e;
        }
    }
    return NULL;
}

// What cannot be read comes never here: nothing that is good has to make room for it.
static void keep(mg_tls_cache *c, load *l) {
    entry *e = find(c, &l->demands);
    e = e != NULL ? e : &c->entries[c->next++ % MG_TLS_CACHED];
    forget(e);
    *e = (entry){copy_demands(&l->demands), l->of, mg_tls_ref(l->context)};
}

// --- making ---

static void run_load(mg_task *t) {
    load *l = MG_OF(t, load, task);
    const mg_tls_client_options options = {.ca_file = l->file,
                                           .ca_text = mg_buf_str(&l->text),
                                           .chain_file = l->demands.cert,
                                           .key_file = l->demands.key,
                                           .insecure = l->demands.insecure,
                                           .alpn = l->demands.alpn};
    if (mg_tls_client_new(&l->context, &options, &l->err) != MG_OK) {
        l->context = NULL;
    }
}

static void free_load(load *l) {
    mg_link_remove(&l->link);
    mg_tls_unref(l->context);
    free_demands(&l->demands);
    mg_free(l->file);
    mg_buf_deinit(&l->text);
    mg_free(l);
}

static void on_loaded(mg_task *t, int status) {
    (void)status;
    load *l = MG_OF(t, load, task);
    mg_link_remove(&l->link); // nobody joins it any more
    if (l->cache != NULL && l->context != NULL) {
        keep(l->cache, l);
    }
    mg_link *link;
    while ((link = mg_link_shift(&l->waits)) != NULL) {
        mg_tls_wait *w = MG_OF(link, mg_tls_wait, link);
        w->on_context(w, l->context, l->err.text);
    }
    free_load(l);
}

static const mg_task_ops load_ops = {run_load, on_loaded};

static load *find_load(mg_tls_cache *c, const mg_tls_demands *demands, const stamps *of) {
    for (mg_link *at = c->loads.next; at != &c->loads; at = at->next) {
        load *l = MG_OF(at, load, link);
        if (same_demands(&l->demands, demands) && same_stamps(&l->of, of)) {
            return l;
        }
    }
    return NULL;
}

static int start_load(mg_tls_cache *c, const mg_tls_demands *demands, const stamps *of,
                      load **out) {
    load *l = mg_calloc(1, sizeof *l);
    l->cache = c;
    l->demands = copy_demands(demands);
    l->of = *of;
    l->file = copy(demands->ca != NULL ? demands->ca : c->ca);
    mg_buf_append_str(&l->text, demands->ca == NULL ? mg_buf_str(&c->ca_text) : (mg_str){0});
    mg_link_init(&l->waits);
    mg_link_append(&c->loads, &l->link);
    int rc = mg_task_start(c->loop, &l->task, &load_ops);
    if (rc != MG_OK) {
        free_load(l);
        return rc;
    }
    *out = l;
    return MG_OK;
}

// --- asking ---

int mg_tls_cache_get(mg_tls_cache *c, const mg_tls_demands *demands, mg_tls_wait *w,
                     mg_tls_context **out, mg_error *err) {
    const stamps of = stamps_of(demands);
    const entry *e = find(c, demands);
    if (e != NULL && same_stamps(&e->of, &of)) {
        *out = e->context;
        return MG_OK;
    }
    load *l = find_load(c, demands, &of);
    int rc = l == NULL ? start_load(c, demands, &of, &l) : MG_OK;
    if (rc != MG_OK) {
        return mg_error_set(err, rc, "certificates cannot be read: %s", mg_strerror(rc));
    }
    mg_link_append(&l->waits, &w->link);
    return MG_EAGAIN;
}

mg_tls_cache *mg_tls_cache_new(mg_loop *loop, const char *ca, mg_str ca_text) {
    mg_tls_cache *c = mg_calloc(1, sizeof *c);
    c->loop = loop;
    c->ca = copy(ca);
    mg_buf_append_str(&c->ca_text, ca_text);
    mg_link_init(&c->loads);
    return c;
}

void mg_tls_cache_free(mg_tls_cache *c) {
    if (c == NULL) {
        return;
    }
    mg_link *at;
    while ((at = mg_link_shift(&c->loads)) != NULL) {
        load *l = MG_OF(at, load, link);
        l->cache = NULL;
        while (mg_link_shift(&l->waits) != NULL) {
        }
    }
    for (size_t i = 0; i < MG_TLS_CACHED; i++) {
        forget(&c->entries[i]);
    }
    mg_free(c->ca);
    mg_buf_deinit(&c->ca_text);
    mg_free(c);
}
