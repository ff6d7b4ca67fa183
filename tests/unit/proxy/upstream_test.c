// Sets of upstreams, and what a ticket holds.
#include "rig.h"

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
    assert_int_equal(((mg_server_state *)t.server)->in_flight, 2);
    end_ticket(&t);
    end_ticket(&other);
    rig_end(two);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_found_or_not),
        cmocka_unit_test(a_server_is_ready_for_a_call),
        cmocka_unit_test(without_servers_there_is_a_reason),
        cmocka_unit_test(a_server_that_was_tried_is_the_last_choice),
        cmocka_unit_test(a_backup_is_used_when_nothing_else_is_left),
        cmocka_unit_test(a_set_made_from_another_keeps_its_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
