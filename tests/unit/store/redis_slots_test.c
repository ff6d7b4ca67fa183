#include "store/redis_slots.h"

#include "unit.h"

typedef struct rig {
    mg_redis_reader reader;
    mg_redis_reply reply;
} rig;

static rig read_reply(const char *bytes) {
    rig r = {.reader = {.limits = {.bytes = 1 << 20, .values = 1 << 16}}};
    mg_str in = mg_str_of(bytes);
    const char *fault;
    assert_true(mg_redis_read(&r.reader, &in, &r.reply, &fault));
    return r;
}

static void keys_have_the_slots_of_the_specification(void **state) {
    (void)state;
    assert_int_equal(mg_redis_slot(MG_STR("123456789")), 0x31c3);
    assert_int_equal(mg_redis_slot(MG_STR("foo")), 12182);
    assert_int_equal(mg_redis_slot(MG_STR("bar")), 5061);
    assert_int_equal(mg_redis_slot((mg_str){NULL, 0}), 0);
}

static void a_hash_tag_is_all_that_counts(void **state) {
    static const struct {
        const char *key, *same;
    } cases[] = {
        {"{user1000}.following", "user1000"},
        {"{user1000}.followers", "user1000"},
        {"foo{{bar}}zap", "{bar"},
        {"foo{bar}{zap}", "bar"},
        {"}foo{bar}", "bar"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(mg_redis_slot(mg_str_of(cases[i].key)),
                         mg_redis_slot(mg_str_of(cases[i].same)));
    }
    // An empty tag, or an open one, is none.
    assert_int_not_equal(mg_redis_slot(MG_STR("foo{}{bar}")), mg_redis_slot(MG_STR("bar")));
    assert_int_not_equal(mg_redis_slot(MG_STR("foo{bar")), mg_redis_slot(MG_STR("bar")));
}

static void check_redirect(const char *error, uint32_t kind, uint16_t slot, const char *host,
                           uint16_t port) {
    rig r = read_reply(error);
    mg_redis_redirect d = mg_redis_redirect_of(&r.reply);
    assert_int_equal(d.kind, kind);
    assert_int_equal(d.slot, slot);
    assert_int_equal(d.port, port);
    assert_true(mg_str_eq(d.host, mg_str_of(host)));
    mg_redis_reader_deinit(&r.reader);
}

static void redirections_name_slot_and_server(void **state) {
    (void)state;
    check_redirect("-MOVED 3999 127.0.0.1:6381\r\n", MG_REDIS_MOVED, 3999, "127.0.0.1", 6381);
    check_redirect("-ASK 16383 ::1:7000\r\n", MG_REDIS_ASK, 16383, "::1", 7000);
    check_redirect("-MOVED 1 redis-a.internal:7000\r\n", MG_REDIS_MOVED, 1, "redis-a.internal",
                   7000);
    check_redirect("-MOVED 1 :7000\r\n", MG_REDIS_MOVED, 1, "", 7000);
}

static void what_is_no_redirection_is_a_reply(void **state) {
    static const char *const replies[] = {
        "-ERR no\r\n",       "-MOVED\r\n",       "-MOVED 16384 a:1\r\n", "-MOVED x a:1\r\n",
        "-MOVED 1 a\r\n",    "-MOVED 1 a:0\r\n", "-MOVED 1 a:65536\r\n", "-MOVED 1 a:\r\n",
        "-MOVEDX 1 a:1\r\n", "+MOVED 1 a:1\r\n", "*1\r\n-ASK 1 a:1\r\n", "-ASK -1 a:1\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        check_redirect(replies[i], MG_REDIS_STAY, 0, "", 0);
    }
}

#define NODE(port) "*3\r\n$9\r\n127.0.0.1\r\n:" port "\r\n$2\r\nid\r\n"

static void ranges_name_master_and_replicas(void **state) {
    rig r =
        read_reply("*2\r\n"
                   "*4\r\n:0\r\n:5460\r\n" NODE("7000")
                       NODE("7003") "*3\r\n:5461\r\n:5461\r\n*4\r\n$1\r\na\r\n:7001\r\n$2\r\nid\r\n"
                                    "*2\r\n$8\r\nhostname\r\n$1\r\nb\r\n");
    uint32_t at = 0;
    mg_redis_range range;
    const char *fault;
    (void)state;
    assert_true(mg_redis_next_range(&r.reply, &at, &range, &fault));
    assert_int_equal(range.first, 0);
    assert_int_equal(range.last, 5460);
    assert_int_equal(range.n, 2);
    assert_int_equal(range.servers[0].port, 7000);
    assert_int_equal(range.servers[1].port, 7003);
    assert_true(mg_str_eq(range.servers[1].host, MG_STR("127.0.0.1")));
    assert_true(mg_redis_next_range(&r.reply, &at, &range, &fault));
    assert_int_equal(range.first, 5461);
    assert_int_equal(range.last, 5461);
    assert_int_equal(range.n, 1);
    assert_true(mg_str_eq(range.servers[0].host, MG_STR("a")));
    assert_false(mg_redis_next_range(&r.reply, &at, &range, &fault));
    assert_null(fault);
    mg_redis_reader_deinit(&r.reader);
}

static void a_server_without_an_address_is_left_out(void **state) {
    rig r = read_reply(
        "*3\r\n"
        "*3\r\n:0\r\n:1\r\n*3\r\n$1\r\n?\r\n:7000\r\n$2\r\nid\r\n" // its master: all of it
        "*4\r\n:2\r\n:3\r\n" NODE(
            "7001") "*3\r\n$1\r\n?\r\n:7002\r\n$2\r\nid\r\n"
                    "*3\r\n:4\r\n:5\r\n*3\r\n$-1\r\n:7003\r\n$2\r\nid\r\n"); // the one that
                                                                             // answered
    uint32_t at = 0;
    mg_redis_range range;
    const char *fault;
    (void)state;
    assert_true(mg_redis_next_range(&r.reply, &at, &range, &fault));
    assert_int_equal(range.first, 2);
    assert_int_equal(range.n, 1);
    assert_true(mg_redis_next_range(&r.reply, &at, &range, &fault));
    assert_int_equal(range.first, 4);
    assert_int_equal(range.servers[0].host.n, 0);
    assert_int_equal(range.servers[0].port, 7003);
    assert_false(mg_redis_next_range(&r.reply, &at, &range, &fault));
    assert_null(fault);
    mg_redis_reader_deinit(&r.reader);
}

static void more_replicas_than_are_kept_are_left_out(void **state) {
    mg_buf b = {0};
    (void)state;
    mg_buf_printf(&b, "*1\r\n*32\r\n:0\r\n:16383\r\n");
    for (int i = 0; i < 30; i++) {
        mg_buf_printf(&b, "*2\r\n$1\r\na\r\n:%d\r\n", 7000 + i);
    }
    mg_buf_append_char(&b, '\0');
    rig r = read_reply(b.p);
    uint32_t at = 0;
    mg_redis_range range;
    const char *fault;
    assert_true(mg_redis_next_range(&r.reply, &at, &range, &fault));
    assert_int_equal(range.n, MG_REDIS_RANGE_SERVERS);
    assert_int_equal(range.servers[MG_REDIS_RANGE_SERVERS - 1].port,
                     7000 + MG_REDIS_RANGE_SERVERS - 1);
    mg_redis_reader_deinit(&r.reader);
    mg_buf_deinit(&b);
}

static void a_reply_that_is_no_map_is_a_fault(void **state) {
    static const char *const replies[] = {
        "-ERR This instance has cluster support disabled\r\n",
        "+OK\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n*2\r\n:5\r\n:4\r\n",
        "*1\r\n*3\r\n:0\r\n:16384\r\n" NODE("7000"),
        "*1\r\n*3\r\n:-1\r\n:16383\r\n" NODE("7000"),
        "*1\r\n*3\r\n:0\r\n:1\r\n:7000\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*1\r\n$1\r\na\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n:1\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\na\r\n:65536\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        rig r = read_reply(replies[i]);
        uint32_t at = 0;
        mg_redis_range range;
        const char *fault;
        assert_false(mg_redis_next_range(&r.reply, &at, &range, &fault));
        assert_non_null(fault);
        mg_redis_reader_deinit(&r.reader);
    }
}

static void a_cluster_without_slots_has_no_ranges(void **state) {
    rig r = read_reply("*0\r\n");
    uint32_t at = 0;
    mg_redis_range range;
    const char *fault;
    (void)state;
    assert_false(mg_redis_next_range(&r.reply, &at, &range, &fault));
    assert_null(fault);
    mg_redis_reader_deinit(&r.reader);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_have_the_slots_of_the_specification),
        cmocka_unit_test(a_hash_tag_is_all_that_counts),
        cmocka_unit_test(redirections_name_slot_and_server),
        cmocka_unit_test(what_is_no_redirection_is_a_reply),
        cmocka_unit_test(ranges_name_master_and_replicas),
        cmocka_unit_test(a_server_without_an_address_is_left_out),
        cmocka_unit_test(more_replicas_than_are_kept_are_left_out),
        cmocka_unit_test(a_reply_that_is_no_map_is_a_fault),
        cmocka_unit_test(a_cluster_without_slots_has_no_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
