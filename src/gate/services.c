#include "gate/services.h"

#include "base/mem.h"
#include "base/stamp.h"
#include "client/client.h"
#include "config/path.h"
#include "store/memory_cache.h"
#include "store/sqlite.h"

struct mg_service_set {
    mg_services lent;
    uint32_t refs;
    mg_buf signature;
    mg_named_database *databases; // names are in `names`
    mg_arena names;
};

// What is trusted, and not only where it lies. A folder is known by its last change.
static void append_ca(mg_buf *out, const mg_config_http *h) {
    mg_buf_printf(out, "\n%zu\n", h->ca_text.n);
    mg_buf_append_str(out, h->ca_text);
    if (h->ca != NULL && h->ca_text.n == 0) {
        mg_stamp stamp = mg_stamp_of(h->ca);
        mg_buf_append(out, (const char *)&stamp, sizeof stamp);
    }
}

// Everything of the configuration that a set depends on, in one text.
static mg_buf signature_of(const mg_config *c) {
    mg_buf b = {0};
    const mg_config_http *h = &c->http;
    mg_buf_printf(&b, "%llu %llu %llu %llu\n%s\n%s\n%zu\n", (unsigned long long)h->connections,
                  (unsigned long long)h->waiting, (unsigned long long)h->idle_connections,
                  (unsigned long long)h->idle_ms, h->ca != NULL ? h->ca : "",
                  h->nameservers != NULL ? h->nameservers : "", c->databases.n);
    mg_config_append_rules(c, &b);
    append_ca(&b, h);
    for (size_t i = 0; i < c->databases.n; i++) {
        mg_buf_printf(&b, "%s\n%s\n", c->databases.items[i].name, c->databases.items[i].path);
    }
    return b;
}

static int open_client(mg_service_set *s, mg_loop *loop, const mg_service_options *o,
                       mg_error *err) {
    const mg_config *c = o->config;
    mg_buf rules = {0};
    mg_config_append_rules(c, &rules);
    const mg_client_options options = {
        .connections = (uint32_t)c->http.connections,
        .waiting = (uint32_t)c->http.waiting,
        .idle_connections = (uint32_t)c->http.idle_connections,
        .idle_ms = (uint32_t)c->http.idle_ms,
        .ca = c->http.ca,
        .ca_text = c->http.ca_text,
        .nameservers = c->http.nameservers,
        .rules = mg_buf_str(&rules),
        .head = {.first_line_bytes = 8192,
                 .bytes = (uint32_t)c->limits.header_bytes,
                 .lines = (uint32_t)c->limits.header_fields},
        .on_warning = o->on_warning,
        .log_arg = o->log_arg,
    };
    int rc = mg_client_new(&s->lent.client, loop, &options, err);
    mg_buf_deinit(&rules);
    return rc;
}

static int open_cache(mg_service_set *s, mg_loop *loop, const mg_service_options *o,
                      mg_error *err) {
    size_t bytes;
    void *room = mg_shm_cache(o->shm, &bytes);
    mg_memory_cache *memory = NULL;
    int rc = room == NULL ? MG_OK : mg_memory_cache_open(&memory, room, bytes, err);
    if (memory != NULL) {
        s->lent.cache = mg_memory_cache_lend(memory, loop, o->holder);
    }
    return rc;
}

static int open_databases(mg_service_set *s, mg_loop *loop, const mg_config *c, mg_error *err) {
    s->databases = mg_calloc(c->databases.n + 1, sizeof *s->databases);
    s->lent.databases = s->databases;
    for (size_t i = 0; i < c->databases.n; i++) {
        const mg_config_database *d = &c->databases.items[i];
        mg_error why;
        mg_database *database = NULL;
        if (d->path[0] == '/') {
            (void)mg_make_folders_above(d->path); // if that fails, opening the file says so
        }
        int rc = mg_sqlite_open(&database, loop, &(mg_sqlite_options){.path = d->path}, &why);
        if (rc != MG_OK) {
            return mg_error_set(err, rc, "%s: database: %s", c->file, why.text);
        }
        const char *name = mg_arena_copy(&s->names, mg_str_of(d->name));
        s->databases[s->lent.database_count++] = (mg_named_database){name, database};
    }
    return MG_OK;
}

int mg_service_set_new(mg_service_set **out, mg_loop *loop, const mg_service_options *o,
                       mg_error *err) {
    mg_service_set *s = mg_calloc(1, sizeof *s);
    s->refs = 1;
    s->signature = signature_of(o->config);
    int rc = open_client(s, loop, o, err);
    if (rc == MG_OK) {
        rc = open_cache(s, loop, o, err);
    }
    if (rc == MG_OK) {
        rc = open_databases(s, loop, o->config, err);
    }
    if (rc != MG_OK) {
        mg_service_set_unref(s);
        return rc;
    }
    *out = s;
    return MG_OK;
}

mg_service_set *mg_service_set_ref(mg_service_set *s) {
    if (s != NULL) {
        s->refs++;
    }
    return s;
}

void mg_service_set_unref(mg_service_set *s) {
    if (s == NULL || --s->refs > 0) {
        return;
    }
    for (uint32_t i = 0; i < s->lent.database_count; i++) {
        mg_database_free(s->databases[i].database);
    }
    mg_cache_free(s->lent.cache);
    mg_client_free(s->lent.client);
    mg_free(s->databases);
    mg_arena_deinit(&s->names);
    mg_buf_deinit(&s->signature);
    mg_free(s);
}

const mg_services *mg_service_set_lent(const mg_service_set *s) {
    return &s->lent;
}

bool mg_service_set_fits(const mg_service_set *s, const mg_config *c) {
    mg_buf wanted = signature_of(c);
    bool same = mg_str_eq(mg_buf_str(&s->signature), mg_buf_str(&wanted));
    mg_buf_deinit(&wanted);
    return same;
}

// --- the master's part ---

int mg_cache_prepare(mg_shm *shm, mg_error *err) {
    size_t bytes;
    void *room = mg_shm_cache(shm, &bytes);
    return room == NULL ? MG_OK : mg_memory_cache_format(room, bytes, err);
}

void mg_cache_forget_worker(mg_shm *shm, uint64_t holder) {
    size_t bytes;
    void *room = mg_shm_cache(shm, &bytes);
    mg_memory_cache *cache = NULL;
    if (room != NULL && mg_memory_cache_open(&cache, room, bytes, NULL) == MG_OK) {
        mg_memory_cache_release_all(cache, holder);
        mg_memory_cache_close(cache);
    }
}
