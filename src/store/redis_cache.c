#include "store/redis_cache.h"

#include "base/codec.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/random.h"
#include "store/cache_ops.h"

#include <errno.h>
#include <stdio.h>

enum { TOKEN_BYTES = 32, NUMBER_BYTES = 24, SHA_BYTES = 40, WORDS = 8 };

// Whose lease it is can only be looked at and ended in one step.
static const char release_script[] =
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0";
// The sum as text: numbers of a script have 53 bits.
static const char increment_script[] =
    "if ARGV[3] == '0' then redis.call('set', KEYS[1], ARGV[2], 'NX')"
    " else redis.call('set', KEYS[1], ARGV[2], 'NX', 'PX', ARGV[3]) end"
    " redis.call('incrby', KEYS[1], ARGV[1]) return redis.call('get', KEYS[1])";

typedef struct script {
    mg_str text;
    char sha[SHA_BYTES + 1]; // "": the machine makes no such digests
} script;

typedef struct redis_cache {
    mg_cache cache;
    mg_redis *redis;
    char token[TOKEN_BYTES + 1]; // of leases
    script release, increment;
    mg_link calls;
    mg_cache_stats stats;
    mg_error err; // of what failed at once
} redis_cache;

typedef struct call call;
typedef void (*read_reply)(call *c, const mg_redis_reply *r, mg_cache_result *out);

struct call {
    mg_cache_call base;
    mg_link link;
    mg_redis_request request;
    read_reply read;
    mg_buf words; // what is kept of the command, to say it again
    script *by;   // it goes by this script's SHA
    mg_redis_command command;
    mg_str parts[WORDS];
    mg_buf cursor; // of a clear
};

// --- values ---

static bool may_be_json(mg_str s) {
    static const char *const words[] = {"true", "false", "null"};
    if (s.n == 0) {
        return false;
    }
    bool word = false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        word |= mg_str_starts(s, mg_str_of(words[i]));
    }
    return word || memchr("{[\"-0123456789 \t\r\n", s.p[0], 18) != NULL;
}

void mg_redis_cache_write(mg_buf *out, uint8_t tag, mg_str value) {
    if (tag == MG_CACHE_STRING && may_be_json(value)) {
        mg_json_write_raw(out, value);
    } else {
        mg_buf_append_str(out, value);
    }
}

uint8_t mg_redis_cache_tag(mg_str stored) {
    return may_be_json(stored) ? MG_CACHE_UNSURE : MG_CACHE_STRING;
}

// --- calls ---

static redis_cache *cache_of(const call *c) {
    return (redis_cache *)c->base.cache;
}

static void free_call(call *c) {
    mg_link_remove(&c->link);
    mg_buf_deinit(&c->words);
    mg_buf_deinit(&c->cursor);
    mg_free(c);
}

static void finish(call *c, const mg_cache_result *r) {
    mg_cache_done_cb on_done = c->base.on_done;
    if (on_done != NULL) {
        on_done(c->base.arg, r);
    }
    free_call(c);
}

static void on_fault(mg_redis_request *q, const mg_redis_fault *f) {
    finish(MG_OF(q, call, request), &(mg_cache_result){.code = MG_ECLOSED, .text = f->text});
}

static bool say(call *c, mg_error *err);

// A script that the server does not have (any more) is sent itself.
static bool says_whole_script(call *c, const mg_redis_reply *r) {
    if (c->by == NULL || !mg_redis_is_error(r, MG_STR("NOSCRIPT"))) {
        return false;
    }
    c->parts[0] = MG_STR("EVAL");
    c->parts[1] = c->by->text;
    c->by = NULL;
    mg_error err;
    if (!say(c, &err)) {
        finish(c, &(mg_cache_result){.code = MG_ECLOSED, .text = err.text});
    }
    return true;
}

// False: the reply is none.
static bool reads_fault(const redis_cache *cache, const mg_redis_reply *r, char text[MG_REDIS_SAID],
                        mg_cache_result *out) {
    if (r->count == 0) {
        *out = (mg_cache_result){.code = MG_ELIMIT, .text = "the value is larger than max_reply"};
        return true;
    }
    if (r->values[0].type != MG_REDIS_ERROR) {
        return false;
    }
    mg_str said = mg_redis_text(r, r->values);
    snprintf(text, MG_REDIS_SAID, "%s: %.*s", mg_redis_settings_of(cache->redis)->name,
             (int)(said.n < 200 ? said.n : 200), said.p);
    *out = (mg_cache_result){.code = -EIO, .text = text};
    if (strstr(text, "not an integer") != NULL) {
        out->code = MG_ESYNTAX;
    } else if (strstr(text, "would overflow") != NULL) {
        out->code = -ERANGE;
    }
    return true;
}

static void on_reply(mg_redis_request *q, uint32_t index, const mg_redis_reply *r, bool last) {
    call *c = MG_OF(q, call, request);
    char text[MG_REDIS_SAID];
    (void)index;
    (void)last; // it is one command
    if (says_whole_script(c, r)) {
        return;
    }
    mg_cache_result result = {.code = MG_OK};
    if (!reads_fault(cache_of(c), r, text, &result)) {
        c->read(c, r, &result);
    }
    if (result.code != MG_EAGAIN || c->cursor.n == 0) {
        finish(c, &result);
    }
}

static bool say(call *c, mg_error *err) {
    redis_cache *cache = cache_of(c);
    c->request = (mg_redis_request){.on_reply = on_reply, .on_fault = on_fault};
    return mg_redis_send(cache->redis, &c->request, &c->command, 1, err) == MG_OK;
}

// The words must live until it has been sent, or be in `c->words`. NULL: it has failed at once.
static mg_cache_call *begin(call *c, mg_cache_result *out) {
    redis_cache *cache = cache_of(c);
    if (say(c, &cache->err)) {
        return &c->base;
    }
    free_call(c);
    *out = (mg_cache_result){.code = MG_ECLOSED, .text = cache->err.text};
    return NULL;
}

static call *new_call(redis_cache *cache, read_reply read) {
    call *c = mg_calloc(1, sizeof *c);
    c->base.cache = &cache->cache;
    c->read = read;
    c->command.words = c->parts;
    mg_link_append(&cache->calls, &c->link);
    return c;
}

static void add_word(call *c, mg_str word) {
    c->parts[c->command.n++] = word;
}

// `prefix` and `key`, kept by the call.
static mg_str key_of(call *c, const char *also, mg_str key) {
    mg_buf_append_str(&c->words, mg_str_of(mg_redis_settings_of(cache_of(c)->redis)->prefix));
    mg_buf_append_str(&c->words, mg_str_of(also));
    mg_buf_append_str(&c->words, key);
    return mg_buf_str(&c->words);
}

static bool is_too_large(mg_str key, mg_cache_result *out) {
    if (key.n <= MG_CACHE_KEY_MAX) {
        return false;
    }
    *out = (mg_cache_result){.code = MG_ELIMIT};
    return true;
}

// --- get, set, delete ---

static void take_value(redis_cache *cache, const mg_redis_reply *r, mg_cache_result *out) {
    if (!mg_redis_is_text(r->values)) {
        out->code = -ENOENT;
        cache->stats.misses++;
        return;
    }
    out->value = mg_redis_text(r, r->values);
    out->tag = mg_redis_cache_tag(out->value);
    cache->stats.hits++;
}

static void read_value(call *c, const mg_redis_reply *r, mg_cache_result *out) {
    take_value(cache_of(c), r, out);
}

void mg_redis_cache_read(mg_cache *c, const mg_redis_reply *r, char text[MG_REDIS_SAID],
                         mg_cache_result *out) {
    redis_cache *cache = (redis_cache *)c;
    *out = (mg_cache_result){.code = MG_OK};
    if (!reads_fault(cache, r, text, out)) {
        take_value(cache, r, out);
    }
}

static mg_cache_call *get(mg_cache *cache, mg_str key, mg_buf *room, mg_cache_result *out) {
    (void)room;
    if (is_too_large(key, out)) {
        return NULL;
    }
    call *c = new_call((redis_cache *)cache, read_value);
    add_word(c, MG_STR("GET"));
    add_word(c, key_of(c, "", key));
    return begin(c, out);
}

static void read_ok(call *c, const mg_redis_reply *r, mg_cache_result *out) {
    (void)c;
    (void)r;
    out->code = MG_OK;
}

static mg_cache_call *set(mg_cache *cache, const mg_cache_entry *e, mg_cache_result *out) {
    redis_cache *rc = (redis_cache *)cache;
    mg_buf stored = {0};
    char ttl[NUMBER_BYTES];
    if (is_too_large(e->key, out)) {
        return NULL;
    }
    if (e->value.n > MG_CACHE_VALUE_MAX) {
        *out = (mg_cache_result){.code = MG_ELIMIT};
        return NULL;
    }
    call *c = new_call(rc, read_ok);
    mg_redis_cache_write(&stored, e->tag, e->value);
    add_word(c, MG_STR("SET"));
    add_word(c, key_of(c, "", e->key));
    add_word(c, mg_buf_str(&stored));
    if (e->ttl_ms > 0) {
        snprintf(ttl, sizeof ttl, "%llu", (unsigned long long)e->ttl_ms);
        add_word(c, MG_STR("PX"));
        add_word(c, mg_str_of(ttl));
    }
    rc->stats.sets++;
    mg_cache_call *begun = begin(c, out);
    mg_buf_deinit(&stored);
    return begun;
}

static void read_was_there(call *c, const mg_redis_reply *r, mg_cache_result *out) {
    (void)c;
    out->code = r->values[0].type == MG_REDIS_INTEGER && r->values[0].integer > 0 ? MG_OK : -ENOENT;
}

static mg_cache_call *remove_key(mg_cache *cache, mg_str key, mg_cache_result *out) {
    if (is_too_large(key, out)) {
        return NULL;
    }
    call *c = new_call((redis_cache *)cache, read_was_there);
    add_word(c, MG_STR("DEL"));
    add_word(c, key_of(c, "", key));
    return begin(c, out);
}

// --- scripts ---

static void set_script(script *s, const char *text) {
    unsigned char digest[MG_DIGEST_MAX];
    mg_buf hex = {0};
    s->text = mg_str_of(text);
    size_t n = mg_digest(MG_SHA1, s->text, digest);
    mg_hex_encode(&hex, (mg_str){(const char *)digest, n});
    if (hex.n == SHA_BYTES) {
        memcpy(s->sha, hex.p, hex.n);
    }
    mg_buf_deinit(&hex);
}

// What is said with it must be in c->words: it may be said twice.
static void add_script(call *c, script *s, mg_str key) {
    bool known = s->sha[0] != '\0';
    c->by = known ? s : NULL;
    add_word(c, known ? MG_STR("EVALSHA") : MG_STR("EVAL"));
    add_word(c, known ? mg_str_of(s->sha) : s->text);
    add_word(c, MG_STR("1"));
    add_word(c, key);
}

static void read_sum(call *c, const mg_redis_reply *r, mg_cache_result *out) {
    (void)c;
    mg_str text = mg_redis_is_text(r->values) ? mg_redis_text(r, r->values) : (mg_str){NULL, 0};
    out->code = mg_str_to_i64(text, &out->sum) ? MG_OK : MG_ESYNTAX;
}

static mg_cache_call *increment(mg_cache *cache, const mg_cache_step *s, mg_cache_result *out) {
    redis_cache *rc = (redis_cache *)cache;
    if (is_too_large(s->key, out)) {
        return NULL;
    }
    call *c = new_call(rc, read_sum);
    size_t key = key_of(c, "", s->key).n;
    int at[3];
    const long long numbers[] = {(long long)s->by, (long long)s->initial, (long long)s->ttl_ms};
    for (size_t i = 0; i < 3; i++) {
        at[i] = (int)c->words.n;
        mg_buf_printf(&c->words, "%lld", numbers[i]);
    }
    add_script(c, &rc->increment, (mg_str){c->words.p, key});
    for (size_t i = 0; i < 3; i++) {
        size_t end = i < 2 ? (size_t)at[i + 1] : c->words.n;
        add_word(c, (mg_str){c->words.p + at[i], end - (size_t)at[i]});
    }
    return begin(c, out);
}

// --- leases ---

static const char lease_of[] = "~lease:";

static void read_lease(call *c, const mg_redis_reply *r, mg_cache_result *out) {
    (void)c;
    out->code = r->values[0].type == MG_REDIS_STRING ? MG_OK : MG_EAGAIN;
}

static mg_cache_call *lease(mg_cache *cache, mg_str key, uint64_t for_ms, mg_cache_result *out) {
    redis_cache *rc = (redis_cache *)cache;
    char ms[NUMBER_BYTES];
    if (is_too_large(key, out)) {
        return NULL;
    }
    call *c = new_call(rc, read_lease);
    snprintf(ms, sizeof ms, "%llu", (unsigned long long)for_ms);
    add_word(c, MG_STR("SET"));
    add_word(c, key_of(c, lease_of, key));
    add_word(c, mg_str_of(rc->token));
    add_word(c, MG_STR("NX"));
    add_word(c, MG_STR("PX"));
    add_word(c, mg_str_of(ms));
    return begin(c, out);
}

static void release(mg_cache *cache, mg_str key) {
    redis_cache *rc = (redis_cache *)cache;
    mg_cache_result nobody_asks;
    if (is_too_large(key, &nobody_asks)) {
        return;
    }
    call *c = new_call(rc, read_ok);
    add_script(c, &rc->release, key_of(c, lease_of, key));
    add_word(c, mg_str_of(rc->token));
    (void)begin(c, &nobody_asks); // its time ends it otherwise
}

// --- clear ---

// "*" behind a prefix in which nothing is special.
static void write_pattern(mg_buf *out, const char *prefix) {
    for (const char *p = prefix; *p != '\0'; p++) {
        if (strchr("*?[]\\", *p) != NULL) {
            mg_buf_append_char(out, '\\');
        }
        mg_buf_append_char(out, *p);
    }
    mg_buf_append_char(out, '*');
}

static bool say_scan(call *c, mg_error *err) {
    c->command.n = 0;
    add_word(c, MG_STR("SCAN"));
    add_word(c, mg_buf_str(&c->cursor));
    add_word(c, MG_STR("MATCH"));
    add_word(c, mg_buf_str(&c->words));
    add_word(c, MG_STR("COUNT"));
    add_word(c, MG_STR("500"));
    return say(c, err);
}

// The keys of one step of SCAN are deleted by a command of their own.
static bool say_unlink(call *c, const mg_redis_reply *r, uint32_t count, mg_error *err) {
    mg_str *words = mg_malloc((count + 1) * sizeof *words);
    words[0] = MG_STR("UNLINK");
    for (uint32_t i = 0; i < count; i++) {
        words[i + 1] = mg_redis_text(r, &r->values[i + 3]);
    }
    c->command = (mg_redis_command){words, count + 1};
    bool said = say(c, err);
    c->command = (mg_redis_command){c->parts, 0};
    mg_free(words);
    return said;
}

// [cursor, [key, ...]] of SCAN; the count of UNLINK.
static void read_scan(call *c, const mg_redis_reply *r, mg_cache_result *out) {
    redis_cache *cache = cache_of(c);
    bool said = true;
    bool of_scan = r->count >= 3 && r->values[0].type == MG_REDIS_ARRAY &&
                   mg_redis_is_text(&r->values[1]) && r->values[2].type == MG_REDIS_ARRAY;
    if (of_scan) {
        mg_str cursor = mg_redis_text(r, &r->values[1]);
        mg_buf_clear(&c->cursor);
        mg_buf_append_str(&c->cursor, cursor);
        if (r->values[2].n > 0) {
            said = say_unlink(c, r, r->values[2].n, &cache->err);
            out->code = said ? MG_EAGAIN : MG_ECLOSED;
            out->text = cache->err.text;
            return;
        }
    }
    if (mg_str_eq(mg_buf_str(&c->cursor), MG_STR("0"))) {
        out->code = MG_OK;
        return;
    }
    said = say_scan(c, &cache->err);
    out->code = said ? MG_EAGAIN : MG_ECLOSED;
    out->text = cache->err.text;
}

static mg_cache_call *clear(mg_cache *cache, mg_cache_result *out) {
    redis_cache *rc = (redis_cache *)cache;
    const char *prefix = mg_redis_settings_of(rc->redis)->prefix;
    if (*prefix == '\0') {
        *out = (mg_cache_result){
            .code = -EPERM,
            .text = "the keys of this cache are not told from others in its Redis: "
                    "cache = \"redis://...?prefix=NAME:\" makes them its own"};
        return NULL;
    }
    call *c = new_call(rc, read_scan);
    write_pattern(&c->words, prefix);
    mg_buf_append_char(&c->cursor, '0');
    if (say_scan(c, &rc->err)) {
        return &c->base;
    }
    free_call(c);
    *out = (mg_cache_result){.code = MG_ECLOSED, .text = rc->err.text};
    return NULL;
}

// --- the table ---

static void cancel(mg_cache_call *base) {
    call *c = (call *)base;
    mg_redis_cancel(&c->request);
    free_call(c);
}

static void read_stats(const mg_cache *cache, mg_cache_stats *out) {
    const redis_cache *rc = (const redis_cache *)cache;
    mg_redis_stats redis;
    mg_redis_read_stats(rc->redis, &redis);
    *out = rc->stats;
    out->state = redis.state;
}

static void free_cache(mg_cache *cache) {
    redis_cache *rc = (redis_cache *)cache;
    while (!mg_link_alone(&rc->calls)) {
        cancel(&MG_OF(rc->calls.next, call, link)->base);
    }
    mg_free(rc);
}

static const mg_cache_ops ops = {
    .get = get,
    .set = set,
    .remove = remove_key,
    .increment = increment,
    .lease = lease,
    .release = release,
    .clear = clear,
    .cancel = cancel,
    .read_stats = read_stats,
    .free = free_cache,
};

mg_cache *mg_redis_cache_lend(mg_redis *r) {
    redis_cache *rc = mg_calloc(1, sizeof *rc);
    mg_random random;
    rc->cache.ops = &ops;
    rc->redis = r;
    mg_link_init(&rc->calls);
    mg_random_init(&random, 0);
    snprintf(rc->token, sizeof rc->token, "%016llx%016llx",
             (unsigned long long)mg_random_u64(&random),
             (unsigned long long)mg_random_u64(&random));
    set_script(&rc->release, release_script);
    set_script(&rc->increment, increment_script);
    return &rc->cache;
}
