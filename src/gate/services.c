#include "gate/services.h"

#include "base/mem.h"
#include "client/client.h"
#include "config/options.h"
#include "config/part.h"
#include "config/path.h"
#include "config/write.h"
#include "proxy/upstream.h"
#include "store/memory_cache.h"
#include "store/postgres.h"
#include "store/redis_near.h"
#include "store/sqlite.h"

// One thing that is lent, and what it was made from. Counted by the sets that have it.
typedef struct service {
    uint32_t refs;
    mg_buf signature;
    void *made;
    void (*free)(void *made);
} service;

struct mg_service_set {
    mg_services lent;
    uint32_t refs;
    service *client;
    service *cache;       // NULL: none
    service *cache_redis; // where it is; NULL: in memory
    service **databases;  // as many as are lent
    mg_named_database *names;
    service **redis; // as many as the configuration names
    mg_named_redis *redis_names;
    mg_arena arena; // of the names
};

// --- one service ---

// Takes the signature.
static service *service_new(mg_buf *signature, void *made, void (*free_made)(void *made)) {
    service *s = mg_malloc(sizeof *s);
    *s = (service){1, *signature, made, free_made};
    *signature = (mg_buf){0};
    return s;
}

static void service_unref(service *s) {
    if (s != NULL && --s->refs == 0) {
        s->free(s->made);
        mg_buf_deinit(&s->signature);
        mg_free(s);
    }
}

// One more reference to `before`, if it was made from the same; else NULL. Accepts NULL.
static service *same(service *before, const mg_buf *signature) {
    if (before == NULL || !mg_str_eq(mg_buf_str(&before->signature), mg_buf_str(signature))) {
        return NULL;
    }
    before->refs++;
    return before;
}

// --- the client ---

static void free_client(void *made) {
    mg_client_free(made);
}

// Of responses, whoever asks.
static mg_guard_limits head_limits(const mg_config *c) {
    return (mg_guard_limits){.first_line_bytes = 8192,
                             .bytes = (uint32_t)c->limits.header_bytes,
                             .lines = (uint32_t)c->limits.header_fields};
}

static int make_client(mg_client **out, mg_loop *loop, const mg_config *part,
                       const mg_service_options *o, mg_error *err) {
    mg_buf rules = {0};
    mg_config_append_rules(part, &rules);
    const mg_client_options options = {
        .connections = (uint32_t)part->http.connections,
        .waiting = (uint32_t)part->http.waiting,
        .idle_connections = (uint32_t)part->http.idle_connections,
        .idle_ms = (uint32_t)part->http.idle_ms,
        .http2 = (mg_http2)part->http.http2,
        .ping_ms = (uint32_t)part->http.ping_ms,
        .ca = part->http.ca.path,
        .ca_text = part->http.ca.text,
        .nameservers = part->http.nameservers,
        .rules = mg_buf_str(&rules),
        .head = head_limits(part),
        .on_warning = o->on_warning,
        .log_arg = o->log_arg,
    };
    int rc = mg_client_new(out, loop, &options, err);
    mg_buf_deinit(&rules);
    return rc;
}

static int open_client(mg_service_set *s, mg_loop *loop, const mg_service_options *o,
                       mg_error *err) {
    static const char *const keys[] = {"http", "limits.header_bytes", "limits.header_fields", NULL};
    mg_config part;
    mg_buf signature = {0};
    mg_client *client = NULL;
    int rc = MG_OK;
    mg_config_part(&part, o->config, keys, &signature);
    s->client = same(o->before != NULL ? o->before->client : NULL, &signature);
    if (s->client == NULL) {
        rc = make_client(&client, loop, &part, o, err);
    }
    if (client != NULL) {
        s->client = service_new(&signature, client, free_client);
    }
    s->lent.client = s->client != NULL ? s->client->made : NULL;
    mg_buf_deinit(&signature);
    return rc;
}

// --- upstreams ---

static int open_upstreams(mg_service_set *s, mg_loop *loop, const mg_service_options *o,
                          mg_error *err) {
    const mg_config *c = o->config;
    mg_error why;
    const mg_upstreams_setup setup = {
        .loop = loop,
        .before = o->before != NULL ? o->before->lent.upstreams : NULL,
        .nameservers = c->http.nameservers,
        .ca = c->http.ca.path,
        .ca_text = c->http.ca.text,
        .head = head_limits(c),
        .room = mg_shm_proxy(o->shm),
        .worker = o->worker,
        .on_warning = o->on_warning,
        .on_news = o->on_news,
        .log_arg = o->log_arg,
    };
    if (c->upstreams.n == 0 && !c->proxy_open) { // a resolver for nobody would cost memory
        return MG_OK;
    }
    mg_arena arena = {0};
    const mg_upstreams_options all = mg_config_upstreams(c, &arena);
    int rc = mg_upstreams_new(&s->lent.upstreams, &all, &setup, &why);
    mg_arena_deinit(&arena);
    s->lent.order_upstream = o->order_upstream;
    s->lent.order_arg = o->log_arg;
    if (rc == MG_OK && o->orders != NULL) {
        mg_orders_follow(o->orders, c->root, s->lent.upstreams);
    }
    return rc == MG_OK ? rc : mg_error_set(err, rc, "%s: upstreams: %s", c->file, why.text);
}

// --- Redis ---

static void free_redis(void *made) {
    mg_redis_free(made);
}

// `before`: what had its place, whose connections stay if it is the same one.
static int open_one_redis(service **out, service *before, mg_loop *loop,
                          const mg_service_options *o, const char *url, mg_error *err) {
    mg_buf signature = {0};
    mg_redis *made = NULL;
    int rc = MG_OK;
    mg_buf_printf(&signature, "%s %s", url,
                  o->config->http.nameservers != NULL ? o->config->http.nameservers : "");
    *out = same(before, &signature);
    if (*out == NULL) {
        const mg_redis_options options = {
            .url = mg_str_of(url),
            .nameservers = o->config->http.nameservers,
            .on_warning = o->on_warning,
            .on_news = o->on_news,
            .arg = o->log_arg,
        };
        rc = mg_redis_open(&made, loop, &options, err);
    }
    if (made != NULL) {
        *out = service_new(&signature, made, free_redis);
    }
    mg_buf_deinit(&signature);
    return rc;
}

// --- the cache ---

static void free_cache(void *made) {
    mg_cache_free(made);
}

// The memory has been there since the master began: no key of a configuration changes it.
static int open_memory_cache(mg_service_set *s, mg_loop *loop, const mg_service_options *o,
                             mg_error *err) {
    mg_buf signature = {0};
    mg_memory_cache *memory = NULL;
    size_t bytes;
    int rc = MG_OK;
    void *room = mg_shm_cache(o->shm, &bytes);
    mg_buf_printf(&signature, "memory");
    s->cache = same(o->before != NULL ? o->before->cache : NULL, &signature);
    if (s->cache == NULL && room != NULL) {
        rc = mg_memory_cache_open(&memory, room, bytes, err);
    }
    if (memory != NULL) {
        mg_cache *cache = mg_memory_cache_lend(memory, loop, o->holder);
        s->cache = service_new(&signature, cache, free_cache);
    }
    mg_buf_deinit(&signature);
    return rc;
}

// With a near one in front, if its URL asks for that and there was room when the master began.
static int make_redis_cache(mg_cache **out, mg_loop *loop, mg_redis *redis, mg_shm *shm,
                            mg_error *err) {
    mg_memory_cache *values = NULL;
    size_t bytes;
    void *room = mg_shm_cache(shm, &bytes);
    int rc = MG_OK;
    if (room != NULL && mg_redis_settings_of(redis)->near_bytes > 0) {
        rc = mg_memory_cache_open(&values, room, bytes, err);
    }
    if (rc == MG_OK) {
        *out = mg_redis_cache_lend(redis);
    }
    if (values != NULL) {
        *out = mg_redis_near_lend(redis, *out, mg_near_cache_new(loop, values, bytes));
    }
    return rc;
}

static int open_redis_cache(mg_service_set *s, mg_loop *loop, const mg_service_options *o,
                            mg_error *err) {
    mg_buf signature = {0};
    int rc = open_one_redis(&s->cache_redis, o->before != NULL ? o->before->cache_redis : NULL,
                            loop, o, o->config->cache.url, err);
    if (rc != MG_OK) {
        return mg_error_set(err, rc, "%s: cache: %s", o->config->file, err->text);
    }
    mg_buf_append_str(&signature, mg_buf_str(&s->cache_redis->signature));
    s->cache = same(o->before != NULL ? o->before->cache : NULL, &signature);
    mg_cache *cache = NULL;
    if (s->cache == NULL) {
        rc = make_redis_cache(&cache, loop, s->cache_redis->made, o->shm, err);
    }
    if (cache != NULL) {
        s->cache = service_new(&signature, cache, free_cache);
    }
    mg_buf_deinit(&signature);
    return rc;
}

static int open_cache(mg_service_set *s, mg_loop *loop, const mg_service_options *o,
                      mg_error *err) {
    int rc = o->config->cache.url != NULL ? open_redis_cache(s, loop, o, err)
                                          : open_memory_cache(s, loop, o, err);
    s->lent.cache = s->cache != NULL ? s->cache->made : NULL;
    s->lent.fleet = s->cache_redis != NULL ? s->cache_redis->made : NULL;
    return rc;
}

// --- databases ---

static void free_database(void *made) {
    mg_database_free(made);
}

static int make_database(mg_database **out, mg_loop *loop, const mg_service_options *o,
                         const mg_config_database *d, mg_error *err) {
    if (d->url != NULL) {
        const mg_postgres_options options = {.url = d->url,
                                             .nameservers = o->config->http.nameservers};
        return mg_postgres_open(out, loop, &options, err);
    }
    if (d->path[0] == '/') {
        (void)mg_make_folders_above(d->path); // if that fails, opening the file says so
    }
    return mg_sqlite_open(out, loop, &(mg_sqlite_options){.path = d->path}, err);
}

static service *database_before(const mg_service_set *before, const char *name) {
    for (uint32_t i = 0; before != NULL && i < before->lent.database_count; i++) {
        if (strcmp(before->names[i].name, name) == 0) {
            return before->databases[i];
        }
    }
    return NULL;
}

static int open_database(mg_service_set *s, mg_loop *loop, const mg_service_options *o,
                         const mg_config_database *d, mg_error *err) {
    mg_buf signature = {0};
    mg_error why;
    mg_database *made = NULL;
    int rc = MG_OK;
    mg_config_write_database(&signature, d);
    if (d->url != NULL && o->config->http.nameservers != NULL) {
        mg_buf_append_str(&signature, mg_str_of(o->config->http.nameservers));
    }
    service *database = same(database_before(o->before, d->name), &signature);
    if (database == NULL) {
        rc = make_database(&made, loop, o, d, &why);
    }
    if (made != NULL) {
        database = service_new(&signature, made, free_database);
    }
    mg_buf_deinit(&signature);
    if (rc != MG_OK) {
        return mg_error_set(err, rc, "%s: database: %s", o->config->file, why.text);
    }
    uint32_t at = s->lent.database_count++;
    s->databases[at] = database;
    s->names[at] =
        (mg_named_database){mg_arena_copy(&s->arena, mg_str_of(d->name)), database->made};
    return MG_OK;
}

static int open_databases(mg_service_set *s, mg_loop *loop, const mg_service_options *o,
                          mg_error *err) {
    const mg_config_databases *d = &o->config->databases;
    int rc = MG_OK;
    s->databases = mg_calloc(d->n + 1, sizeof(service *));
    s->names = mg_calloc(d->n + 1, sizeof *s->names);
    s->lent.databases = s->names;
    for (size_t i = 0; rc == MG_OK && i < d->n; i++) {
        rc = open_database(s, loop, o, &d->items[i], err);
    }
    return rc;
}

// --- named ones of Redis ---

static service *redis_before(const mg_service_set *before, const char *name) {
    for (uint32_t i = 0; before != NULL && before->redis[i] != NULL; i++) {
        if (strcmp(before->redis_names[i].name, name) == 0) {
            return before->redis[i];
        }
    }
    return NULL;
}

static void name_redis(mg_service_set *s, const char *name, const service *of) {
    s->redis_names[s->lent.redis_count++] =
        (mg_named_redis){mg_arena_copy(&s->arena, mg_str_of(name)), of->made};
}

// The cache's is the default one, unless the configuration names another.
static int open_redis(mg_service_set *s, mg_loop *loop, const mg_service_options *o,
                      mg_error *err) {
    const mg_config_redis *r = &o->config->redis;
    bool has_default = false;
    s->redis = mg_calloc(r->n + 1, sizeof(service *));
    s->redis_names = mg_calloc(r->n + 1, sizeof *s->redis_names);
    s->lent.redis = s->redis_names;
    for (size_t i = 0; i < r->n; i++) {
        const char *name = r->items[i].name;
        int rc = open_one_redis(&s->redis[i], redis_before(o->before, name), loop, o,
                                r->items[i].url, err);
        if (rc != MG_OK) {
            return mg_error_set(err, rc, "%s: redis: %s", o->config->file, err->text);
        }
        name_redis(s, name, s->redis[i]);
        has_default |= strcmp(name, "default") == 0;
    }
    if (!has_default && s->cache_redis != NULL) {
        name_redis(s, "default", s->cache_redis);
    }
    return MG_OK;
}

// --- a set ---

int mg_service_set_new(mg_service_set **out, mg_loop *loop, const mg_service_options *o,
                       mg_error *err) {
    mg_service_set *s = mg_calloc(1, sizeof *s);
    s->refs = 1;
    s->lent.topics = o->topics;
    s->lent.event_streams = o->event_streams;
    s->lent.guests = o->guests;
    int rc = open_client(s, loop, o, err);
    if (rc == MG_OK) {
        rc = open_upstreams(s, loop, o, err);
    }
    if (rc == MG_OK) {
        rc = open_cache(s, loop, o, err);
    }
    if (rc == MG_OK) {
        rc = open_redis(s, loop, o, err);
    }
    if (rc == MG_OK) {
        rc = open_databases(s, loop, o, err);
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
        service_unref(s->databases[i]);
    }
    for (uint32_t i = 0; s->redis != NULL && s->redis[i] != NULL; i++) {
        service_unref(s->redis[i]);
    }
    service_unref(s->cache);
    service_unref(s->cache_redis);
    service_unref(s->client);
    mg_upstreams_unref(s->lent.upstreams); // a set of its own, whose servers others may share
    mg_free(s->redis);
    mg_free(s->redis_names);
    mg_free(s->databases);
    mg_free(s->names);
    mg_arena_deinit(&s->arena);
    mg_free(s);
}

const mg_services *mg_service_set_lent(const mg_service_set *s) {
    return &s->lent;
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
