#include "store/redis_cache.h"

#include "base/error.h"
#include "redis_rig.h"

#include <errno.h>

typedef struct told {
    bool done;
    int code;
    uint8_t tag;
    int64_t sum;
    char value[128], text[256];
} told;

static mg_redis *redis;
static mg_cache *cache;
static told last;
static mg_cache_result at_once;

static void on_done(void *arg, const mg_cache_result *r) {
    told *t = arg;
    t->done = true;
    t->code = r->code;
    t->tag = r->tag;
    t->sum = r->sum;
    snprintf(t->value, sizeof t->value, "%.*s", (int)r->value.n, r->value.n > 0 ? r->value.p : "");
    snprintf(t->text, sizeof t->text, "%s", r->text != NULL ? r->text : "");
}

static int open_rig(void **state) {
    mg_error err;
    rig_open(state);
    const mg_redis_options o = {.url = MG_STR("redis://h?resp=2&client_name=&prefix=p:")};
    assert_int_equal(mg_redis_open(&redis, rig_loop, &o, &err), MG_OK);
    cache = mg_redis_cache_lend(redis);
    return 0;
}

static int close_rig(void **state) {
    mg_cache_free(cache);
    mg_redis_free(redis);
    rig_settle();
    return rig_close(state);
}

static void await_call(mg_cache_call *call) {
    last = (told){0};
    assert_non_null(call);
    mg_cache_await(call, on_done, &last);
    rig_settle();
}

static mg_str k(void) {
    return MG_STR("k");
}

static void gets(const char *reply, int code, uint8_t tag, const char *value) {
    mg_buf room = {0};
    await_call(mg_cache_get(cache, k(), &room, &at_once));
    assert_string_equal(rig_got(0), "GET p:k");
    rig_say(0, reply);
    assert_true(last.done);
    assert_int_equal(last.code, code);
    if (code == MG_OK) {
        assert_int_equal(last.tag, tag);
        assert_string_equal(last.value, value);
    }
}

static void a_value_is_json_or_a_string(void **state) {
    (void)state;
    gets("$-1\r\n", -ENOENT, 0, "");
    gets("$5\r\nhello\r\n", MG_OK, MG_CACHE_STRING, "hello");
    gets("$0\r\n\r\n", MG_OK, MG_CACHE_STRING, "");
    gets("$2\r\n12\r\n", MG_OK, MG_CACHE_UNSURE, "12");
    gets("$4\r\n\"12\"\r\n", MG_OK, MG_CACHE_UNSURE, "\"12\"");
    gets("-WRONGTYPE no\r\n", -EIO, 0, "");
    assert_string_equal(last.text, "redis://h:6379: WRONGTYPE no");
    mg_buf stored = {0};
    mg_redis_cache_write(&stored, MG_CACHE_STRING, MG_STR("12"));
    mg_redis_cache_write(&stored, MG_CACHE_STRING, MG_STR(" nullable"));
    mg_redis_cache_write(&stored, MG_CACHE_STRING, MG_STR("|plain|"));
    mg_redis_cache_write(&stored, MG_CACHE_JSON, MG_STR("[1]"));
    assert_text("\"12\"\" nullable\"|plain|[1]", mg_buf_str(&stored));
    mg_buf_deinit(&stored);
}

static void what_is_stored_has_an_end(void **state) {
    (void)state;
    await_call(mg_cache_set(
        cache,
        &(mg_cache_entry){.key = k(), .value = MG_STR("v"), .tag = MG_CACHE_STRING, .ttl_ms = 1500},
        &at_once));
    assert_string_equal(rig_got(0), "SET p:k v PX 1500");
    rig_say(0, "+OK\r\n");
    assert_int_equal(last.code, MG_OK);
    await_call(mg_cache_delete(cache, k(), &at_once));
    assert_string_equal(rig_got(0), "DEL p:k");
    rig_say(0, ":0\r\n");
    assert_int_equal(last.code, -ENOENT);
}

static void limits_are_told_at_once(void **state) {
    (void)state;
    char large[MG_CACHE_KEY_MAX + 1];
    mg_buf room = {0};
    memset(large, 'x', sizeof large);
    mg_str key = {large, sizeof large};
    assert_null(mg_cache_get(cache, key, &room, &at_once));
    assert_int_equal(at_once.code, MG_ELIMIT);
    assert_null(mg_cache_lease(cache, key, 1, &at_once));
    mg_cache_release(cache, key);
    mg_cache_entry e = {.key = k(), .value = {large, MG_CACHE_VALUE_MAX + 1}, .tag = 1};
    assert_null(mg_cache_set(cache, &e, &at_once));
    assert_int_equal(at_once.code, MG_ELIMIT);
}

static void a_script_goes_by_its_sha_and_whole_if_it_is_unknown(void **state) {
    (void)state;
    await_call(mg_cache_increment(
        cache, &(mg_cache_step){.key = k(), .by = -2, .initial = 5, .ttl_ms = 1000}, &at_once));
    const char *got = rig_got(0);
    assert_memory_equal(got, "EVALSHA ", 8);
    assert_string_equal(got + 8 + 40, " 1 p:k -2 5 1000");
    rig_say(0, "-NOSCRIPT No matching script.\r\n");
    assert_false(last.done);
    got = rig_got(0);
    assert_memory_equal(got, "EVAL ", 5);
    assert_string_equal(got + strlen(got) - 16, " 1 p:k -2 5 1000");
    rig_say(0, "$20\r\n-9223372036854775808\r\n");
    assert_int_equal(last.code, MG_OK);
    assert_true(last.sum == INT64_MIN);
    await_call(mg_cache_increment(cache, &(mg_cache_step){.key = k(), .by = 1}, &at_once));
    rig_say(0, "-ERR value is not an integer or out of range script: x\r\n");
    assert_int_equal(last.code, MG_ESYNTAX);
    await_call(mg_cache_increment(cache, &(mg_cache_step){.key = k(), .by = 1}, &at_once));
    rig_say(0, "-ERR increment or decrement would overflow\r\n");
    assert_int_equal(last.code, -ERANGE);
}

static void a_lease_is_one_holders(void **state) {
    (void)state;
    await_call(mg_cache_lease(cache, k(), 30000, &at_once));
    const char *got = rig_got(0);
    assert_memory_equal(got, "SET p:~lease:k ", 15);
    assert_string_equal(got + 15 + 32, " NX PX 30000");
    char token[33] = "";
    memcpy(token, got + 15, 32);
    rig_say(0, "+OK\r\n");
    assert_int_equal(last.code, MG_OK);
    await_call(mg_cache_lease(cache, k(), 30000, &at_once));
    rig_say(0, "$-1\r\n");
    assert_int_equal(last.code, MG_EAGAIN);
    rig_got(0);
    mg_cache_release(cache, k());
    mg_loop_turn_soon(rig_loop);
    got = rig_got(0);
    assert_memory_equal(got, "EVALSHA ", 8);
    assert_non_null(strstr(got, " 1 p:~lease:k "));
    assert_string_equal(got + strlen(got) - 32, token);
    rig_say(0, ":1\r\n");
}

static void what_is_cleared_has_the_prefix(void **state) {
    (void)state;
    await_call(mg_cache_clear(cache, &at_once));
    assert_string_equal(rig_got(0), "SCAN 0 MATCH p:* COUNT 500");
    rig_say(0, "*2\r\n$1\r\n7\r\n*2\r\n$3\r\np:a\r\n$3\r\np:b\r\n");
    assert_string_equal(rig_got(0), "UNLINK p:a p:b");
    rig_say(0, ":2\r\n");
    assert_string_equal(rig_got(0), "SCAN 7 MATCH p:* COUNT 500");
    rig_say(0, "*2\r\n$1\r\n9\r\n*0\r\n");
    assert_string_equal(rig_got(0), "SCAN 9 MATCH p:* COUNT 500");
    rig_say(0, "*2\r\n$1\r\n0\r\n*1\r\n$3\r\np:c\r\n");
    assert_string_equal(rig_got(0), "UNLINK p:c");
    assert_false(last.done);
    rig_say(0, ":1\r\n");
    assert_true(last.done);
    assert_int_equal(last.code, MG_OK);
}

static void what_is_down_is_told_at_once_and_calls_may_be_given_up(void **state) {
    (void)state;
    mg_buf room = {0};
    mg_cache_stats stats;
    mg_cache_call *call = mg_cache_get(cache, k(), &room, &at_once);
    mg_cache_await(call, on_done, &last);
    mg_cache_cancel(call);
    rig_settle();
    assert_string_equal(rig_got(0), ""); // it was never sent
    await_call(mg_cache_get(cache, k(), &room, &at_once));
    rig_settle();
    rig_refuse = true;
    rig_hang_up(0);
    rig_settle();
    assert_int_equal(last.code, MG_ECLOSED);
    rig_pass(1);
    assert_null(mg_cache_get(cache, k(), &room, &at_once));
    assert_int_equal(at_once.code, MG_ECLOSED);
    mg_cache_read_stats(cache, &stats);
    assert_string_equal(stats.state, "down");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, open_rig, close_rig)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_value_is_json_or_a_string),
        CASE(what_is_stored_has_an_end),
        CASE(limits_are_told_at_once),
        CASE(a_script_goes_by_its_sha_and_whole_if_it_is_unknown),
        CASE(a_lease_is_one_holders),
        CASE(what_is_cleared_has_the_prefix),
        CASE(what_is_down_is_told_at_once_and_calls_may_be_given_up),
    };
    return cmocka_run_group_tests_name("store/redis_cache", tests, NULL, NULL);
}
