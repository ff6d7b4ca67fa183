#include "store/redis_keys.h"

#include "store/redis_slots.h"
#include "unit.h"

enum { WORDS = 16 };

typedef struct parsed {
    char text[256];
    mg_str words[WORDS];
    mg_redis_command command;
} parsed;

static const mg_redis_command *parse(parsed *p, const char *text) {
    *p = (parsed){.command = {.n = 0}};
    snprintf(p->text, sizeof p->text, "%s", text);
    for (char *at = strtok(p->text, " "); at != NULL; at = strtok(NULL, " ")) {
        p->words[p->command.n++] = mg_str_of(at);
    }
    p->command.words = p->words;
    return &p->command;
}

static mg_redis_route route(const char *text) {
    parsed p;
    return mg_redis_route_of(parse(&p, text));
}

// The keys of a command, one behind the other.
static void check_keys(const char *text, const char *wanted) {
    parsed p;
    const mg_redis_command *c = parse(&p, text);
    mg_redis_route r = mg_redis_route_of(c);
    mg_buf keys = {0};
    assert_int_equal(r.whither, MG_REDIS_BY_KEYS);
    if (r.also > 0) {
        mg_buf_append_str(&keys, c->words[r.also]);
        mg_buf_append_char(&keys, ' ');
    }
    for (uint32_t i = r.first; i > 0 && i <= r.last; i += r.step) {
        mg_buf_append_str(&keys, c->words[i]);
        mg_buf_append_char(&keys, ' ');
    }
    keys.n -= keys.n > 0;
    mg_buf_append_char(&keys, '\0');
    assert_string_equal(keys.p, wanted);
    mg_buf_deinit(&keys);
}

static void keys_are_where_each_command_has_them(void **state) {
    (void)state;
    check_keys("GET a", "a");
    check_keys("set a 1", "a");
    check_keys("MGET a b c", "a b c");
    check_keys("MSET a 1 b 2", "a b");
    check_keys("RENAME a b", "a b");
    check_keys("BLPOP a b 0", "a b");
    check_keys("BITOP AND to a b", "to a b");
    check_keys("OBJECT ENCODING a", "a");
    check_keys("XINFO STREAM s", "s");
    check_keys("EVAL return 2 a b c", "a b");
    check_keys("EVALSHA sha 1 a", "a");
    check_keys("LMPOP 2 a b LEFT", "a b");
    check_keys("BLMPOP 0 2 a b LEFT", "a b");
    check_keys("ZUNIONSTORE to 2 a b WEIGHTS 1 2", "to a b");
    check_keys("ZINTER 2 a b WITHSCORES", "a b");
    check_keys("XREAD COUNT 2 STREAMS a b 0 0", "a b");
    check_keys("XREADGROUP GROUP g c STREAMS a >", "a");
    check_keys("JSON.GET doc $.a", "doc"); // of a module
}

static void what_has_no_key_is_for_anyone(void **state) {
    static const char *const texts[] = {
        "PING",      "EVAL return 0", "EVAL return x a", "EVAL return 99 a", "GET",
        "XREAD a b", "BLPOP 0",       "OBJECT HELP",     "PUBLISH c m",      "INFO",
        "EVAL",      "ZINTER 0",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(route(texts[i]).whither, MG_REDIS_ANYONE);
    }
    assert_int_equal(mg_redis_route_of(&(mg_redis_command){NULL, 0}).whither, MG_REDIS_ANYONE);
}

static void some_are_parted(void **state) {
    (void)state;
    assert_int_equal(route("mget a b").join, MG_REDIS_LIST);
    assert_int_equal(route("MSET a 1").join, MG_REDIS_PAIRS);
    assert_int_equal(route("DEL a b").join, MG_REDIS_SUM);
    assert_int_equal(route("EXISTS a b").join, MG_REDIS_SUM);
    assert_int_equal(route("UNLINK a b").join, MG_REDIS_SUM);
    assert_int_equal(route("TOUCH a b").join, MG_REDIS_SUM);
    assert_int_equal(route("SINTER a b").join, MG_REDIS_ONE);
    assert_int_equal(route("MSETNX a 1").join, MG_REDIS_ONE);
}

static void some_are_for_everyone_or_nobody(void **state) {
    (void)state;
    assert_int_equal(route("FLUSHALL").whither, MG_REDIS_EVERYONE);
    assert_int_equal(route("SCRIPT LOAD x").whither, MG_REDIS_EVERYONE);
    assert_int_equal(route("DBSIZE").join, MG_REDIS_SUM);
    assert_int_equal(route("SELECT 1").whither, MG_REDIS_NOBODY);
    assert_int_equal(route("SCAN 0").whither, MG_REDIS_IN_TURN);
    assert_int_equal(route("SCAN").whither, MG_REDIS_ANYONE); // who says what is missing
    assert_int_equal(route("KEYS *").whither, MG_REDIS_NOBODY);
    assert_non_null(route("KEYS *").why);
    assert_int_equal(route("client caching YES").whither, MG_REDIS_NEXT);
    assert_int_equal(route("CLIENT ID").whither, MG_REDIS_ANYONE);
}

static void what_only_reads_is_known(void **state) {
    (void)state;
    assert_true(route("GET a").reads);
    assert_true(route("hgetall a").reads);
    assert_true(route("EVAL_RO x 1 a").reads);
    assert_false(route("SET a 1").reads);
    assert_false(route("EVAL x 1 a").reads);
    assert_false(route("PUBLISH a b").reads);
    assert_false(route("SOMETHING a").reads);
    assert_false(route("a-name-that-is-longer-than-any-command a").reads);
}

static void keys_of_one_slot_have_it(void **state) {
    parsed p;
    uint16_t slot;
    mg_error err;
    (void)state;
    const mg_redis_command *c = parse(&p, "SINTERSTORE {a}:to {a}:1 {a}:2");
    mg_redis_route r = mg_redis_route_of(c);
    assert_int_equal(mg_redis_slot_of(c, &r, &slot, &err), MG_OK);
    assert_int_equal(slot, mg_redis_slot(MG_STR("a")));
}

static void keys_of_several_are_refused_with_both(void **state) {
    static const char *const texts[] = {"SINTER a b", "ZUNIONSTORE a 1 b"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        parsed p;
        uint16_t slot;
        mg_error err;
        const mg_redis_command *c = parse(&p, texts[i]);
        mg_redis_route r = mg_redis_route_of(c);
        assert_int_equal(mg_redis_slot_of(c, &r, &slot, &err), MG_ESYNTAX);
        assert_non_null(strstr(err.text, "\"a\" and \"b\""));
        assert_non_null(strstr(err.text, "hash tag"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_where_each_command_has_them),
        cmocka_unit_test(what_has_no_key_is_for_anyone),
        cmocka_unit_test(some_are_parted),
        cmocka_unit_test(some_are_for_everyone_or_nobody),
        cmocka_unit_test(what_only_reads_is_known),
        cmocka_unit_test(keys_of_one_slot_have_it),
        cmocka_unit_test(keys_of_several_are_refused_with_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
