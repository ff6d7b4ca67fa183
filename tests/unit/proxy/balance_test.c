// Who is chosen: what is drawn is fixed by a seed.
#include "rig.h"

#include "proxy/balance.h"
#include "proxy/members.h"
#include "server/requester.h"

enum { DRAWS = 20000, KEYS = 10000 };

static int seen[RIG_SERVERS];

static mg_upstream *begin(mg_upstreams **us, size_t n, mg_balance balance) {
    rig_begin(n);
    memset(seen, 0, sizeof seen);
    shop.balance = balance;
    *us = rig_set(NULL);
    return mg_upstreams_find(*us, MG_STR("shop"));
}

static mg_server_cell *cell_of(const mg_upstream *u, size_t i) {
    return u->members[i].server->hold.cell;
}

static void each_in_turn_by_its_weight_and_never_in_a_run(void **state) {
    (void)state;
    rig_begin(3);
    servers[0].weight = 5;
    mg_upstreams *us = rig_set(NULL);
    mg_upstream *u = mg_upstreams_find(us, MG_STR("shop"));
    static const int expected[] = {0, 0, 1, 0, 2, 0, 0};
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 7; i++) {
            assert_int_equal(once(u), expected[i]);
        }
    }
    rig_end(us);
}

// Whether one request comes after the other, or all servers are busy.
static void weights_hold_however_servers_are_drawn(void **state) {
    static const mg_balance drawn[] = {MG_BALANCE_RANDOM, MG_BALANCE_LEAST_REQUESTS,
                                       MG_BALANCE_P2C};
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        rig_begin(3);
        memset(seen, 0, sizeof seen);
        servers[1].weight = 3;
        shop.balance = drawn[k];
        mg_upstreams *us = rig_set(NULL);
        mg_upstream *u = mg_upstreams_find(us, MG_STR("shop"));
        for (int i = 0; i < DRAWS; i++) {
            seen[once(u)]++;
        }
        assert_in_range(seen[0], DRAWS / 5 - 300, DRAWS / 5 + 300);
        assert_in_range(seen[1], DRAWS * 3 / 5 - 300, DRAWS * 3 / 5 + 300);
        assert_in_range(seen[2], DRAWS / 5 - 300, DRAWS / 5 + 300);
        rig_end(us);
    }
}

static void weights_hold_under_load(void **state) {
    enum { BUSY = 500 };
    static const mg_balance drawn[] = {MG_BALANCE_LEAST_REQUESTS, MG_BALANCE_P2C};
    static mg_ticket t[BUSY];
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        rig_begin(3);
        memset(seen, 0, sizeof seen);
        servers[1].weight = 3;
        shop.balance = drawn[k];
        mg_upstreams *us = rig_set(NULL);
        mg_upstream *u = mg_upstreams_find(us, MG_STR("shop"));
        for (int i = 0; i < BUSY; i++) {
            seen[choose(u, &t[i])]++;
        }
        assert_in_range(seen[0], BUSY / 5 - 20, BUSY / 5 + 20);
        assert_in_range(seen[1], BUSY * 3 / 5 - 20, BUSY * 3 / 5 + 20);
        assert_in_range(seen[2], BUSY / 5 - 20, BUSY / 5 + 20);
        for (int i = 0; i < BUSY; i++) {
            end_ticket(&t[i]);
        }
        rig_end(us);
    }
}

// It is idle while the others are busy, and would get everything.
static void a_server_that_comes_slowly_is_not_overrun(void **state) {
    enum { BUSY = 100 };
    static const mg_balance drawn[] = {MG_BALANCE_LEAST_REQUESTS, MG_BALANCE_P2C};
    static mg_ticket t[BUSY];
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        rig_begin(3);
        memset(seen, 0, sizeof seen);
        shop.balance = drawn[k];
        shop.slow_start_ms = 10000;
        mg_upstreams *us = rig_set(NULL);
        mg_upstream *u = mg_upstreams_find(us, MG_STR("shop"));
        mg_loop_set_now(loop, mg_loop_now_ms(loop) + 20000);
        atomic_store(&cell_of(u, 2)->slow_since_ms, mg_loop_now_ms(loop));
        for (int i = 0; i < BUSY; i++) {
            seen[choose(u, &t[i])]++;
        }
        assert_in_range(seen[2], 2, BUSY / 5);
        for (int i = 0; i < BUSY; i++) {
            end_ticket(&t[i]);
        }
        rig_end(us);
    }
}

// Also for a server that comes while others are loaded: it gets what makes it equal, no more.
static void least_requests_fills_the_emptiest(void **state) {
    (void)state;
    mg_upstreams *us;
    mg_upstream *u = begin(&us, 2, MG_BALANCE_LEAST_REQUESTS);
    mg_ticket t[9];
    for (int i = 0; i < 6; i++) {
        seen[choose(u, &t[i])]++;
    }
    assert_int_equal(seen[0], 3);
    assert_int_equal(seen[1], 3);
    shop.servers.n = 3;
    snprintf(urls[2], sizeof urls[2], "http://127.0.0.1:9003");
    servers[2] = (mg_upstream_server_options){
        .url = urls[2], .host = "127.0.0.1", .port = 9003, .weight = 1};
    mg_upstreams *more = rig_set(us); // as a reload or set_servers has it
    u = mg_upstreams_find(more, MG_STR("shop"));
    for (int i = 6; i < 9; i++) {
        seen[choose(u, &t[i])]++;
    }
    assert_int_equal(seen[2], 3);
    for (int i = 0; i < 9; i++) {
        end_ticket(&t[i]);
    }
    mg_upstreams_unref(us);
    rig_end(more);
}

// Often enough to be known.
static void answer(const mg_upstream *u, size_t i, uint64_t us) {
    for (int k = 0; k < 8; k++) {
        mg_balance_learn(cell_of(u, i), us, mg_loop_now_ms(loop));
    }
}

static void of_two_the_quicker_one_is_taken(void **state) {
    (void)state;
    mg_upstreams *us;
    mg_upstream *u = begin(&us, 2, MG_BALANCE_P2C);
    answer(u, 0, 50000);
    answer(u, 1, 1000);
    mg_ticket t[8];
    for (int i = 0; i < 8; i++) {
        assert_int_equal(choose(u, &t[i]), 1); // until 50 of them wait there
    }
    for (int i = 0; i < 8; i++) {
        end_ticket(&t[i]);
    }
    rig_end(us);
}

// It has nothing in flight, and answers quickest of all.
static void a_server_that_refuses_at_once_does_not_draw_the_load(void **state) {
    (void)state;
    mg_upstreams *us;
    mg_upstream *u = begin(&us, 2, MG_BALANCE_P2C);
    for (int i = 0; i < 1000; i++) {
        mg_ticket t;
        int at = choose(u, &t);
        seen[at]++;
        const mg_outcome bad = {0};
        const mg_outcome good = {.status = 200, .answer_us = 5000};
        mg_ticket_end(&t, at == 0 ? &bad : &good);
    }
    assert_true(seen[0] < 50);
    rig_end(us);
}

// A server that has just been started, or is asked for the first time.
static void a_slow_first_answer_leaves_nobody_alone(void **state) {
    (void)state;
    mg_upstreams *us;
    mg_upstream *u = begin(&us, 2, MG_BALANCE_P2C);
    bool first = true;
    for (int i = 0; i < 1000; i++) {
        mg_ticket t;
        int at = choose(u, &t);
        seen[at]++;
        mg_outcome out = {.status = 200, .answer_us = at == 0 && first ? 20000 : 300};
        first &= at != 0;
        mg_ticket_end(&t, &out);
    }
    assert_in_range(seen[0], 400, 600);
    rig_end(us);
}

static int requests_until_asked(mg_upstream *u, int server) {
    for (int i = 0; i < 100; i++) {
        if (once(u) == server) {
            return i;
        }
    }
    return -1;
}

// Nobody else tells that it is well again.
static void who_failed_is_tried_again_in_seconds(void **state) {
    (void)state;
    static const mg_balance free_ones[] = {MG_BALANCE_P2C, MG_BALANCE_LEAST_REQUESTS};
    for (size_t k = 0; k < 2; k++) {
        mg_upstreams *us;
        mg_upstream *u = begin(&us, 2, free_ones[k]);
        uint64_t now_ms = 1000;
        mg_loop_set_now(loop, now_ms);
        mg_balance_tell(cell_of(u, 0), true, now_ms);
        for (uint64_t wait = 1000; wait <= 16000; wait *= 2) {
            mg_balance_tell(cell_of(u, 0), true, now_ms + 1); // whoever was under way too
            mg_loop_set_now(loop, now_ms + wait - 1);
            mg_ticket busy[20];
            for (int i = 0; i < 20; i++) {
                assert_int_equal(choose(u, &busy[i]), 1); // whatever waits there
            }
            now_ms += wait;
            mg_loop_set_now(loop, now_ms);
            mg_ticket t[2];
            assert_int_equal(choose(u, &t[0]), 0);
            assert_int_equal(choose(u, &t[1]), 1); // one is enough
            mg_ticket_end(&t[0], &(mg_outcome){0});
            end_ticket(&t[1]);
            for (int i = 0; i < 20; i++) {
                end_ticket(&busy[i]);
            }
        }
        mg_balance_tell(cell_of(u, 0), false, now_ms);
        assert_in_range(requests_until_asked(u, 0), 0, 20);
        rig_end(us);
    }
}

// Else it would take long until it has failed often enough in a row.
static void who_fails_is_seen_to_fail_where_that_ejects(void **state) {
    (void)state;
    rig_begin(2);
    shop.balance = MG_BALANCE_P2C;
    shop.outlier = (mg_outlier_options){.on = true, .failures = 5, .eject_ms = 1000, .most = 0.5};
    mg_upstreams *us = rig_set(NULL);
    mg_upstream *u = mg_upstreams_find(us, MG_STR("shop"));
    int failed = 0;
    for (int i = 0; i < 100; i++) {
        mg_ticket t;
        int at = choose(u, &t);
        failed += at == 0;
        mg_ticket_end(&t, &(mg_outcome){.status = at == 0 ? 500 : 200, .answer_us = 1000});
    }
    assert_int_equal(failed, 5);
    assert_true(mg_server_is_ejected(&u->members[0].server->hold, mg_loop_now_ms(loop)));
    rig_end(us);
}

static void who_was_slow_is_tried_again_in_seconds(void **state) {
    (void)state;
    mg_upstreams *us;
    mg_upstream *u = begin(&us, 2, MG_BALANCE_P2C);
    answer(u, 0, 100000);
    answer(u, 1, 1000);
    assert_int_equal(requests_until_asked(u, 0), -1);
    mg_loop_set_now(loop, mg_loop_now_ms(loop) + 8000);
    assert_in_range(requests_until_asked(u, 0), 0, 20);
    rig_end(us);
}

// Of a server that freezes no answer tells.
static void who_is_given_up_is_known_to_be_slow(void **state) {
    (void)state;
    mg_upstreams *us;
    mg_upstream *u = begin(&us, 2, MG_BALANCE_P2C);
    answer(u, 0, 1000);
    answer(u, 1, 1000);
    mg_ticket t;
    int given_up = choose(u, &t);
    mg_ticket_end(&t, &(mg_outcome){.cancelled = true, .answer_us = 500});
    assert_in_range(mg_balance_latency_us(cell_of(u, (size_t)given_up)), 999, 1000);
    for (int i = 0; i < 4; i++) {
        given_up = choose(u, &t);
        mg_ticket_end(&t, &(mg_outcome){.cancelled = true, .answer_us = 400000});
    }
    assert_true(mg_balance_latency_us(cell_of(u, (size_t)given_up)) > 50000);
    rig_end(us);
}

static void an_average_of_late_follows_what_is_now(void **state) {
    (void)state;
    mg_server_cell c = {0};
    for (int i = 0; i < 8; i++) {
        mg_balance_learn(&c, 8000, 1000);
    }
    mg_balance_learn(&c, 16000, 1000);
    assert_in_range(mg_balance_latency_us(&c), 7990, 8010); // one alone is chance
    mg_balance_learn(&c, 16000, 1000);
    assert_in_range(mg_balance_latency_us(&c), 8990, 9010);
    mg_balance_learn(&c, 1000, 90000);
    assert_in_range(mg_balance_latency_us(&c), 990, 1010);
}

static void a_server_that_comes_slowly_has_a_tenth_at_first(void **state) {
    (void)state;
    rig_begin(1);
    shop.slow_start_ms = 10000;
    mg_upstreams *us = rig_set(NULL);
    const mg_member *m = &mg_upstreams_find(us, MG_STR("shop"))->members[0];
    atomic_store(&m->server->hold.cell->slow_since_ms, 1000);
    assert_int_equal(mg_member_weight(m, &shop, 1000), 26);
    assert_int_equal(mg_member_weight(m, &shop, 6000), 128);
    assert_int_equal(mg_member_weight(m, &shop, 11000), 256);
    assert_int_equal(mg_member_weight(m, &shop, 500), 26); // it will come
    rig_end(us);
}

static void what_nobody_meant_neither_slows_nor_avoids(void **state) {
    (void)state;
    rig_begin(1);
    shop.slow_start_ms = 10000;
    mg_upstreams *us = rig_set(NULL);
    const mg_member *m = &mg_upstreams_find(us, MG_STR("shop"))->members[0];
    mg_server_cell *c = m->server->hold.cell;
    atomic_store(&c->slow_since_ms, UINT64_MAX);
    assert_int_equal(mg_member_weight(m, &shop, 1000), 256);
    atomic_store(&c->failing, UINT64_MAX);
    assert_false(mg_balance_avoids(&m->server->hold, 1000));
    mg_balance_tell(c, true, 1000);
    assert_true(mg_balance_avoids(&m->server->hold, 1000));
    mg_balance_tell(c, false, 1000);
    rig_end(us);
}

static uint32_t weight_now(const mg_upstream *u, size_t i) {
    return mg_member_weight(&u->members[i], &shop, mg_loop_now_ms(loop));
}

// By set_servers, a reload or the addresses of a name; and by a script that drained it.
static void a_server_that_comes_back_begins_slowly_again(void **state) {
    (void)state;
    rig_begin(2);
    shop.slow_start_ms = 10000;
    mg_upstreams *us = rig_set(NULL);
    mg_upstream *u = mg_upstreams_find(us, MG_STR("shop"));
    mg_loop_set_now(loop, mg_loop_now_ms(loop) + 20000);
    mg_members_set(u, &(mg_upstream_servers){servers, 1});
    mg_members_set(u, &(mg_upstream_servers){servers, 2});
    assert_int_equal(weight_now(u, 0), 256);
    assert_int_equal(weight_now(u, 1), 26);
    mg_loop_set_now(loop, mg_loop_now_ms(loop) + 20000);
    mg_members_drain(u, mg_str_of(urls[0]), true);
    mg_members_drain(u, mg_str_of(urls[0]), false);
    assert_int_equal(weight_now(u, 0), 26);
    assert_int_equal(weight_now(u, 1), 256);
    mg_members_set(u, &(mg_upstream_servers){servers, 2});
    assert_int_equal(weight_now(u, 1), 256); // it was not away
    rig_end(us);
}

// --- by a key ---

// The exchange of a GET of that path.
static int by_path(mg_upstream *u, int key) {
    mg_exchange x = {0};
    char path[24];
    mg_ticket t;
    snprintf(path, sizeof path, "/item/%d", key);
    x.head.target.path = mg_str_of(path);
    const mg_choice c = {.exchange = &x, .kind = MG_CHOICE_FIRST};
    assert_int_equal(mg_upstream_choose(u, &c, &t, NULL), MG_OK);
    int i = number_of(&t);
    end_ticket(&t);
    return i;
}

static mg_upstreams *hashing(size_t n, mg_upstreams *before) {
    shop.servers.n = n;
    shop.balance = MG_BALANCE_HASH;
    shop.hash_by = MG_HASH_PATH;
    return rig_set(before);
}

static void only_the_keys_of_a_server_that_goes_move(void **state) {
    (void)state;
    static int with[KEYS];
    for (size_t n = 3; n <= 10; n++) {
        rig_begin(n);
        memset(seen, 0, sizeof seen);
        mg_upstreams *all = hashing(n, NULL);
        mg_upstreams *fewer = hashing(n - 1, all);
        mg_upstream *a = mg_upstreams_find(all, MG_STR("shop"));
        mg_upstream *b = mg_upstreams_find(fewer, MG_STR("shop"));
        for (int key = 0; key < KEYS; key++) {
            with[key] = by_path(a, key);
            seen[with[key]]++;
            int without = by_path(b, key);
            if (with[key] != (int)n - 1) {
                assert_int_equal(without, with[key]);
            }
        }
        for (size_t i = 0; i < n; i++) { // and each has its share
            assert_in_range(seen[i], KEYS * 8 / 10 / (int)n, KEYS * 12 / 10 / (int)n);
        }
        mg_upstreams_unref(all);
        rig_end(fewer);
    }
}

// One key that everybody asks for: its server takes 5/4 of its share, then others help.
static void no_server_has_more_in_flight_than_its_bound(void **state) {
    (void)state;
    enum { SERVERS = 4, ASKED = 40 };
    rig_begin(SERVERS);
    memset(seen, 0, sizeof seen);
    mg_upstreams *us = hashing(SERVERS, NULL);
    mg_upstream *u = mg_upstreams_find(us, MG_STR("shop"));
    mg_exchange x = {0};
    x.head.target.path = MG_STR("/hot");
    const mg_choice c = {.exchange = &x, .kind = MG_CHOICE_FIRST};
    mg_ticket t[ASKED];
    for (int i = 0; i < ASKED; i++) {
        assert_int_equal(mg_upstream_choose(u, &c, &t[i], NULL), MG_OK);
        seen[number_of(&t[i])]++;
    }
    for (int i = 0; i < SERVERS; i++) {
        assert_in_range(seen[i], 1, ASKED * 5 / 4 / SERVERS + 1);
    }
    for (int i = 0; i < ASKED; i++) {
        end_ticket(&t[i]);
    }
    rig_end(us);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_in_turn_by_its_weight_and_never_in_a_run),
        cmocka_unit_test(weights_hold_however_servers_are_drawn),
        cmocka_unit_test(weights_hold_under_load),
        cmocka_unit_test(a_server_that_comes_slowly_is_not_overrun),
        cmocka_unit_test(least_requests_fills_the_emptiest),
        cmocka_unit_test(of_two_the_quicker_one_is_taken),
        cmocka_unit_test(a_server_that_refuses_at_once_does_not_draw_the_load),
        cmocka_unit_test(a_slow_first_answer_leaves_nobody_alone),
        cmocka_unit_test(who_failed_is_tried_again_in_seconds),
        cmocka_unit_test(who_fails_is_seen_to_fail_where_that_ejects),
        cmocka_unit_test(who_was_slow_is_tried_again_in_seconds),
        cmocka_unit_test(who_is_given_up_is_known_to_be_slow),
        cmocka_unit_test(an_average_of_late_follows_what_is_now),
        cmocka_unit_test(a_server_that_comes_slowly_has_a_tenth_at_first),
        cmocka_unit_test(what_nobody_meant_neither_slows_nor_avoids),
        cmocka_unit_test(a_server_that_comes_back_begins_slowly_again),
        cmocka_unit_test(only_the_keys_of_a_server_that_goes_move),
        cmocka_unit_test(no_server_has_more_in_flight_than_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
