// store/redis.h: a Redis service as seen from the loop, however many servers it has: commands in,
// replies out, later. What is behind it (one server, found by sentinels or not; a cluster) is a
// table of functions, as with databases.
//
// An mg_redis owns its connections. Requests, subscriptions are their callers' memory. No function
// calls back before it returns.
#pragma once

#include "store/redis_conn.h"
#include "store/redis_settings.h"

typedef struct mg_redis mg_redis;
typedef struct mg_redis_request mg_redis_request;

// Embedded in its caller's struct; a kind's own but for the first four.
struct mg_redis_request {
    // The reply to the command number `index`, from 0, borrowed (mg_redis_keep); they come in
    // order. `last`: the request is over, and its memory may go.
    void (*on_reply)(mg_redis_request *q, uint32_t index, const mg_redis_reply *r, bool last);
    void (*on_fault)(mg_redis_request *q, const mg_redis_fault *f); // no more replies: it is over
    uint32_t timeout_ms;                                            // 0: the service's own
    // Its commands wait at the server: they have a connection of their own, one of the leases, and
    // with `timeout_ms` 0 they may wait for ever. In a cluster their keys lie in one slot.
    bool alone;

    mg_redis *redis;
    uint32_t count;
    mg_redis_call call;
    void *inside;
};

typedef enum mg_redis_channel_kind {
    MG_REDIS_CHANNEL, // SUBSCRIBE
    MG_REDIS_PATTERN, // PSUBSCRIBE
    MG_REDIS_SHARDED, // SSUBSCRIBE, of Redis 7
} mg_redis_channel_kind;

// Somebody who listens. Embedded in its owner's struct.
typedef struct mg_redis_subscription mg_redis_subscription;
struct mg_redis_subscription {
    void (*on_message)(mg_redis_subscription *s, mg_str channel, mg_str message);
    // The server has confirmed it: `again`, after the connection was lost, so that messages may
    // have been missed.
    void (*on_listening)(mg_redis_subscription *s, bool again);
    // It cannot be: the server refuses it. It is over.
    void (*on_fault)(mg_redis_subscription *s, const mg_redis_fault *f);
    uint32_t kind;    // mg_redis_channel_kind
    const char *name; // borrowed until its end

    mg_link link; // a kind's own
    void *inside;
    bool waits;                 // for its first confirmation
    bool again;                 // it listened elsewhere before: something may have been missed
    mg_link others;             // of a cluster: those that are sharded
    struct mg_redis_node *node; // likewise
};

// Who is told what servers push on the connections that requests share, and when one of these is
// lost: the near cache. `greetings` are said on each of them before all else.
typedef struct mg_redis_observer {
    const mg_redis_command *greetings;
    uint32_t greeting_count;
    void (*on_push)(void *arg, const mg_redis_reply *r);
    void (*on_lost)(void *arg);
    void *arg;
} mg_redis_observer;

typedef struct mg_redis_stats {
    const char *state; // static: "idle" "connecting" "ready" "down"
    const char *why;   // borrowed: of "down"; ""
    uint32_t connections, leased, waiting, subscriptions;
    uint64_t calls, faults, timeouts, reconnects;
} mg_redis_stats;

typedef struct mg_redis_options {
    mg_str url;
    const char *nameservers;                         // NULL: as resolv.conf says
    void (*on_warning)(void *arg, const char *text); // it is lost. NULL: nobody is told
    void (*on_news)(void *arg, const char *text);    // it is there again; another is the master
    void *arg;
} mg_redis_options;

// What is in `o` may go afterwards. A negative code and a text. Nothing is dialled before it is
// needed.
int mg_redis_open(mg_redis **out, mg_loop *loop, const mg_redis_options *o, mg_error *err);
void mg_redis_free(mg_redis *r); // accepts NULL; nobody is told

// Begins `q`. MG_OK; MG_ELIMIT: too many are under way; MG_ECLOSED: it is down, MG_ESYNTAX: no
// server can do this (of a cluster): `err` says why. Texts are copied where they wait.
int mg_redis_send(mg_redis *r, mg_redis_request *q, const mg_redis_command *commands,
                  uint32_t count, mg_error *err);

// Nobody wants to know any more: what has not been sent never is. Not after its end.
void mg_redis_cancel(mg_redis_request *q);

// A connection for one alone, until it is given back: for WATCH. It goes to who has `key` (of a
// cluster; empty: to anyone). MG_OK; MG_ELIMIT: all are taken; MG_ECLOSED: it is down; and a text.
// `clean`: as it was found, so that the next one may have it.
int mg_redis_lease(mg_redis *r, mg_str key, mg_redis_conn **out, mg_error *err);
void mg_redis_give_back(mg_redis *r, mg_redis_conn *c, bool clean);

// Listens until mg_redis_unsubscribe or on_fault, also beyond losses of the connection.
int mg_redis_subscribe(mg_redis *r, mg_redis_subscription *s, mg_error *err);
void mg_redis_unsubscribe(mg_redis *r, mg_redis_subscription *s);

// `o` is borrowed until there is another one or none (NULL). Before the first request.
void mg_redis_observe(mg_redis *r, const mg_redis_observer *o);

// What its URL asks for.
const mg_redis_settings *mg_redis_settings_of(const mg_redis *r);

void mg_redis_read_stats(const mg_redis *r, mg_redis_stats *out);
