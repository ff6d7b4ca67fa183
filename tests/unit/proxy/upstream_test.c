// Sets of upstreams, and what a ticket holds.
#include "rig.h"

#include "proxy/balance.h"
#include "proxy/members.h"
#include "proxy/state.h"

#include "proxy/verdict.h"

static void a_name_is_found_or_not(void **state) {
    (void)state;
    rig_begin(1);
    mg_upstreams *us = rig_set(NULL);
    assert_non_null(mg_upstreams_find(us, MG_STR("shop")));
    assert_null(mg_upstreams_find(us, MG_STR("shops")));
    rig_end(us);
}

static void a_server_is_ready_for_a_call(void **state) {
    (void)state;
    rig_begin(1);
    mg_upstreams *us = rig_set(NULL);
    mg_ticket t;
    choose(mg_upstreams_find(us, MG_STR("shop")), &t);
    assert_non_null(t.server->client);
    assert_true(mg_str_eq(t.server->address, MG_STR("127.0.0.1:9001")));
    assert_true(mg_str_eq(t.server->authority, MG_STR("127.0.0.1:9001")));
    assert_true(mg_str_eq(t.server->origin.host, MG_STR("127.0.0.1")));
    end_ticket(&t);
    rig_end(us);
}

static void without_servers_there_is_a_reason(void **state) {
    (void)state;
    rig_begin(0);
    mg_upstreams *us = rig_set(NULL);
    mg_ticket t;
    mg_no_server why;
    const mg_choice first = {.kind = MG_CHOICE_FIRST};
    mg_upstream *u = mg_upstreams_find(us, MG_STR("shop"));
    assert_int_equal(mg_upstream_choose(u, &first, &t, &why), MG_EAGAIN);
    assert_string_equal(why.why, "no server is configured");
    assert_true(why.retry_after >= 1);
    rig_end(us);
}

static void a_server_that_was_tried_is_the_last_choice(void **state) {
    (void)state;
    rig_begin(2);
    mg_upstreams *us = rig_set(NULL);
    mg_upstream *u = mg_upstreams_find(us, MG_STR("shop"));
    mg_ticket a;
    mg_ticket b;
    for (int i = 0; i < 10; i++) {
        choose(u, &a);
        const mg_upstream_server *tried[] = {a.server};
        const mg_choice again = {.kind = MG_CHOICE_RETRY, .tried = tried, .tried_count = 1};
        assert_int_equal(mg_upstream_choose(u, &again, &b, NULL), MG_OK);
        assert_ptr_not_equal(a.server, b.server);
        end_ticket(&a);
        end_ticket(&b);
    }
    rig_end(us);
}

static void a_backup_is_used_when_nothing_else_is_left(void **state) {
    (void)state;
    rig_begin(2);
    servers[0].backup = true;
    mg_upstreams *us = rig_set(NULL);
    mg_upstream *u = mg_upstreams_find(us, MG_STR("shop"));
    mg_ticket a;
    mg_ticket b;
    assert_int_equal(choose(u, &a), 1);
    const mg_upstream_server *tried[] = {a.server};
    const mg_choice again = {.kind = MG_CHOICE_RETRY, .tried = tried, .tried_count = 1};
    assert_int_equal(mg_upstream_choose(u, &again, &b, NULL), MG_OK);
    assert_int_equal(number_of(&b), 0);
    end_ticket(&a);
    end_ticket(&b);
    rig_end(us);
}

static void a_set_made_from_another_keeps_its_servers(void **state) {
    (void)state;
    rig_begin(2);
    mg_upstreams *one = rig_set(NULL);
    mg_ticket t;
    choose(mg_upstreams_find(one, MG_STR("shop")), &t);
    shop.servers.n = 1;
    mg_upstreams *two = rig_set(one);
    mg_upstreams_unref(one); // the ticket holds it
    mg_ticket other;
    choose(mg_upstreams_find(two, MG_STR("shop")), &other);
    assert_ptr_equal(other.server, t.server);
    assert_int_equal(mg_server_in_flight(&((mg_server_state *)t.server)->hold), 2);
    end_ticket(&t);
    end_ticket(&other);
    rig_end(two);
}

// Its connections are others, it is the same server: for all that is known of it.
static void a_server_of_another_pool_is_not_gone(void **state) {
    (void)state;
    rig_begin(2);
    shop.slow_start_ms = 10000;
    mg_loop_set_now(loop, 1000);
    mg_upstreams *one = rig_set(NULL);
    mg_loop_set_now(loop, 21000);
    shop.idle_ms = 5000;
    shop.servers.n = 1;
    mg_upstreams *two = rig_set(one);
    mg_upstream_member before, after;
    mg_ticket t[2];
    mg_upstream *u = mg_upstreams_find(one, MG_STR("shop"));
    choose(u, &t[0]);
    choose(u, &t[1]); // so that its servers stay
    const mg_server_state *other = (const mg_server_state *)t[1].server;
    mg_upstreams_unref(one);
    u = mg_upstreams_find(two, MG_STR("shop"));
    mg_upstream_member_of(u, 0, &before);
    assert_string_equal(before.state, "up");
    end_ticket(&t[0]);
    assert_int_equal(mg_member_weight(&u->members[0], &shop, mg_loop_now_ms(loop)), 256);
    assert_int_equal(atomic_load(&other->hold.cell->draining), MG_DRAIN_NOT); // the set lives
    end_ticket(&t[1]);
    mg_upstream_member_of(u, 0, &after);
    assert_string_equal(after.state, "up");
    mg_members_set(u, &(mg_upstream_servers){servers, 2});
    assert_int_equal(mg_member_weight(&u->members[0], &shop, mg_loop_now_ms(loop)), 256);
    assert_int_equal(mg_member_weight(&u->members[1], &shop, mg_loop_now_ms(loop)), 26);
    rig_end(two);
}

static const mg_upstream_server_options by_url[] = {
    {.url = "http://a.test", .host = "a.test", .port = 80},
    {.url = "http://a.test:81", .host = "a.test", .port = 81},
};

static void a_server_without_a_name_lives_with_its_tickets(void **state) {
    (void)state;
    rig_begin(1);
    mg_upstream_options open = shop;
    open.name = MG_UPSTREAM_OPEN;
    open.servers = (mg_upstream_servers){0};
    mg_upstreams *us = rig_set(NULL);
    assert_null(mg_upstreams_open(us)); // unless it is wanted
    mg_upstreams_unref(us);
    us = rig_open_set(&open);
    assert_null(mg_upstreams_find(us, MG_STR(MG_UPSTREAM_OPEN)));
    mg_upstream *u = mg_upstreams_open(us);
    mg_ticket a;
    mg_ticket b;
    mg_ticket other;
    const mg_choice here = {.server = &by_url[0]};
    const mg_choice there = {.server = &by_url[1]};
    assert_int_equal(mg_upstream_choose(u, &here, &a, NULL), MG_OK);
    assert_int_equal(mg_upstream_choose(u, &here, &b, NULL), MG_OK);
    assert_int_equal(mg_upstream_choose(u, &there, &other, NULL), MG_OK);
    assert_ptr_equal(a.server, b.server);
    assert_ptr_not_equal(a.server, other.server);
    assert_int_equal(mg_server_in_flight(&((mg_server_state *)a.server)->hold), 2);
    end_ticket(&a);
    end_ticket(&other);
    mg_upstreams_unref(us); // the last ticket holds it
    end_ticket(&b);
    assert_int_equal(mg_loop_free(loop), 0);
}

// --- what defends servers and clients ---

static mg_upstream *begin_shop(size_t n, mg_upstreams **us) {
    rig_begin(n);
    shop.outlier = (mg_outlier_options){.on = true, .failures = 1, .eject_ms = 1000, .most = 0.5};
    *us = rig_set(NULL);
    return mg_upstreams_find(*us, MG_STR("shop"));
}

static void fails(mg_upstream *u, int server) {
    mg_ticket t;
    for (;;) {
        if (choose(u, &t) == server) {
            mg_ticket_end(&t, &(mg_outcome){0});
            return;
        }
        end_ticket(&t);
    }
}

static bool is_chosen(mg_upstream *u, int server) {
    for (int i = 0; i < 50; i++) {
        if (once(u) == server) {
            return true;
        }
    }
    return false;
}

static void a_server_that_fails_is_left_out_for_a_while(void **state) {
    (void)state;
    mg_upstreams *us;
    mg_upstream *u = begin_shop(3, &us);
    fails(u, 1);
    assert_false(is_chosen(u, 1));
    assert_true(is_chosen(u, 0));
    mg_loop_set_now(loop, mg_loop_now_ms(loop) + 1000);
    assert_true(is_chosen(u, 1));
    rig_end(us);
}

static void what_is_known_survives_a_reload(void **state) {
    (void)state;
    mg_upstreams *us;
    fails(begin_shop(3, &us), 1);
    shop.idle_ms = 5000; // not even their connections are the same
    mg_upstreams *next = rig_set(us);
    mg_upstreams_unref(us);
    assert_false(is_chosen(mg_upstreams_find(next, MG_STR("shop")), 1));
    rig_end(next);
}

static void when_fewer_than_half_are_usable_all_are_used(void **state) {
    (void)state;
    mg_upstreams *us;
    const mg_health_options checks = {.on = true, .up = 1, .down = 1};
    mg_upstream *u = begin_shop(4, &us);
    u->options.health = checks;
    for (size_t i = 0; i < 2; i++) {
        mg_health_tell(&checks, &u->members[i].server->hold, MG_FOUND_REFUSED, 0, 1);
    }
    assert_false(is_chosen(u, 0));
    mg_health_tell(&checks, &u->members[2].server->hold, MG_FOUND_REFUSED, 0, 1);
    assert_true(is_chosen(u, 0));
    rig_end(us);
}

static void a_usable_backup_comes_before_that(void **state) {
    (void)state;
    mg_upstreams *us;
    const mg_health_options checks = {.on = true, .up = 1, .down = 1};
    mg_upstream *u = begin_shop(2, &us);
    u->options.health = checks;
    u->members[1].backup = true;
    mg_health_tell(&checks, &u->members[0].server->hold, MG_FOUND_REFUSED, 0, 1);
    assert_false(is_chosen(u, 0));
    mg_health_tell(&checks, &u->members[1].server->hold, MG_FOUND_REFUSED, 0, 1);
    assert_true(is_chosen(u, 0));
    rig_end(us);
}

static void a_retry_is_for_another_server(void **state) {
    (void)state;
    mg_upstreams *us;
    mg_upstream *u = begin_shop(1, &us);
    mg_ticket t, again;
    mg_no_server why;
    choose(u, &t);
    const mg_upstream_server *tried[] = {t.server};
    const mg_choice retry = {.kind = MG_CHOICE_RETRY, .tried = tried, .tried_count = 1};
    assert_int_equal(mg_upstream_choose(u, &retry, &again, &why), MG_EAGAIN);
    assert_string_equal(why.why, "all servers were tried");
    end_ticket(&t);
    mg_upstream_sums now = mg_upstream_sum(&u->pool->hold);
    assert_int_equal(now.in_flight, 0);
    assert_int_equal(now.extra, 0);
    rig_end(us);
}

static void a_retry_keeps_away_from_who_fails(void **state) {
    (void)state;
    mg_upstreams *us;
    mg_upstream *u = begin_shop(3, &us);
    mg_ticket t, again;
    choose(u, &t);
    const mg_upstream_server *tried[] = {t.server};
    const mg_choice retry = {.kind = MG_CHOICE_RETRY, .tried = tried, .tried_count = 1};
    mg_balance_tell(u->members[1].server->hold.cell, true, mg_loop_now_ms(loop));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mg_upstream_choose(u, &retry, &again, NULL), MG_OK);
        assert_int_equal(number_of(&again), 2);
        end_ticket(&again);
    }
    mg_balance_tell(u->members[2].server->hold.cell, true, mg_loop_now_ms(loop));
    assert_int_equal(mg_upstream_choose(u, &retry, &again, NULL), MG_OK); // better than none
    end_ticket(&again);
    end_ticket(&t);
    rig_end(us);
}

// Of what nobody has seen. A server that fails too would be asked more than it is without retries.
static void what_goes_to_a_server_that_is_well_is_no_extra_load(void **state) {
    (void)state;
    mg_upstreams *us;
    mg_upstream *u = begin_shop(2, &us);
    mg_ticket t, again;
    choose(u, &t);
    const mg_upstream_server *tried[] = {t.server};
    const mg_choice failover = {.kind = MG_CHOICE_FAILOVER, .tried = tried, .tried_count = 1};
    assert_int_equal(mg_upstream_choose(u, &failover, &again, NULL), MG_OK);
    assert_int_equal(mg_upstream_sum(&u->pool->hold).extra, 0);
    end_ticket(&again);
    mg_balance_tell(u->members[1].server->hold.cell, true, mg_loop_now_ms(loop));
    assert_int_equal(mg_upstream_choose(u, &failover, &again, NULL), MG_OK);
    assert_int_equal(mg_upstream_sum(&u->pool->hold).extra, 1);
    end_ticket(&again);
    u->options.retries.budget = 0;
    mg_balance_tell(u->members[1].server->hold.cell, false, mg_loop_now_ms(loop));
    assert_int_equal(mg_upstream_choose(u, &failover, &again, NULL), MG_EAGAIN);
    end_ticket(&t);
    rig_end(us);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_found_or_not),
        cmocka_unit_test(a_server_is_ready_for_a_call),
        cmocka_unit_test(without_servers_there_is_a_reason),
        cmocka_unit_test(a_server_that_was_tried_is_the_last_choice),
        cmocka_unit_test(a_backup_is_used_when_nothing_else_is_left),
        cmocka_unit_test(a_set_made_from_another_keeps_its_servers),
        cmocka_unit_test(a_server_of_another_pool_is_not_gone),
        cmocka_unit_test(a_server_without_a_name_lives_with_its_tickets),
        cmocka_unit_test(a_server_that_fails_is_left_out_for_a_while),
        cmocka_unit_test(what_is_known_survives_a_reload),
        cmocka_unit_test(when_fewer_than_half_are_usable_all_are_used),
        cmocka_unit_test(a_usable_backup_comes_before_that),
        cmocka_unit_test(a_retry_is_for_another_server),
        cmocka_unit_test(a_retry_keeps_away_from_who_fails),
        cmocka_unit_test(what_goes_to_a_server_that_is_well_is_no_extra_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
