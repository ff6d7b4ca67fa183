#include "store/redis_near.h"

#include "redis_rig.h"

#include <errno.h>
#include <sys/mman.h>

enum { ROOM = 1 << 20 };

typedef struct told {
    bool done;
    int code;
    char value[64];
} told;

static mg_redis *redis;
static mg_cache *cache;
static void *room;
static mg_buf found;
static told answers[4];
static mg_cache_result at_once;

static int open_rig(void **state) {
    mg_error err;
    mg_memory_cache *values;
    rig_open(state);
    found = (mg_buf){0};
    room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(room != MAP_FAILED);
    assert_int_equal(mg_memory_cache_format(room, ROOM, NULL), MG_OK);
    assert_int_equal(mg_memory_cache_open(&values, room, ROOM, NULL), MG_OK);
    const mg_redis_options o = {.url = MG_STR("redis://h?client_name=&prefix=p:&near=1M")};
    assert_int_equal(mg_redis_open(&redis, rig_loop, &o, &err), MG_OK);
    cache = mg_redis_near_lend(redis, mg_redis_cache_lend(redis),
                               mg_near_cache_new(rig_loop, values, ROOM));
    return 0;
}

static int close_rig(void **state) {
    mg_cache_free(cache);
    mg_redis_free(redis);
    munmap(room, ROOM);
    mg_buf_deinit(&found);
    rig_settle();
    return rig_close(state);
}

static void on_done(void *arg, const mg_cache_result *r) {
    told *t = arg;
    t->done = true;
    t->code = r->code;
    snprintf(t->value, sizeof t->value, "%.*s", (int)r->value.n, r->value.n > 0 ? r->value.p : "");
}

static void await_call(int i, mg_cache_call *call) {
    answers[i] = (told){0};
    assert_non_null(call);
    mg_cache_await(call, on_done, &answers[i]);
    rig_settle();
}

// The value that is near, terminated; NULL: it is asked for, and answers[i] will tell.
static const char *get(int i) {
    mg_buf_clear(&found);
    mg_cache_call *call = mg_cache_get(cache, MG_STR("k"), &found, &at_once);
    if (call != NULL) {
        await_call(i, call);
        return NULL;
    }
    mg_buf_append_char(&found, '\0');
    return at_once.code == MG_OK ? found.p : NULL; // else it is down
}

static void greet(int server) {
    rig_greet(server);
    assert_string_equal(rig_got(server), "CLIENT TRACKING ON OPTIN");
    rig_say(server, "+OK\r\n");
}

static const char read_of_k[] = "CLIENT CACHING YES|GET p:k|PTTL p:k";
static const char k_changed[] = ">2\r\n+invalidate\r\n*1\r\n$3\r\np:k\r\n";

// It is near now.
static void read_k(const char *value) {
    char said[128];
    assert_null(get(0));
    if (rig_count == 1 && strncmp(rig_servers[0].got.p, "*2\r\n$5\r\nHELLO", 13) == 0) {
        greet(0);
    }
    assert_string_equal(rig_got(0), read_of_k);
    snprintf(said, sizeof said, "+OK\r\n+%s\r\n:-1\r\n", value);
    rig_say(0, said);
    assert_true(answers[0].done);
    assert_string_equal(answers[0].value, value);
    assert_string_equal(get(1), value);
}

static void what_was_read_is_near_until_it_changes(void **state) {
    (void)state;
    read_k("one");
    assert_string_equal(rig_got(0), "");
    rig_say(0, k_changed);
    read_k("two");
}

static void what_changes_while_it_is_read_is_not_kept(void **state) {
    (void)state;
    read_k("one");
    rig_say(0, k_changed);
    assert_null(get(0));
    rig_got(0);
    rig_say(0, "+OK\r\n+two\r\n");
    rig_say(0, k_changed);
    rig_say(0, ":-1\r\n");
    assert_string_equal(answers[0].value, "two"); // as it was when it was asked for
    assert_null(get(1));
}

static void all_may_change_at_once(void **state) {
    (void)state;
    read_k("one");
    rig_say(0, ">2\r\n+invalidate\r\n_\r\n");
    assert_null(get(1));
}

static void a_lost_connection_leaves_nothing(void **state) {
    (void)state;
    read_k("one");
    rig_hang_up(0);
    assert_null(get(1));
}

// It would grant CLIENT TRACKING, and tell of nothing.
static void a_server_without_resp3_keeps_nothing_near(void **state) {
    (void)state;
    assert_null(get(0));
    assert_string_equal(rig_got(0), "HELLO 3");
    rig_say(0, "-ERR unknown command 'HELLO', with args beginning with: '3'\r\n");
    assert_true(answers[0].done);
    assert_int_equal(answers[0].code, MG_ECLOSED);
    assert_null(get(1));
    assert_non_null(strstr(at_once.text, "values kept near need RESP3"));
}

static void a_connection_that_says_nothing_is_asked_and_lost(void **state) {
    (void)state;
    read_k("one");
    rig_pass(1000);
    assert_string_equal(rig_got(0), "PING");
    assert_string_equal(get(1), "one");
    rig_say(0, "+PONG\r\n");
    rig_pass(1000);
    assert_string_equal(rig_got(0), "PING");
    rig_pass(1000);
    assert_null(get(1));
}

static void what_is_written_here_is_not_near_any_more(void **state) {
    (void)state;
    read_k("one");
    await_call(2, mg_cache_set(cache,
                               &(mg_cache_entry){MG_STR("k"), MG_STR("two"), MG_CACHE_STRING, 0},
                               &at_once));
    assert_null(get(1)); // the write is under way: the server is asked
    assert_string_equal(rig_got(0), "SET p:k two|CLIENT CACHING YES|GET p:k|PTTL p:k");
    rig_say(0, "+OK\r\n+OK\r\n+two\r\n:-1\r\n");
    assert_true(answers[2].done);
    read_k("two"); // what was read before the write was confirmed is not kept
    await_call(2, mg_cache_delete(cache, MG_STR("k"), &at_once));
    rig_got(0);
    rig_say(0, ":1\r\n");
    assert_null(get(1));
}

static void what_is_not_tracked_is_not_kept(void **state) {
    static const char *const replies[] = {"_\r\n+one\r\n:-1\r\n", "-ERR no\r\n+one\r\n:-1\r\n",
                                          "+OK\r\n+one\r\n:-2\r\n", "+OK\r\n_\r\n:-2\r\n"};
    (void)state;
    assert_null(get(0));
    greet(0);
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        rig_got(0);
        rig_say(0, replies[i]);
        assert_true(answers[0].done);
        assert_null(get(0));
    }
    assert_string_equal(rig_got(0), read_of_k);
}

static void a_value_ends_when_it_does_far_away(void **state) {
    (void)state;
    assert_null(get(0));
    greet(0);
    rig_got(0);
    rig_say(0, "+OK\r\n+one\r\n:50\r\n");
    rig_pass(49);
    assert_string_equal(get(1), "one");
    rig_pass(1);
    assert_null(get(1));
}

static void keys_of_others_do_no_harm(void **state) {
    (void)state;
    read_k("one");
    rig_say(0,
            ">2\r\n+invalidate\r\n*2\r\n$1\r\nk\r\n$3\r\nq:k\r\n>2\r\n+what\r\n*0\r\n>1\r\n+x\r\n");
    assert_string_equal(get(1), "one");
}

static void calls_may_be_cancelled(void **state) {
    (void)state;
    mg_cache_call *read = mg_cache_get(cache, MG_STR("k"), &found, &at_once);
    assert_non_null(read);
    mg_cache_await(read, on_done, &answers[0]);
    mg_cache_cancel(read);
    mg_cache_call *gone = mg_cache_delete(cache, MG_STR("k"), &at_once);
    assert_non_null(gone);
    mg_cache_await(gone, on_done, &answers[0]);
    mg_cache_cancel(gone);
    read_k("one");
    assert_null(mg_cache_get(cache, MG_STR("other"), &found, &at_once) == NULL ? "at once" : NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)
        CASE(what_was_read_is_near_until_it_changes),
        CASE(what_changes_while_it_is_read_is_not_kept),
        CASE(all_may_change_at_once),
        CASE(a_lost_connection_leaves_nothing),
        CASE(a_server_without_resp3_keeps_nothing_near),
        CASE(a_connection_that_says_nothing_is_asked_and_lost),
        CASE(what_is_written_here_is_not_near_any_more),
        CASE(what_is_not_tracked_is_not_kept),
        CASE(a_value_ends_when_it_does_far_away),
        CASE(keys_of_others_do_no_harm),
        CASE(calls_may_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
