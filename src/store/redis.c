// What all kinds of Redis services have, and the table of functions of each.

#include "store/redis_ops.h"

#include "base/mem.h"

// --- making and ending ---

static int password_of(const void *arg, mg_buf *out, mg_error *err) {
    const mg_redis *r = arg;
    return mg_redis_settings_password(&r->settings, false, out, err);
}

static void set_login(mg_redis *r) {
    const mg_redis_settings *s = &r->settings;
    r->login = (mg_redis_login){
        .user = s->user,
        .password = password_of,
        .arg = r,
        .database = s->database,
        .client_name = s->client_name[0] != '\0' ? s->client_name : NULL,
        .role = s->kind == MG_REDIS_SENTINEL ? "master" : NULL,
        .resp2 = s->resp == 2,
        .readonly = s->replicas,
    };
}

// Takes the settings.
static int prepare(mg_redis *r, mg_loop *loop, const mg_redis_options *o,
                   const mg_redis_settings *settings) {
    r->loop = loop;
    r->settings = *settings;
    r->on_warning = o->on_warning;
    r->on_news = o->on_news;
    r->arg = o->arg;
    set_login(r);
    r->shared_login = r->login;
    mg_deadlines_init(&r->deadlines, loop, r->settings.timeout_ms, mg_redis_call_late);
    if (r->settings.tls) {
        r->tls = mg_tls_cache_new(loop, NULL, (mg_str){NULL, 0});
    }
    const mg_dns_options names = {.nameservers = o->nameservers};
    return mg_dns_new(&r->dns, loop, &names);
}

int mg_redis_open(mg_redis **out, mg_loop *loop, const mg_redis_options *o, mg_error *err) {
    mg_redis_settings settings = {0};
    int rc = mg_redis_settings_read(&settings, o->url, err);
    if (rc != MG_OK) {
        mg_redis_settings_deinit(&settings);
        return rc;
    }
    mg_redis *r =
        settings.kind == MG_REDIS_CLUSTER ? mg_redis_cluster_new() : mg_redis_client_new();
    rc = prepare(r, loop, o, &settings);
    if (rc != MG_OK) {
        mg_error_set(err, rc, "%s: %s", r->settings.name, mg_strerror(rc));
        mg_redis_free(r);
        return rc;
    }
    *out = r;
    return MG_OK;
}

void mg_redis_free(mg_redis *r) {
    if (r == NULL) {
        return;
    }
    r->ops->close(r);
    mg_deadlines_deinit(&r->deadlines);
    mg_tls_cache_free(r->tls);
    mg_dns_free(r->dns);
    mg_buf_deinit(&r->words);
    mg_redis_settings_deinit(&r->settings);
    mg_free(r);
}

mg_redis_conn_options mg_redis_conn_options_of(mg_redis *r, const char *host, uint16_t port,
                                               const char *path, const char *name) {
    enum { VALUE_BYTES = 64 }; // the reply of which limits the count of values
    const mg_redis_settings *s = &r->settings;
    uint64_t values = s->reply_bytes / VALUE_BYTES;
    return (mg_redis_conn_options){
        .connect =
            {
                .dns = r->dns,
                .host = host,
                .port = port,
                .unix_path = path,
                .tls = r->tls,
                .demands = {.ca = s->ca, .cert = s->cert, .key = s->key, .insecure = s->insecure},
                .server_name = s->server_name,
            },
        .login = &r->login,
        .name = name,
        .limits = {s->reply_bytes, (uint32_t)(values > 4096 ? values : 4096)},
        .connect_ms = s->connect_ms,
        .backoff_ms = s->backoff_ms,
        .queue = s->queue,
        .queue_bytes = 32 << 20,
        .deadlines = &r->deadlines,
    };
}

void mg_redis_tell(const mg_redis *r, bool bad, const char *text) {
    void (*on_line)(void *arg, const char *text) = bad ? r->on_warning : r->on_news;
    if (on_line != NULL) {
        on_line(r->arg, text);
    }
}

mg_redis_conn_options mg_redis_shared_options_of(mg_redis *r, const char *host, uint16_t port,
                                                 const char *path, const char *name) {
    enum { PING_MS = 1000 };
    mg_redis_conn_options o = mg_redis_conn_options_of(r, host, port, path, name);
    o.login = &r->shared_login;
    o.ping_ms = r->observer != NULL ? PING_MS : 0; // what it is told depends on it
    return o;
}

void mg_redis_encode(mg_redis *r, const mg_redis_command *commands, uint32_t count) {
    enum { KEPT = 64 * 1024 };
    if (r->words.cap > KEPT) {
        mg_buf_deinit(&r->words);
    }
    mg_buf_clear(&r->words);
    for (uint32_t i = 0; i < count; i++) {
        mg_redis_write(&r->words, commands[i].words, commands[i].n);
    }
}

// --- the table ---

int mg_redis_send(mg_redis *r, mg_redis_request *q, const mg_redis_command *commands,
                  uint32_t count, mg_error *err) {
    q->redis = r;
    return r->ops->send(r, q, commands, count, err);
}

void mg_redis_cancel(mg_redis_request *q) {
    q->redis->ops->cancel(q);
}

int mg_redis_lease(mg_redis *r, mg_str key, mg_redis_conn **out, mg_error *err) {
    return r->ops->lease(r, key, out, err);
}

void mg_redis_give_back(mg_redis *r, mg_redis_conn *c, bool clean) {
    r->ops->give_back(r, c, clean);
}

int mg_redis_subscribe(mg_redis *r, mg_redis_subscription *s, mg_error *err) {
    s->again = false;
    s->node = NULL;
    mg_link_init(&s->others);
    return r->ops->subscribe(r, s, err);
}

void mg_redis_unsubscribe(mg_redis *r, mg_redis_subscription *s) {
    r->ops->unsubscribe(r, s);
}

void mg_redis_observe(mg_redis *r, const mg_redis_observer *o) {
    r->observer = o;
    r->shared_login = r->login;
    if (o != NULL) {
        r->shared_login.greetings = o->greetings;
        r->shared_login.greeting_count = o->greeting_count;
    }
}

void mg_redis_read_stats(const mg_redis *r, mg_redis_stats *out) {
    *out = (mg_redis_stats){.why = ""};
    r->ops->read_stats(r, out);
}

const mg_redis_settings *mg_redis_settings_of(const mg_redis *r) {
    return &r->settings;
}
