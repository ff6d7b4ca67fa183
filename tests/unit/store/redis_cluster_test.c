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
    assert_int_equal(ask_within(0, "GET a|KEYS *", 0), MG_ESYNTAX);
    assert_non_null(strstr(refused.text, "KEYS tells of the keys of one server alone"));
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

// --- keys of all servers ---

// The cursor that the request 0 was told.
static const char *cursor(void) {
    static char text[64];
    assert_int_equal(sscanf(calls[0].said, "0=*,%63[^,]", text), 1);
    return text;
}

static void scan_from(const char *at) {
    char text[128];
    snprintf(text, sizeof text, "SCAN %s MATCH x*", at);
    ask(0, text);
    rig_settle();
}

static void scan_goes_from_server_to_server(void **state) {
    (void)state;
    open_cluster();
    scan_from("0");
    assert_string_equal(rig_got(a), "SCAN 0 MATCH x*");
    rig_say(a, "*2\r\n$2\r\n17\r\n*1\r\n$2\r\nx1\r\n");
    assert_non_null(strstr(calls[0].said, ",*,x1"));
    scan_from(cursor());
    assert_string_equal(rig_got(a), "SCAN 17 MATCH x*");
    rig_say(a, "*2\r\n$1\r\n0\r\n*0\r\n");
    scan_from(cursor());
    assert_string_equal(rig_got(a), "");
    assert_string_equal(rig_got(b), "SCAN 0 MATCH x*");
    rig_say(b, "*2\r\n$1\r\n0\r\n*1\r\n$2\r\nx2\r\n");
    assert_string_equal(calls[0].said, "0=*,0,*,x2");
}

// Its cursor would mean nothing there.
static void scan_begins_anew_where_another_server_has_the_slots(void **state) {
    (void)state;
    open_cluster();
    scan_from("0");
    rig_got(a);
    rig_say(a, "*2\r\n$2\r\n17\r\n*0\r\n");
    rig_pass(2000);
    ask(1, "GET bar");
    rig_got(a);
    rig_say(a, "-MOVED 5061 c:3\r\n");
    int c = rig_count - 1;
    greet(c);
    rig_say(c, "+1\r\n");
    assert_true(give_map("*2\r\n" RANGE("0", "8191", SERVER("c", "3"), "3")
                             RANGE("8192", "16383", SERVER("b", "2"), "3")));
    rig_got(c);
    scan_from(cursor());
    assert_string_equal(rig_got(c), "SCAN 0 MATCH x*");
}

static void scan_refuses_cursors_of_others(void **state) {
    (void)state;
    open_cluster();
    assert_int_equal(ask_within(0, "SCAN 17", 0), MG_ESYNTAX);
    assert_non_null(strstr(refused.text, "SCAN: \"17\" is no cursor that SCAN has given"));
    scan_from("0");
    rig_got(a);
    rig_say(a, "-ERR syntax error\r\n");
    assert_string_equal(calls[0].said, "0=ERR syntax error");
}

// --- connections for one alone ---

static mg_redis_stats stats_now(void) {
    mg_redis_stats stats;
    mg_redis_read_stats(redis, &stats);
    return stats;
}

static char leased_said[128];

static void on_leased_reply(mg_redis_call *c, const mg_redis_reply *r, uint32_t left) {
    (void)c;
    (void)left;
    show(leased_said, sizeof leased_said, r);
}

static void on_leased_fault(mg_redis_call *c, const mg_redis_fault *f) {
    (void)c;
    snprintf(leased_said, sizeof leased_said, "%s", f->code);
}

static mg_redis_conn *lease(const char *key) {
    mg_redis_conn *conn;
    assert_int_equal(mg_redis_lease(redis, mg_str_of(key), &conn, &refused), MG_OK);
    return conn;
}

static void say_ping(mg_redis_conn *conn, mg_redis_call *call) {
    leased_said[0] = '\0';
    *call = (mg_redis_call){.on_reply = on_leased_reply, .on_fault = on_leased_fault};
    assert_int_equal(mg_redis_conn_send(conn, call, MG_STR("*1\r\n$4\r\nPING\r\n"), 1), MG_OK);
    rig_settle();
}

static void a_lease_is_to_who_has_the_key(void **state) {
    (void)state;
    open_cluster();
    mg_redis_call call;
    mg_redis_conn *one = lease("bar");
    say_ping(one, &call);
    assert_int_equal(rig_servers[rig_count - 1].port, 1);
    assert_int_equal(rig_count, 4);
    assert_int_equal(stats_now().leased, 1);
    mg_redis_give_back(redis, one, false);
    assert_int_equal(stats_now().leased, 0);
    assert_string_equal(stats_now().state, "ready");
}

static void leases_have_a_limit(void **state) {
    (void)state;
    mg_redis_conn *other;
    open_with("redis+cluster://s:9?leases=1", MAP);
    mg_redis_conn *one = lease("bar");
    assert_int_equal(mg_redis_lease(redis, MG_STR("a"), &other, &refused), MG_ELIMIT);
    assert_non_null(strstr(refused.text, "all 1 leases are taken"));
    mg_redis_give_back(redis, one, false);
}

static void a_lease_waits_for_the_first_map(void **state) {
    (void)state;
    mg_redis_call call;
    open_redis("redis+cluster://s:9");
    mg_redis_conn *one = lease("bar");
    say_ping(one, &call);
    rig_pass(100);
    greet(0);
    assert_string_equal(rig_got(0), "CLUSTER SLOTS");
    rig_say(0, MAP);
    a = dial_to(1);
    greet(a);
    assert_string_equal(rig_got(a), "PING");
    rig_say(a, "+PONG\r\n");
    assert_string_equal(leased_said, "PONG");
    mg_redis_give_back(redis, one, true);
    assert_ptr_equal(lease("b"), one); // who had it has left it open
    mg_redis_give_back(redis, one, false);
}

static void a_lease_fails_if_nobody_knows_the_map(void **state) {
    (void)state;
    mg_redis_call call;
    rig_refuse = true;
    open_redis("redis+cluster://s:9");
    mg_redis_conn *one = lease("bar");
    say_ping(one, &call);
    rig_pass(100);
    assert_string_equal(leased_said, "closed");
    mg_redis_give_back(redis, one, false);
    assert_int_equal(mg_redis_lease(redis, MG_STR("bar"), &one, &refused), MG_ECLOSED);
}

static void the_map_is_told_of_what_a_lease_hears(void **state) {
    (void)state;
    mg_redis_call call;
    open_cluster();
    mg_redis_conn *one = lease("bar");
    say_ping(one, &call);
    int own = rig_count - 1;
    greet(own);
    rig_got(own);
    rig_say(own, "-MOVED 5061 b:2\r\n");
    assert_string_equal(leased_said, "MOVED 5061 b:2");
    mg_redis_give_back(redis, one, true);
    one = lease("bar");
    say_ping(one, &call);
    assert_int_equal(rig_servers[rig_count - 1].port, 2);
    mg_redis_give_back(redis, one, false);
    rig_pass(1001);
    assert_true(give_map(MAP));
}

static int ask_alone(int i, const char *text) {
    alone = true;
    int rc = ask_within(i, text, 0);
    alone = false;
    rig_settle();
    return rc;
}

static void what_waits_is_followed_on_connections_of_its_own(void **state) {
    (void)state;
    open_cluster();
    assert_int_equal(ask_alone(0, "BLPOP bar 0"), MG_OK);
    int first = rig_count - 1;
    greet(first);
    assert_string_equal(rig_got(first), "BLPOP bar 0");
    assert_string_equal(rig_got(a), "");
    rig_pass(10 * 1000); // longer than any timeout, and no new map yet
    assert_false(calls[0].over);
    rig_say(first, "-MOVED 5061 b:2\r\n");
    int second = rig_count - 1;
    assert_int_equal(rig_servers[second].port, 2);
    greet(second);
    assert_string_equal(rig_got(second), "BLPOP bar 0");
    assert_int_equal(stats_now().leased, 1);
    rig_say(second, "+1\r\n");
    assert_string_equal(calls[0].said, "0=1");
    assert_int_equal(stats_now().leased, 0);
    assert_int_equal(ask_alone(0, "BLPOP bar 0"), MG_OK);
    mg_redis_cancel(&calls[0].q);
    rig_settle();
    assert_true(rig_servers[second].ended);
}

static void a_pipeline_that_waits_stays_in_one_slot(void **state) {
    (void)state;
    open_cluster();
    assert_int_equal(ask_alone(0, "SET {b}1 x|WAIT 1 100"), MG_OK);
    int own = rig_count - 1;
    greet(own);
    assert_string_equal(rig_got(own), "SET {b}1 x|WAIT 1 100");
    rig_say(own, "-MOVED 3300 b:2\r\n:1\r\n"); // the other one was done
    assert_string_equal(calls[0].said, "0=MOVED 3300 b:2 1=1");
    assert_int_equal(ask_alone(0, "SET a 1|SET b 1|WAIT 1 100"), MG_ESYNTAX);
    assert_non_null(strstr(refused.text, "a pipeline that waits at the server lies in one slot"));
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
        CASE(scan_goes_from_server_to_server),
        CASE(scan_begins_anew_where_another_server_has_the_slots),
        CASE(scan_refuses_cursors_of_others),
        CASE(a_lease_is_to_who_has_the_key),
        CASE(leases_have_a_limit),
        CASE(a_lease_waits_for_the_first_map),
        CASE(a_lease_fails_if_nobody_knows_the_map),
        CASE(the_map_is_told_of_what_a_lease_hears),
        CASE(what_waits_is_followed_on_connections_of_its_own),
        CASE(a_pipeline_that_waits_stays_in_one_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
