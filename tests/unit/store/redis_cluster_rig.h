// redis_cluster_rig.h: a cluster on redis_rig.h: two masters, and what requests to it came to.
#pragma once

#include "store/redis.h"

#include "redis_rig.h"

// "b" and "bar" are in the slots of a server at a:1, "a" and "foo" in those of one at b:2.
#define RANGE(first, last, servers, n) "*" n "\r\n:" first "\r\n:" last "\r\n" servers
#define SERVER(host, port)             "*3\r\n$1\r\n" host "\r\n:" port "\r\n$2\r\nid\r\n"
#define MAP                                                                                        \
    "*2\r\n" RANGE("0", "8191", SERVER("a", "1"), "3") RANGE("8192", "16383", SERVER("b", "2"), "3")

typedef struct asked {
    mg_redis_request q;
    char said[512];
    bool over;
} asked;

static mg_redis *redis;
static asked calls[8];
static mg_error refused;
static int seed, a, b; // which dials these were
static int moves;      // that the observer was told of
static bool alone;     // requests have connections of their own
static bool observed;  // there is one; connections that are quiet for a second are asked then
static char news[512];

static inline void show(char *out, size_t n, const mg_redis_reply *r) {
    size_t at = strlen(out);
    for (uint32_t i = 0; i < r->count; i++) {
        const mg_redis_value *v = &r->values[i];
        mg_str text = mg_redis_is_text(v) ? mg_redis_text(r, v) : MG_STR("");
        char number[32] = "";
        if (v->type == MG_REDIS_INTEGER) {
            snprintf(number, sizeof number, "%lld", (long long)v->integer);
        }
        at += (size_t)snprintf(out + at, n - at, "%s%.*s%s%s", i > 0 ? "," : "", (int)text.n,
                               text.p, number,
                               v->type == MG_REDIS_NULL    ? "null"
                               : v->type == MG_REDIS_ARRAY ? "*"
                                                           : "");
    }
}

static inline void on_reply(mg_redis_request *q, uint32_t index, const mg_redis_reply *r,
                            bool last) {
    asked *c = MG_OF(q, asked, q);
    size_t n = strlen(c->said);
    snprintf(c->said + n, sizeof c->said - n, "%s%u=", index > 0 ? " " : "", index);
    show(c->said, sizeof c->said, r);
    c->over = last;
}

static inline void on_fault(mg_redis_request *q, const mg_redis_fault *f) {
    asked *c = MG_OF(q, asked, q);
    snprintf(c->said, sizeof c->said, "%s%s: %s", f->code, f->sent ? " (sent)" : "", f->text);
    c->over = true;
}

static inline void write_news(const char *sign, const char *text) {
    size_t n = strlen(news);
    snprintf(news + n, sizeof news - n, "%s%s\n", sign, text);
}

static inline void on_news(void *arg, const char *text) {
    (void)arg;
    write_news("", text);
}

static inline void on_warning(void *arg, const char *text) {
    (void)arg;
    write_news("! ", text);
}

static inline void on_moved(void *arg) {
    (void)arg;
    moves++;
}

static const mg_redis_observer observer = {.on_lost = on_moved};

// "GET a|SET b 1"
static inline int ask_within(int i, const char *text, uint32_t timeout_ms) {
    static char copy[512];
    static mg_str words[64];
    static mg_redis_command commands[16];
    uint32_t count = 0;
    uint32_t n = 0;
    char *after;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *line = strtok_r(copy, "|", &after); line; line = strtok_r(NULL, "|", &after)) {
        char *rest;
        commands[count].words = &words[n];
        commands[count].n = 0;
        for (char *w = strtok_r(line, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
            words[n++] = mg_str_of(w);
            commands[count].n++;
        }
        count++;
    }
    calls[i] = (asked){
        .q = {
            .on_reply = on_reply, .on_fault = on_fault, .timeout_ms = timeout_ms, .alone = alone}};
    refused.text[0] = '\0';
    int rc = mg_redis_send(redis, &calls[i].q, commands, count, &refused);
    mg_loop_turn_soon(rig_loop);
    return rc;
}

static inline void ask(int i, const char *text) {
    assert_int_equal(ask_within(i, text, 0), MG_OK);
}

static inline void greet(int server) {
    assert_string_equal(rig_got(server), "HELLO 3");
    rig_say(server, "%1\r\n+proto\r\n:3\r\n");
    for (const char *got = rig_got(server); got != NULL; got = strchr(got, '|')) {
        got += *got == '|';
        rig_say(server, "+OK\r\n");
    }
}

// The dial to that port, the newest; -1: there was none.
static inline int dial_to(uint16_t port) {
    for (int i = rig_count - 1; i >= 0; i--) {
        if (rig_servers[i].port == port) {
            return i;
        }
    }
    return -1;
}

static inline void open_redis(const char *url) {
    mg_error err;
    const mg_redis_options o = {
        .url = mg_str_of(url), .on_warning = on_warning, .on_news = on_news};
    news[0] = '\0';
    moves = 0;
    if (mg_redis_open(&redis, rig_loop, &o, &err) != MG_OK) {
        fail_msg("%s", err.text);
    }
    mg_redis_observe(redis, observed ? &observer : NULL);
}

// With a map, and connections to both.
static inline void open_with(const char *url, const char *map) {
    open_redis(url);
    ask(0, "GET b");
    ask(1, "GET a");
    rig_settle();
    seed = dial_to(9);
    greet(seed);
    assert_string_equal(rig_got(seed), "CLUSTER SLOTS");
    rig_say(seed, map);
    a = dial_to(1);
    b = dial_to(2);
    greet(a);
    greet(b);
    assert_string_equal(rig_got(a), "GET b");
    assert_string_equal(rig_got(b), "GET a");
    rig_say(a, "+B\r\n");
    rig_say(b, "+A\r\n");
    assert_string_equal(calls[0].said, "0=B");
    assert_string_equal(calls[1].said, "0=A");
    moves = 0;
}

static inline void open_cluster(void) {
    observed = false;
    open_with("redis+cluster://s:9", MAP);
}

static inline void open_observed(void) {
    observed = true;
    open_with("redis+cluster://s:9", MAP);
    observed = false;
}

static inline int close_rig(void **state) {
    mg_redis_free(redis);
    redis = NULL;
    rig_settle();
    return rig_close(state);
}

// Whoever is asked for a map, of all who are connected, gives it.
static inline bool give_map(const char *map) {
    for (int i = 0; i < rig_count; i++) {
        if (rig_servers[i].open && !rig_servers[i].ended &&
            strcmp(rig_got(i), "CLUSTER SLOTS") == 0) {
            rig_say(i, map);
            return true;
        }
    }
    return false;
}

// Answers what that server was asked since the last time: with a map, or else with `reply`. How
// many maps these were.
static inline int serve(int server, const char *map, const char *reply) {
    char got[4096];
    char *rest;
    int maps = 0;
    snprintf(got, sizeof got, "%s", rig_got(server));
    for (char *c = strtok_r(got, "|", &rest); c != NULL; c = strtok_r(NULL, "|", &rest)) {
        bool is_map = strcmp(c, "CLUSTER SLOTS") == 0;
        maps += is_map;
        rig_say(server, is_map ? map : reply);
    }
    return maps;
}
