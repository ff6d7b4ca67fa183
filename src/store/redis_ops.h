// store/redis_ops.h: one kind of Redis service, seen from redis.c. Not for other rooms.
//
// A kind embeds mg_redis at the front of its own and fills it.
#pragma once

#include "store/redis.h"

typedef struct mg_redis_ops {
    int (*send)(mg_redis *r, mg_redis_request *q, const mg_redis_command *commands, uint32_t count,
                mg_error *err);
    void (*cancel)(mg_redis_request *q);
    int (*lease)(mg_redis *r, mg_str key, mg_redis_conn **out, mg_error *err);
    void (*give_back)(mg_redis *r, mg_redis_conn *c, bool clean);
    int (*subscribe)(mg_redis *r, mg_redis_subscription *s, mg_error *err);
    void (*unsubscribe)(mg_redis *r, mg_redis_subscription *s);
    void (*read_stats)(const mg_redis *r, mg_redis_stats *out);
    void (*close)(mg_redis *r); // its own things; the rest and the memory go with mg_redis_free
} mg_redis_ops;

// What all kinds have: made and freed by redis.c.
struct mg_redis {
    const mg_redis_ops *ops;
    mg_loop *loop;
    mg_redis_settings settings;
    mg_dns *dns;
    mg_tls_cache *tls;                 // NULL: without TLS
    mg_redis_login login;              // of its servers
    mg_redis_login shared_login;       // likewise, with what the observer wants to be said
    mg_buf words;                      // of commands: mg_redis_encode
    const mg_redis_observer *observer; // NULL: none
    mg_deadlines deadlines;            // of calls with the service's own timeout
    void (*on_warning)(void *arg, const char *text);
    void (*on_news)(void *arg, const char *text);
    void *arg;
};

// How a connection of this service to `host` is made; `path`: to that socket instead. The caller
// adds its events.
mg_redis_conn_options mg_redis_conn_options_of(mg_redis *r, const char *host, uint16_t port,
                                               const char *path, const char *name);

void mg_redis_tell(const mg_redis *r, bool bad, const char *text);

// Writes commands into `words`, anew.
void mg_redis_encode(mg_redis *r, const mg_redis_command *commands, uint32_t count);

// The same for a connection that requests share, on which an observer may have wishes.
mg_redis_conn_options mg_redis_shared_options_of(mg_redis *r, const char *host, uint16_t port,
                                                 const char *path, const char *name);

// One server, or one that sentinels name: redis_client.c.
mg_redis *mg_redis_client_new(void);

// A cluster of them: redis_cluster.c.
mg_redis *mg_redis_cluster_new(void);
