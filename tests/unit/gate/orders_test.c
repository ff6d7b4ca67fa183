// What scripts have said of upstreams: what is kept of it, and what is void.
#include "gate/orders.h"

#include "gate/channel.h"

#include "../unit.h"

#include <stdlib.h>

static mg_str order(mg_buf *b, const char *upstream, const char *verb, const char *what) {
    mg_buf_clear(b);
    mg_order_write(b, mg_str_of(upstream), mg_str_of(verb), mg_str_of(what));
    return mg_buf_str(b);
}

static void keep(mg_orders *o, const char *upstream, const char *verb, const char *what) {
    mg_buf b = {0};
    assert_int_equal(mg_orders_keep(o, order(&b, upstream, verb, what)), MG_OK);
    mg_buf_deinit(&b);
}

static void holds(const mg_orders *o, size_t i, const char *text) {
    assert_true(i < o->n);
    assert_text(text, mg_buf_str(&o->texts[i]));
}

static void the_last_list_of_servers_holds_and_ends_what_drained(void **state) {
    (void)state;
    mg_orders o = {0};
    keep(&o, "a", "servers", "[\"http://x\"]");
    keep(&o, "a", "drain", "http://x");
    keep(&o, "b", "drain", "http://y");
    assert_int_equal(o.n, 3);
    keep(&o, "a", "servers", "[]");
    assert_int_equal(o.n, 2);
    holds(&o, 0, "b\ndrain\nhttp://y");
    holds(&o, 1, "a\nservers\n[]");
    mg_orders_deinit(&o);
}

static void what_is_as_configured_is_not_kept(void **state) {
    (void)state;
    mg_orders o = {0};
    keep(&o, "a", "servers", "[]");
    keep(&o, "a", "drain", "http://x");
    keep(&o, "a", "drain", "http://x");
    assert_int_equal(o.n, 2);
    keep(&o, "a", "undrain", "http://x");
    assert_int_equal(o.n, 1);
    keep(&o, "a", "servers", "");
    assert_int_equal(o.n, 0);
    mg_orders_deinit(&o);
}

static void those_of_upstreams_that_are_gone_are_forgotten(void **state) {
    (void)state;
    const mg_upstream_options left = {.name = "b"};
    mg_orders o = {0};
    keep(&o, "a", "servers", "[]");
    keep(&o, "b", "servers", "[]");
    mg_orders_prune(&o, &(mg_upstreams_options){&left, 1, NULL});
    assert_int_equal(o.n, 1);
    holds(&o, 0, "b\nservers\n[]");
    mg_orders_deinit(&o);
}

static void what_cannot_be_is_told_before(void **state) {
    (void)state;
    mg_buf b = {0};
    mg_error err;
    assert_int_equal(mg_order_check(order(&b, "a", "servers", "[\"http://x:1\"]"), "/", &err),
                     MG_OK);
    assert_int_equal(mg_order_check(order(&b, "a", "servers", ""), "/", &err), MG_OK);
    assert_int_equal(mg_order_check(order(&b, "a", "servers", "[1]"), "/", &err), MG_ECONFIG);
    assert_string_equal(err.text, "servers[1]: is 1, allowed: \"http://host:port\", "
                                  "\"https://host:port\" or \"unix:run/x.sock\"");
    assert_int_equal(mg_order_check(order(&b, "a", "server", "[]"), "/", &err), MG_ECONFIG);
    char *long_list = malloc(MG_MESSAGE_TEXT + 1);
    memset(long_list, ' ', MG_MESSAGE_TEXT);
    long_list[MG_MESSAGE_TEXT] = '\0';
    assert_int_equal(mg_order_check(order(&b, "a", "servers", long_list), "/", &err), MG_ELIMIT);
    free(long_list);
    mg_buf_deinit(&b);
}

static void what_is_no_order_is_not_kept(void **state) {
    (void)state;
    mg_orders o = {0};
    assert_int_equal(mg_orders_keep(&o, MG_STR("")), MG_ESYNTAX);
    assert_int_equal(mg_orders_keep(&o, MG_STR("a")), MG_ESYNTAX);
    assert_int_equal(mg_orders_keep(&o, MG_STR("a\nb\nc")), MG_ESYNTAX);
    assert_int_equal(o.n, 0);
    mg_orders_deinit(&o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_list_of_servers_holds_and_ends_what_drained),
        cmocka_unit_test(what_is_as_configured_is_not_kept),
        cmocka_unit_test(those_of_upstreams_that_are_gone_are_forgotten),
        cmocka_unit_test(what_cannot_be_is_told_before),
        cmocka_unit_test(what_is_no_order_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
