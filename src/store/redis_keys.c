#include "store/redis_keys.h"

#include "store/redis_slots.h"

#include <stdlib.h>

// Where keys stand, from COMMAND of Redis 7.0. What has one key, first, and writes is not listed.
typedef enum shape {
    KEYS,     // from first to last; a negative last counts from the end
    NUMBERED, // so many as word [first] says, behind that
    STORED,   // the same, and word [1]
    STREAMS,  // the first half of what is behind STREAMS
    ANY,
    EVERY,
    OWN,  // of a connection that nobody else has
    PART, // of one server's keys
    TURN, // likewise, but whoever asks goes on with the next one
} shape;

enum { WRITES, READS };

typedef struct row {
    const char *name;
    uint8_t shape;
    int8_t first, last, step;
    uint8_t reads;
} row;

// Sorted by name.
// clang-format off
static const row rows[] = {
    {"acl", ANY, 0, 0, 0, WRITES},
    {"asking", OWN, 0, 0, 0, WRITES},
    {"auth", OWN, 0, 0, 0, WRITES},
    {"bgrewriteaof", ANY, 0, 0, 0, WRITES},
    {"bgsave", ANY, 0, 0, 0, WRITES},
    {"bitcount", KEYS, 1, 1, 1, READS},
    {"bitfield_ro", KEYS, 1, 1, 1, READS},
    {"bitop", KEYS, 2, -1, 1, WRITES},
    {"bitpos", KEYS, 1, 1, 1, READS},
    {"blmove", KEYS, 1, 2, 1, WRITES},
    {"blmpop", NUMBERED, 2, 0, 0, WRITES},
    {"blpop", KEYS, 1, -2, 1, WRITES},
    {"brpop", KEYS, 1, -2, 1, WRITES},
    {"brpoplpush", KEYS, 1, 2, 1, WRITES},
    {"bzmpop", NUMBERED, 2, 0, 0, WRITES},
    {"bzpopmax", KEYS, 1, -2, 1, WRITES},
    {"bzpopmin", KEYS, 1, -2, 1, WRITES},
    {"client", ANY, 0, 0, 0, WRITES},
    {"cluster", ANY, 0, 0, 0, WRITES},
    {"command", ANY, 0, 0, 0, WRITES},
    {"config", ANY, 0, 0, 0, WRITES},
    {"copy", KEYS, 1, 2, 1, WRITES},
    {"dbsize", EVERY, 0, 0, 0, READS},
    {"debug", ANY, 0, 0, 0, WRITES},
    {"del", KEYS, 1, -1, 1, WRITES},
    {"discard", OWN, 0, 0, 0, WRITES},
    {"dump", KEYS, 1, 1, 1, READS},
    {"echo", ANY, 0, 0, 0, READS},
    {"eval", NUMBERED, 2, 0, 0, WRITES},
    {"eval_ro", NUMBERED, 2, 0, 0, READS},
    {"evalsha", NUMBERED, 2, 0, 0, WRITES},
    {"evalsha_ro", NUMBERED, 2, 0, 0, READS},
    {"exec", OWN, 0, 0, 0, WRITES},
    {"exists", KEYS, 1, -1, 1, READS},
    {"expiretime", KEYS, 1, 1, 1, READS},
    {"failover", OWN, 0, 0, 0, WRITES},
    {"fcall", NUMBERED, 2, 0, 0, WRITES},
    {"fcall_ro", NUMBERED, 2, 0, 0, READS},
    {"flushall", EVERY, 0, 0, 0, WRITES},
    {"flushdb", EVERY, 0, 0, 0, WRITES},
    {"function", EVERY, 0, 0, 0, WRITES},
    {"geodist", KEYS, 1, 1, 1, READS},
    {"geohash", KEYS, 1, 1, 1, READS},
    {"geopos", KEYS, 1, 1, 1, READS},
    {"georadius_ro", KEYS, 1, 1, 1, READS},
    {"georadiusbymember_ro", KEYS, 1, 1, 1, READS},
    {"geosearch", KEYS, 1, 1, 1, READS},
    {"geosearchstore", KEYS, 1, 2, 1, WRITES},
    {"get", KEYS, 1, 1, 1, READS},
    {"getbit", KEYS, 1, 1, 1, READS},
    {"getrange", KEYS, 1, 1, 1, READS},
    {"hello", OWN, 0, 0, 0, WRITES},
    {"hexists", KEYS, 1, 1, 1, READS},
    {"hget", KEYS, 1, 1, 1, READS},
    {"hgetall", KEYS, 1, 1, 1, READS},
    {"hkeys", KEYS, 1, 1, 1, READS},
    {"hlen", KEYS, 1, 1, 1, READS},
    {"hmget", KEYS, 1, 1, 1, READS},
    {"hrandfield", KEYS, 1, 1, 1, READS},
    {"hscan", KEYS, 1, 1, 1, READS},
    {"hstrlen", KEYS, 1, 1, 1, READS},
    {"hvals", KEYS, 1, 1, 1, READS},
    {"info", ANY, 0, 0, 0, READS},
    {"keys", PART, 0, 0, 0, READS},
    {"lastsave", ANY, 0, 0, 0, READS},
    {"latency", ANY, 0, 0, 0, WRITES},
    {"lcs", KEYS, 1, 2, 1, READS},
    {"lindex", KEYS, 1, 1, 1, READS},
    {"llen", KEYS, 1, 1, 1, READS},
    {"lmove", KEYS, 1, 2, 1, WRITES},
    {"lmpop", NUMBERED, 1, 0, 0, WRITES},
    {"lolwut", ANY, 0, 0, 0, WRITES},
    {"lpos", KEYS, 1, 1, 1, READS},
    {"lrange", KEYS, 1, 1, 1, READS},
    {"memory", KEYS, 2, 2, 1, READS},
    {"mget", KEYS, 1, -1, 1, READS},
    {"migrate", OWN, 0, 0, 0, WRITES},
    {"module", ANY, 0, 0, 0, WRITES},
    {"monitor", OWN, 0, 0, 0, WRITES},
    {"move", OWN, 0, 0, 0, WRITES},
    {"mset", KEYS, 1, -1, 2, WRITES},
    {"msetnx", KEYS, 1, -1, 2, WRITES},
    {"multi", OWN, 0, 0, 0, WRITES},
    {"object", KEYS, 2, 2, 1, READS},
    {"pexpiretime", KEYS, 1, 1, 1, READS},
    {"pfcount", KEYS, 1, -1, 1, READS},
    {"pfdebug", KEYS, 2, 2, 1, WRITES},
    {"pfmerge", KEYS, 1, -1, 1, WRITES},
    {"pfselftest", ANY, 0, 0, 0, WRITES},
    {"ping", ANY, 0, 0, 0, READS},
    {"psubscribe", OWN, 0, 0, 0, WRITES},
    {"psync", OWN, 0, 0, 0, WRITES},
    {"pttl", KEYS, 1, 1, 1, READS},
    {"publish", ANY, 0, 0, 0, WRITES},
    {"pubsub", ANY, 0, 0, 0, WRITES},
    {"punsubscribe", OWN, 0, 0, 0, WRITES},
    {"quit", OWN, 0, 0, 0, WRITES},
    {"randomkey", PART, 0, 0, 0, READS},
    {"readonly", OWN, 0, 0, 0, WRITES},
    {"readwrite", OWN, 0, 0, 0, WRITES},
    {"rename", KEYS, 1, 2, 1, WRITES},
    {"renamenx", KEYS, 1, 2, 1, WRITES},
    {"replconf", OWN, 0, 0, 0, WRITES},
    {"replicaof", OWN, 0, 0, 0, WRITES},
    {"reset", OWN, 0, 0, 0, WRITES},
    {"role", ANY, 0, 0, 0, READS},
    {"rpoplpush", KEYS, 1, 2, 1, WRITES},
    {"save", ANY, 0, 0, 0, WRITES},
    {"scan", TURN, 0, 0, 0, READS},
    {"scard", KEYS, 1, 1, 1, READS},
    {"script", EVERY, 0, 0, 0, WRITES},
    {"sdiff", KEYS, 1, -1, 1, READS},
    {"sdiffstore", KEYS, 1, -1, 1, WRITES},
    {"select", OWN, 0, 0, 0, WRITES},
    {"shutdown", OWN, 0, 0, 0, WRITES},
    {"sinter", KEYS, 1, -1, 1, READS},
    {"sintercard", NUMBERED, 1, 0, 0, READS},
    {"sinterstore", KEYS, 1, -1, 1, WRITES},
    {"sismember", KEYS, 1, 1, 1, READS},
    {"slaveof", OWN, 0, 0, 0, WRITES},
    {"slowlog", ANY, 0, 0, 0, WRITES},
    {"smembers", KEYS, 1, 1, 1, READS},
    {"smismember", KEYS, 1, 1, 1, READS},
    {"smove", KEYS, 1, 2, 1, WRITES},
    {"sort_ro", KEYS, 1, 1, 1, READS},
    {"srandmember", KEYS, 1, 1, 1, READS},
    {"sscan", KEYS, 1, 1, 1, READS},
    {"ssubscribe", OWN, 0, 0, 0, WRITES},
    {"strlen", KEYS, 1, 1, 1, READS},
    {"subscribe", OWN, 0, 0, 0, WRITES},
    {"substr", KEYS, 1, 1, 1, READS},
    {"sunion", KEYS, 1, -1, 1, READS},
    {"sunionstore", KEYS, 1, -1, 1, WRITES},
    {"sunsubscribe", OWN, 0, 0, 0, WRITES},
    {"swapdb", OWN, 0, 0, 0, WRITES},
    {"sync", OWN, 0, 0, 0, WRITES},
    {"time", ANY, 0, 0, 0, READS},
    {"touch", KEYS, 1, -1, 1, READS},
    {"ttl", KEYS, 1, 1, 1, READS},
    {"type", KEYS, 1, 1, 1, READS},
    {"unlink", KEYS, 1, -1, 1, WRITES},
    {"unsubscribe", OWN, 0, 0, 0, WRITES},
    {"unwatch", OWN, 0, 0, 0, WRITES},
    {"wait", OWN, 0, 0, 0, WRITES},
    {"watch", OWN, 0, 0, 0, WRITES},
    {"xgroup", KEYS, 2, 2, 1, WRITES},
    {"xinfo", KEYS, 2, 2, 1, READS},
    {"xlen", KEYS, 1, 1, 1, READS},
    {"xpending", KEYS, 1, 1, 1, READS},
    {"xrange", KEYS, 1, 1, 1, READS},
    {"xread", STREAMS, 1, 0, 0, READS},
    {"xreadgroup", STREAMS, 1, 0, 0, WRITES},
    {"xrevrange", KEYS, 1, 1, 1, READS},
    {"zcard", KEYS, 1, 1, 1, READS},
    {"zcount", KEYS, 1, 1, 1, READS},
    {"zdiff", NUMBERED, 1, 0, 0, READS},
    {"zdiffstore", STORED, 2, 0, 0, WRITES},
    {"zinter", NUMBERED, 1, 0, 0, READS},
    {"zintercard", NUMBERED, 1, 0, 0, READS},
    {"zinterstore", STORED, 2, 0, 0, WRITES},
    {"zlexcount", KEYS, 1, 1, 1, READS},
    {"zmpop", NUMBERED, 1, 0, 0, WRITES},
    {"zmscore", KEYS, 1, 1, 1, READS},
    {"zrandmember", KEYS, 1, 1, 1, READS},
    {"zrange", KEYS, 1, 1, 1, READS},
    {"zrangebylex", KEYS, 1, 1, 1, READS},
    {"zrangebyscore", KEYS, 1, 1, 1, READS},
    {"zrangestore", KEYS, 1, 2, 1, WRITES},
    {"zrank", KEYS, 1, 1, 1, READS},
    {"zrevrange", KEYS, 1, 1, 1, READS},
    {"zrevrangebylex", KEYS, 1, 1, 1, READS},
    {"zrevrangebyscore", KEYS, 1, 1, 1, READS},
    {"zrevrank", KEYS, 1, 1, 1, READS},
    {"zscan", KEYS, 1, 1, 1, READS},
    {"zscore", KEYS, 1, 1, 1, READS},
    {"zunion", NUMBERED, 1, 0, 0, READS},
    {"zunionstore", STORED, 2, 0, 0, WRITES},
};
// clang-format on

static const struct {
    const char *name;
    mg_redis_join join;
} parted[] = {
    {"del", MG_REDIS_SUM},    {"exists", MG_REDIS_SUM}, {"mget", MG_REDIS_LIST},
    {"mset", MG_REDIS_PAIRS}, {"touch", MG_REDIS_SUM},  {"unlink", MG_REDIS_SUM},
};

typedef struct name {
    char text[24]; // lower case, terminated; longer ones are in no table
} name;

static name name_of(mg_str word) {
    name n = {{0}};
    for (size_t i = 0; word.n < sizeof n.text && i < word.n; i++) {
        n.text[i] = mg_lower(word.p[i]);
    }
    return n;
}

static int compare(const void *key, const void *item) {
    return strcmp(((const name *)key)->text, ((const row *)item)->name);
}

static mg_redis_join join_of(const name *n) {
    for (size_t i = 0; i < sizeof parted / sizeof *parted; i++) {
        if (strcmp(parted[i].name, n->text) == 0) {
            return parted[i].join;
        }
    }
    return MG_REDIS_ONE;
}

// --- where keys stand ---

static void set_keys(mg_redis_route *out, const mg_redis_command *c, const row *r) {
    int64_t last = r->last < 0 ? (int64_t)c->n + r->last : r->last;
    out->first = (uint32_t)r->first;
    out->step = (uint32_t)r->step;
    out->last = last < 0 ? 0 : (uint32_t)last;
}

// How many keys there are is told by a word, and no more than there are words.
static void set_numbered(mg_redis_route *out, const mg_redis_command *c, uint32_t at) {
    uint64_t n = 0;
    if (at < c->n && mg_str_to_u64(c->words[at], c->n - at - 1, &n)) {
        out->first = at + 1;
        out->last = at + (uint32_t)n;
        out->step = 1;
    }
}

static void set_streams(mg_redis_route *out, const mg_redis_command *c) {
    uint32_t at = 1;
    while (at < c->n && !mg_str_ieq(c->words[at], MG_STR("STREAMS"))) {
        at++;
    }
    if (at < c->n) {
        out->first = at + 1;
        out->last = at + (c->n - at - 1) / 2;
        out->step = 1;
    }
}

static void set_shape(mg_redis_route *out, const mg_redis_command *c, const row *r) {
    switch ((shape)r->shape) {
    case KEYS:
        set_keys(out, c, r);
        break;
    case NUMBERED:
    case STORED:
        set_numbered(out, c, (uint32_t)r->first);
        out->also = r->shape == STORED;
        break;
    case STREAMS:
        set_streams(out, c);
        break;
    case ANY:
        out->whither = MG_REDIS_ANYONE;
        break;
    case EVERY:
        out->whither = MG_REDIS_EVERYONE;
        break;
    case OWN:
        out->whither = MG_REDIS_NOBODY;
        out->why = "is of a connection that nobody else has";
        break;
    case PART:
        out->whither = MG_REDIS_NOBODY;
        out->why = "tells of the keys of one server alone";
        break;
    case TURN:
        out->whither = c->n > 1 ? MG_REDIS_IN_TURN : MG_REDIS_ANYONE;
        break;
    }
}

static bool is_caching(const mg_redis_command *c) {
    return c->n > 1 && mg_str_ieq(c->words[0], MG_STR("CLIENT")) &&
           mg_str_ieq(c->words[1], MG_STR("CACHING"));
}

mg_redis_route mg_redis_route_of(const mg_redis_command *c) {
    static const row unknown = {"", KEYS, 1, 1, 1, WRITES};
    mg_redis_route out = {.whither = MG_REDIS_BY_KEYS};
    if (c->n == 0 || is_caching(c)) {
        out.whither = c->n == 0 ? MG_REDIS_ANYONE : MG_REDIS_NEXT;
        return out;
    }
    name n = name_of(c->words[0]);
    const row *r = bsearch(&n, rows, sizeof rows / sizeof *rows, sizeof *rows, compare);
    r = r != NULL ? r : &unknown;
    out.reads = r->reads == READS;
    set_shape(&out, c, r);
    out.last = out.last < c->n ? out.last : c->n - 1;
    out.also = out.also < c->n ? out.also : 0;
    bool none = out.first == 0 || out.first > out.last;
    if (out.whither == MG_REDIS_BY_KEYS && none && out.also == 0) {
        out.whither = MG_REDIS_ANYONE; // that server will say what is missing
    } else if (out.whither == MG_REDIS_BY_KEYS) {
        out.join = (uint8_t)join_of(&n);
    } else if (out.whither == MG_REDIS_EVERYONE && strcmp(n.text, "dbsize") == 0) {
        out.join = MG_REDIS_SUM;
    }
    return out;
}

// --- slots ---

static int refuse(const mg_redis_command *c, mg_str a, mg_str b, mg_error *err) {
    enum { SHOWN = 64 };
    return mg_error_set(err, MG_ESYNTAX,
                        "%.*s: the keys \"%.*s\" and \"%.*s\" lie in different slots of the "
                        "cluster: give them one hash tag, as in {cart}:1 and {cart}:2",
                        (int)(c->words[0].n < SHOWN ? c->words[0].n : SHOWN), c->words[0].p,
                        (int)(a.n < SHOWN ? a.n : SHOWN), a.p, (int)(b.n < SHOWN ? b.n : SHOWN),
                        b.p);
}

int mg_redis_slot_of(const mg_redis_command *c, const mg_redis_route *route, uint16_t *slot,
                     mg_error *err) {
    const mg_str *one = route->also > 0 ? &c->words[route->also] : NULL;
    for (uint32_t i = route->first; i > 0 && i <= route->last; i += route->step) {
        if (one != NULL && mg_redis_slot(*one) != mg_redis_slot(c->words[i])) {
            return refuse(c, *one, c->words[i], err);
        }
        one = &c->words[i];
    }
    *slot = one != NULL ? mg_redis_slot(*one) : 0;
    return MG_OK;
}
