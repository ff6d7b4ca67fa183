// The TLS contexts of a client: reading a store of certificates takes some 25 ms, so it is done
// once for each set of demands, in a thread.

#include "client/client_inside.h"

#include "base/mem.h"
#include "event/task.h"

// What the thread works on is its own; the client may go meanwhile.
struct mg_trust_load {
    mg_task task;
    mg_client *client; // NULL: it is gone
    mg_link link;      // in mg_client.loads
    mg_link waits;
    char *ca; // NULL: the client's
    mg_stamp stamp;
    char *file;
    mg_buf text;
    mg_tls_context *context; // NULL: see `err`
    mg_error err;
};

static bool same_ca(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static char *copy(const char *s) {
    return s != NULL ? mg_strdup(s) : NULL;
}

// --- what has been read ---

static void forget(mg_trust_entry *e) {
    mg_tls_unref(e->context); // connections hold references of their own
    mg_free(e->ca);
    *e = (mg_trust_entry){0};
}

static mg_trust_entry *find(mg_client *c, const char *ca, bool insecure) {
    for (size_t i = 0; i < MG_CLIENT_TRUSTS; i++) {
        mg_trust_entry *e = &c->trusts[i];
        if (e->context != NULL && e->insecure == insecure && same_ca(e->ca, ca)) {
            return e;
        }
    }
    return NULL;
}

// What cannot be read comes never here: nothing that is good has to make room for it.
static void keep(mg_client *c, mg_trust_entry fresh) {
    mg_trust_entry *e = find(c, fresh.ca, fresh.insecure);
    e = e != NULL ? e : &c->trusts[c->next_trust++ % MG_CLIENT_TRUSTS];
    forget(e);
    *e = fresh;
}

// --- reading ---

static void run_load(mg_task *t) {
    mg_trust_load *l = MG_OF(t, mg_trust_load, task);
    const mg_tls_client_options options = {
        .ca_file = l->file, .ca_text = mg_buf_str(&l->text), .alpn = "http/1.1"};
    if (mg_tls_client_new(&l->context, &options, &l->err) != MG_OK) {
        l->context = NULL;
    }
}

static void free_load(mg_trust_load *l) {
    mg_link_remove(&l->link);
    mg_free(l->ca);
    mg_free(l->file);
    mg_buf_deinit(&l->text);
    mg_free(l);
}

static void on_loaded(mg_task *t, int status) {
    (void)status;
    mg_trust_load *l = MG_OF(t, mg_trust_load, task);
    if (l->client == NULL) {
        mg_tls_unref(l->context);
        free_load(l);
        return;
    }
    mg_link_remove(&l->link); // nobody joins it any more
    if (l->context != NULL) {
        keep(l->client, (mg_trust_entry){copy(l->ca), l->stamp, false, mg_tls_ref(l->context)});
    }
    mg_link *link;
    while ((link = mg_link_shift(&l->waits)) != NULL) {
        mg_trust_wait *w = MG_OF(link, mg_trust_wait, link);
        w->on_trust(w, l->context, l->err.text);
    }
    mg_tls_unref(l->context);
    free_load(l);
}

static const mg_task_ops load_ops = {run_load, on_loaded};

static mg_trust_load *find_load(mg_client *c, const char *ca, const mg_stamp *stamp) {
    for (mg_link *at = c->loads.next; at != &c->loads; at = at->next) {
        mg_trust_load *l = MG_OF(at, mg_trust_load, link);
        if (same_ca(l->ca, ca) && mg_stamp_same(&l->stamp, stamp)) {
            return l;
        }
    }
    return NULL;
}

static int start_load(mg_client *c, const char *ca, const mg_stamp *stamp, mg_trust_load **out) {
    mg_trust_load *l = mg_calloc(1, sizeof *l);
    l->client = c;
    l->ca = copy(ca);
    l->stamp = *stamp;
    l->file = copy(ca != NULL ? ca : c->ca);
    mg_buf_append_str(&l->text, ca == NULL ? mg_buf_str(&c->ca_text) : (mg_str){0});
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

static int trust_nobody(mg_client *c, mg_tls_context **out, mg_error *err) {
    const mg_tls_client_options options = {.insecure = true, .alpn = "http/1.1"};
    int rc = mg_tls_client_new(out, &options, err);
    if (rc == MG_OK) {
        keep(c, (mg_trust_entry){.insecure = true, .context = *out});
    }
    return rc;
}

// The client's own store stays as it was when the client was made; a file that a call names is read
// again when it has changed.
int mg_client_trust(mg_client *c, const char *ca, bool insecure, mg_trust_wait *w,
                    mg_tls_context **out, mg_error *err) {
    ca = insecure ? NULL : ca;
    const mg_trust_entry *e = find(c, ca, insecure);
    mg_stamp stamp = ca != NULL ? mg_stamp_of(ca) : (mg_stamp){0};
    if (e != NULL && mg_stamp_same(&stamp, &e->stamp)) {
        *out = e->context;
        return MG_OK;
    }
    if (insecure) {
        return trust_nobody(c, out, err);
    }
    mg_trust_load *l = find_load(c, ca, &stamp);
    int rc = l == NULL ? start_load(c, ca, &stamp, &l) : MG_OK;
    if (rc != MG_OK) {
        return mg_error_set(err, rc, "certificates cannot be read: %s", mg_strerror(rc));
    }
    mg_link_append(&l->waits, &w->link);
    return MG_EAGAIN;
}

void mg_client_forget_trust(mg_client *c) {
    mg_link *at;
    while ((at = mg_link_shift(&c->loads)) != NULL) {
        MG_OF(at, mg_trust_load, link)->client = NULL;
    }
    for (size_t i = 0; i < MG_CLIENT_TRUSTS; i++) {
        forget(&c->trusts[i]);
    }
}
