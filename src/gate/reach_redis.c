// Redis, of the cache too: a PING that is answered is what is wanted, so that the greeting, with
// user, password and database, was accepted, and of sentinels and clusters somebody was found.

#include "gate/reach.h"
#include "store/redis.h"

#include <stdio.h>

typedef struct redis_probe {
    mg_probe probe;
    mg_redis *redis;
    mg_redis_request request;
} redis_probe;

static void on_reply(mg_redis_request *q, uint32_t index, const mg_redis_reply *r, bool last) {
    redis_probe *p = MG_OF(q, redis_probe, request);
    char text[200];
    (void)index;
    (void)last; // it is one command
    if (r->count > 0 && r->values[0].type != MG_REDIS_ERROR) {
        mg_probe_end(&p->probe, NULL);
        return;
    }
    mg_str said = r->count > 0 ? mg_redis_text(r, r->values) : MG_STR("more than max_reply");
    snprintf(text, sizeof text, "it says: %.*s", (int)(said.n < 160 ? said.n : 160), said.p);
    mg_probe_end(&p->probe, text);
}

static void on_fault(mg_redis_request *q, const mg_redis_fault *f) {
    mg_probe_end(&MG_OF(q, redis_probe, request)->probe, f->text);
}

static void free_redis(mg_probe *probe) {
    mg_redis_free(MG_OF(probe, redis_probe, probe)->redis);
}

static void try_redis(mg_reach *r, const char *what, const char *url) {
    static const mg_str ping[] = {{"PING", 4}};
    const mg_redis_command command = {ping, 1};
    const mg_redis_options options = {.url = mg_str_of(url),
                                      .nameservers = r->config->http.nameservers};
    redis_probe *p = mg_arena_alloc(&r->arena, sizeof *p);
    mg_error err;
    memset(p, 0, sizeof *p);
    int rc = mg_redis_open(&p->redis, r->loop, &options, &err);
    mg_probe_begin(r, &p->probe, what, rc == MG_OK ? mg_redis_settings_of(p->redis)->name : NULL,
                   free_redis);
    if (rc == MG_OK) {
        p->request = (mg_redis_request){
            .on_reply = on_reply, .on_fault = on_fault, .timeout_ms = MG_REACH_MS};
        rc = mg_redis_send(p->redis, &p->request, &command, 1, &err);
    }
    if (rc != MG_OK) {
        mg_probe_end(&p->probe, err.text);
    }
}

void mg_reach_redis(mg_reach *r) {
    const mg_config *c = r->config;
    char what[96];
    if (c->cache.url != NULL) {
        try_redis(r, "cache", c->cache.url);
    }
    for (size_t i = 0; i < c->redis.n; i++) {
        snprintf(what, sizeof what, "redis %s", c->redis.items[i].name);
        try_redis(r, what, c->redis.items[i].url);
    }
}
