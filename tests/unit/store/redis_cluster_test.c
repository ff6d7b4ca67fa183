#include "redis_cluster_rig.h"

// --- where commands go ---

static void a_command_goes_to_who_has_its_slot(void **state) {
    (void)state;
    open_cluster();
    ask(0, "SET bar 1");
    ask(1, "SET foo 2");
    assert_string_equal(rig_got(a), "SET bar 1");
    assert_string_equal(rig_got(b), "SET foo 2");
    assert_int_equal(rig_count, 3);
}

static void one_that_has_moved_is_followed_and_remembered(void **state) {
    (void)state;
    open_observed();
    ask(0, "GET bar");
    assert_string_equal(rig_got(a), "GET bar");
    rig_say(a, "-MOVED 5061 b:2\r\n");
    assert_string_equal(rig_got(b), "GET bar");
    rig_say(b, "+1\r\n");
    assert_string_equal(calls[0].said, "0=1");
    assert_int_equal(moves, 1);
    ask(0, "GET bar");
    assert_string_equal(rig_got(b), "GET bar");
    ask(1, "GET b"); // another slot has not
    assert_string_equal(rig_got(a), "GET b");
}

static void a_storm_of_moves_asks_for_the_map_once(void **state) {
    int asked_for = 0;
    (void)state;
    open_cluster();
    rig_pass(2000);
    for (int i = 0; i < 50; i++) {
        ask(0, "GET bar");
        rig_settle();
        asked_for += serve(seed, MAP, "");
        asked_for += serve(a, MAP, "-MOVED 5061 b:2\r\n");
        asked_for += serve(b, MAP, "+1\r\n");
        assert_string_equal(calls[0].said, "0=1");
        rig_pass(1);
    }
    assert_int_equal(asked_for, 1);
}

static void servers_that_send_in_circles_are_an_error(void **state) {
    int times = 0;
    (void)state;
    open_cluster();
    ask(0, "GET bar");
    while (!calls[0].over && times < 100) {
        int s = times % 2 == 0 ? a : b;
        assert_non_null(strstr(rig_got(s), "GET bar"));
        rig_say(s, times % 2 == 0 ? "-MOVED 5061 b:2\r\n" : "-MOVED 5061 a:1\r\n");
        times++;
    }
    assert_string_equal(calls[0].said, "0=MOVED 5061 b:2");
    assert_int_equal(times, 17);
}

static void a_slot_on_its_way_is_asked_for_once(void **state) {
    (void)state;
    open_observed();
    ask(0, "GET bar");
    rig_got(a);
    rig_say(a, "-ASK 5061 b:2\r\n");
    assert_string_equal(rig_got(b), "ASKING|GET bar");
    rig_say(b, "+OK\r\n");
    assert_false(calls[0].over);
    rig_say(b, "+1\r\n");
    assert_string_equal(calls[0].said, "0=1");
    ask(0, "GET bar");
    assert_string_equal(rig_got(a), "GET bar");
    assert_int_equal(moves, 0);
}

// --- several commands, several keys ---

static void replies_come_in_the_order_of_the_commands(void **state) {
    (void)state;
    open_cluster();
    ask(0, "GET a|GET b|GET foo|GET bar");
    assert_string_equal(rig_got(a), "GET b|GET bar");
    assert_string_equal(rig_got(b), "GET a|GET foo");
    rig_say(a, "+B\r\n+BAR\r\n");
    assert_string_equal(calls[0].said, "");
    rig_say(b, "+A\r\n");
    assert_string_equal(calls[0].said, "0=A 1=B");
    rig_say(b, "+FOO\r\n");
    assert_string_equal(calls[0].said, "0=A 1=B 2=FOO 3=BAR");
    assert_true(calls[0].over);
}

static void one_of_several_may_have_moved(void **state) {
    (void)state;
    open_cluster();
    ask(0, "GET b|GET bar|GET b");
    rig_got(a);
    rig_say(a, "+1\r\n-MOVED 5061 b:2\r\n+3\r\n");
    assert_string_equal(calls[0].said, "0=1");
    assert_string_equal(rig_got(b), "GET bar");
    rig_say(b, "+2\r\n");
    assert_string_equal(calls[0].said, "0=1 1=2 2=3");
}

static void keys_of_several_slots_are_parted_and_joined(void **state) {
    (void)state;
    open_cluster();
    ask(0, "MGET a b foo a");
    assert_string_equal(rig_got(a), "MGET b");
    assert_string_equal(rig_got(b), "MGET foo|MGET a a");
    rig_say(b, "*1\r\n$3\r\nFOO\r\n*2\r\n$2\r\nA1\r\n$2\r\nA2\r\n");
    rig_say(a, "*1\r\n_\r\n");
    assert_string_equal(calls[0].said, "0=*,A1,null,FOO,A2");
    ask(0, "MSET a 1 b 2");
    assert_string_equal(rig_got(a), "MSET b 2");
    assert_string_equal(rig_got(b), "MSET a 1");
    rig_say(a, "+OK\r\n");
    rig_say(b, "+OK\r\n");
    assert_string_equal(calls[0].said, "0=OK");
    ask(0, "DEL a b|GET b");
    rig_got(b);
    assert_string_equal(rig_got(a), "DEL b|GET b");
    rig_say(a, ":1\r\n+B\r\n");
    rig_say(b, ":1\r\n");
    assert_string_equal(calls[0].said, "0=2 1=B");
}

static void an_error_of_one_part_is_the_error_of_all(void **state) {
    (void)state;
    open_cluster();
    ask(0, "MGET a b");
    rig_got(a);
    rig_got(b);
    rig_say(a, "-OOM no memory\r\n");
    rig_say(b, "*1\r\n_\r\n");
    assert_string_equal(calls[0].said, "0=OOM no memory");
    ask(0, "DEL a b");
    rig_settle();
    rig_say(a, ":1\r\n");
    rig_say(b, "+what\r\n");
    assert_non_null(strstr(calls[0].said, "something else than was asked"));
}

static void keys_of_one_slot_stay_together(void **state) {
    (void)state;
    open_cluster();
    ask(0, "MGET {b}1 {b}2");
    assert_string_equal(rig_got(a), "MGET {b}1 {b}2");
}

static void what_no_server_can_do_is_refused(void **state) {
    (void)state;
    open_cluster();
    assert_int_equal(ask_within(0, "SINTER a b", 0), MG_ESYNTAX);
    assert_non_null(
        strstr(refused.text, "SINTER: the keys \"a\" and \"b\" lie in different slots"));
    assert_int_equal(ask_within(0, "GET a|SCAN 0", 0), MG_ESYNTAX);
    assert_non_null(strstr(refused.text, "SCAN tells of the keys of one server alone"));
    assert_int_equal(ask_within(0, "MULTI|SET a 1|SET b 1|EXEC", 0), MG_ESYNTAX);
    assert_non_null(strstr(refused.text, "one slot"));
    rig_settle();
    assert_string_equal(rig_got(b), ""); // nothing of it was sent
}

static void a_transaction_is_sent_again_as_a_whole(void **state) {
    (void)state;
    open_cluster();
    ask(0, "MULTI|SET bar 1|GET bar|EXEC");
    assert_string_equal(rig_got(a), "MULTI|SET bar 1|GET bar|EXEC");
    rig_say(a, "+OK\r\n-MOVED 5061 b:2\r\n-MOVED 5061 b:2\r\n-EXECABORT no\r\n");
    assert_string_equal(rig_got(b), "MULTI|SET bar 1|GET bar|EXEC");
    rig_say(b, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+1\r\n");
    assert_string_equal(calls[0].said, "0=OK 1=QUEUED 2=QUEUED 3=*,OK,1");
}

static void what_is_for_everyone_goes_to_every_master(void **state) {
    (void)state;
    open_cluster();
    ask(0, "FLUSHALL");
    assert_string_equal(rig_got(a), "FLUSHALL");
    assert_string_equal(rig_got(b), "FLUSHALL");
    rig_say(a, "+OK\r\n");
    assert_false(calls[0].over);
    rig_say(b, "+OK\r\n");
    assert_string_equal(calls[0].said, "0=OK");
    ask(0, "DBSIZE");
    rig_settle();
    rig_say(a, ":3\r\n");
    rig_say(b, ":4\r\n");
    assert_string_equal(calls[0].said, "0=7");
}

static void what_is_for_everyone_waits_for_the_first_map(void **state) {
    (void)state;
    open_redis("redis+cluster://s:9");
    ask(0, "SCRIPT LOAD x");
    rig_settle();
    greet(0);
    rig_got(0);
    rig_say(0, MAP);
    greet(dial_to(1));
    greet(dial_to(2));
    assert_string_equal(rig_got(dial_to(1)), "SCRIPT LOAD x");
    assert_string_equal(rig_got(dial_to(2)), "SCRIPT LOAD x");
    rig_say(dial_to(1), "+sha\r\n");
    rig_say(dial_to(2), "+sha\r\n");
    assert_string_equal(calls[0].said, "0=sha");
}

static void tracking_goes_with_its_command(void **state) {
    (void)state;
    open_cluster();
    ask(0, "CLIENT CACHING YES|GET a|PTTL a");
    assert_string_equal(rig_got(b), "CLIENT CACHING YES|GET a|PTTL a");
    rig_say(b, "+OK\r\n+A\r\n:5\r\n");
    assert_string_equal(calls[0].said, "0=OK 1=A 2=5");
    // Sent elsewhere with ASKING nothing is tracked, and it is told.
    ask(0, "CLIENT CACHING YES|GET a");
    rig_got(b);
    rig_say(b, "+OK\r\n-ASK 15495 a:1\r\n");
    assert_string_equal(rig_got(a), "ASKING|GET a");
    rig_say(a, "+OK\r\n+A\r\n");
    assert_string_equal(calls[0].said, "0=null 1=A");
    ask(0, "CLIENT CACHING YES|GET a");
    rig_got(b);
    rig_say(b, "+OK\r\n-MOVED 15495 a:1\r\n");
    assert_string_equal(rig_got(a), "CLIENT CACHING YES|GET a");
    rig_say(a, "+OK\r\n+A\r\n");
    assert_string_equal(calls[0].said, "0=OK 1=A");
}

// --- patience and its end ---

static void a_cluster_that_is_down_is_waited_for(void **state) {
    static const char *const replies[] = {"-CLUSTERDOWN The cluster is down\r\n",
                                          "-TRYAGAIN Multiple keys\r\n", "-LOADING wait\r\n"};
    (void)state;
    open_cluster();
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        ask(0, "INCR bar");
        assert_non_null(strstr(rig_got(a), "INCR bar"));
        rig_say(a, replies[i]);
        assert_false(calls[0].over);
        for (int n = 0; n < 20 && !calls[0].over; n++) {
            rig_pass(10);
            serve(seed, MAP, "");
            serve(a, MAP, ":1\r\n");
            serve(b, MAP, "");
        }
        assert_string_equal(calls[0].said, "0=1");
    }
}

static void patience_ends_with_the_deadline(void **state) {
    (void)state;
    open_cluster();
    assert_int_equal(ask_within(0, "INCR bar", 300), MG_OK);
    uint64_t since = mg_loop_now_ms(rig_loop);
    while (!calls[0].over) {
        serve(a, MAP, "-CLUSTERDOWN down\r\n");
        rig_pass(1);
        assert_true(mg_loop_now_ms(rig_loop) - since < 400);
    }
    assert_true(mg_loop_now_ms(rig_loop) - since >= 300);
    assert_string_equal(calls[0].said,
                        "timeout: redis+cluster://s:9: nothing was done in time: redis://a:1: "
                        "CLUSTERDOWN down");
}

static void a_failover_is_waited_for(void **state) {
    (void)state;
    open_observed();
    rig_pass(700);
    rig_refuse = true;
    rig_hang_up(a); // it is gone
    ask(0, "INCR bar");
    rig_pass(20);
    assert_false(calls[0].over);
    rig_pass(150);
    rig_refuse = false;
    assert_true(give_map("*2\r\n" RANGE("0", "8191", SERVER("c", "3"), "3")
                             RANGE("8192", "16383", SERVER("b", "2"), "3")) ||
                calls[0].over);
    rig_settle();
    int c = dial_to(3);
    assert_true(c >= 0);
    greet(c);
    rig_pass(100);
    assert_string_equal(rig_got(c), "INCR bar");
    rig_say(c, ":1\r\n");
    assert_string_equal(calls[0].said, "0=1");
    assert_true(moves >= 2); // the connection was lost, the slots have moved
}

static void what_may_have_been_done_is_not_repeated(void **state) {
    (void)state;
    open_cluster();
    rig_pass(1001); // else it counts as one that never lasts
    ask(0, "INCR bar");
    ask(1, "GET bar");
    assert_string_equal(rig_got(a), "INCR bar|GET bar");
    rig_hang_up(a);
    rig_settle();
    assert_string_equal(calls[0].said, "closed (sent): redis://a:1: it has closed the connection");
    assert_false(calls[1].over); // reading twice does no harm
    rig_pass(50);
    greet(dial_to(1));
    rig_pass(150);
    assert_non_null(strstr(rig_got(dial_to(1)), "GET bar"));
}

static void a_cluster_that_is_gone_fails_at_once_until_it_is_back(void **state) {
    (void)state;
    open_cluster();
    rig_refuse = true;
    rig_pass(1001);
    rig_hang_up(seed);
    rig_hang_up(a);
    rig_hang_up(b);
    rig_pass(3000);
    assert_int_equal(ask_within(0, "GET a", 0), MG_ECLOSED);
    assert_non_null(strstr(refused.text, "refused"));
    assert_non_null(strstr(news, "! redis+cluster://s:9: "));
    rig_refuse = false;
    int before = rig_count;
    while (rig_count == before) {
        rig_pass(100);
    }
    greet(before);
    rig_pass(100);
    assert_true(give_map(MAP));
    rig_settle();
    ask(0, "GET a");
    assert_non_null(strstr(news, "there again"));
    mg_redis_cancel(&calls[0].q);
}

static void one_that_is_no_cluster_says_so(void **state) {
    (void)state;
    open_redis("redis+cluster://s:9");
    ask(0, "GET a");
    rig_settle();
    greet(0);
    rig_got(0);
    rig_say(0, "-ERR This instance has cluster support disabled\r\n");
    assert_string_equal(calls[0].said, "closed: redis://s:9 is no server of a cluster: ERR This "
                                       "instance has cluster support disabled");
}

static void a_request_may_be_cancelled_wherever_it_is(void **state) {
    (void)state;
    open_redis("redis+cluster://s:9");
    ask(0, "GET a");
    mg_redis_cancel(&calls[0].q); // waits for a map
    mg_redis_free(redis);
    rig_settle();
    open_cluster();
    ask(0, "GET a|MGET a b");
    mg_redis_cancel(&calls[0].q); // not sent
    assert_string_equal(rig_got(b), "");
    ask(0, "GET a|MGET a b");
    assert_string_equal(rig_got(b), "GET a|MGET a");
    rig_say(b, "+A\r\n");
    assert_string_equal(calls[0].said, "0=A");
    mg_redis_cancel(&calls[0].q);
    rig_say(b, "*1\r\n+A\r\n");
    ask(1, "GET a");
    rig_settle();
    rig_say(b, "+A\r\n");
    assert_string_equal(calls[1].said, "0=A"); // replies have not slipped
}

// --- replicas ---

static void replicas_answer_what_reads_by_choice(void **state) {
    (void)state;
    open_redis("redis+cluster://s:9?replicas=true");
    ask(0, "GET b");
    rig_settle();
    greet(0);
    rig_got(0);
    rig_say(0, "*1\r\n" RANGE("0", "16383", SERVER("a", "1") SERVER("b", "2"), "4"));
    b = dial_to(2);
    assert_string_equal(rig_got(b), "HELLO 3");
    rig_say(b, "%1\r\n+proto\r\n:3\r\n");
    assert_non_null(strstr(rig_got(b), "READONLY"));
    rig_say(b, "+OK\r\n+OK\r\n");
    assert_string_equal(rig_got(b), "GET b");
    rig_say(b, "+B\r\n");
    ask(1, "SET b 1");
    rig_settle();
    greet(dial_to(1));
    assert_string_equal(rig_got(dial_to(1)), "SET b 1");
}

// --- connections for one alone ---

static void a_lease_is_to_who_has_the_key(void **state) {
    (void)state;
    open_cluster();
    mg_redis_conn *one = mg_redis_lease(redis, MG_STR("bar"), NULL);
    mg_redis_call call = {.on_reply = NULL};
    assert_non_null(one);
    assert_int_equal(mg_redis_conn_send(one, &call, MG_STR("*1\r\n$4\r\nPING\r\n"), 1), MG_OK);
    rig_settle();
    assert_int_equal(rig_servers[rig_count - 1].port, 1);
    assert_int_equal(rig_count, 4);
    mg_redis_stats stats;
    mg_redis_read_stats(redis, &stats);
    assert_int_equal(stats.leased, 1);
    mg_redis_give_back(redis, one, false);
    mg_redis_read_stats(redis, &stats);
    assert_int_equal(stats.leased, 0);
    assert_string_equal(stats.state, "ready");
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_open, close_rig)
        CASE(a_command_goes_to_who_has_its_slot),
        CASE(one_that_has_moved_is_followed_and_remembered),
        CASE(a_storm_of_moves_asks_for_the_map_once),
        CASE(servers_that_send_in_circles_are_an_error),
        CASE(a_slot_on_its_way_is_asked_for_once),
        CASE(replies_come_in_the_order_of_the_commands),
        CASE(one_of_several_may_have_moved),
        CASE(keys_of_several_slots_are_parted_and_joined),
        CASE(an_error_of_one_part_is_the_error_of_all),
        CASE(keys_of_one_slot_stay_together),
        CASE(what_no_server_can_do_is_refused),
        CASE(a_transaction_is_sent_again_as_a_whole),
        CASE(what_is_for_everyone_goes_to_every_master),
        CASE(what_is_for_everyone_waits_for_the_first_map),
        CASE(tracking_goes_with_its_command),
        CASE(a_cluster_that_is_down_is_waited_for),
        CASE(patience_ends_with_the_deadline),
        CASE(a_failover_is_waited_for),
        CASE(what_may_have_been_done_is_not_repeated),
        CASE(a_cluster_that_is_gone_fails_at_once_until_it_is_back),
        CASE(one_that_is_no_cluster_says_so),
        CASE(a_request_may_be_cancelled_wherever_it_is),
        CASE(replicas_answer_what_reads_by_choice),
        CASE(a_lease_is_to_who_has_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
