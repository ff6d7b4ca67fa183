#include "guest_rig.h"

static mg_buf counts;

static void note(void *arg, const char *route, uint32_t generation, uint32_t n) {
    (void)arg;
    mg_buf_printf(&counts, "%s/%u=%u ", route, generation, n);
}

static void counts_by_route_and_generation(void **state) {
    (void)state;
    mg_guest_terms both[] = {terms_of("chat", true, false), terms_of("echo", false, false)};
    mg_host_serve(&one.host, both, 2);
    for (int i = 0; i < 3; i++) {
        mg_guest_done(open_guest(&one, "chat"));
    }
    mg_guest_hand_over(open_guest(&one, "echo"));
    mg_host_serve(&two.host, both, 2);
    mg_guest_hand_over(open_guest(&two, "echo"));
    mg_guests_count(all, note, NULL);
    assert_text("chat/2=3 echo/1=1 echo/2=1 ", mg_buf_str(&counts));
    mg_buf_clear(&counts);
    serve(&one, "echo", false, false);
    mg_guests_count(all, note, NULL); // those of a route that is gone: who served it last
    assert_text("chat/2=3 echo/1=1 echo/2=1 ", mg_buf_str(&counts));
    mg_buf_deinit(&counts);
}

static void changes_limits_of_sockets_that_are_open(void **state) {
    (void)state;
    mg_guest_terms terms = terms_of("chat", true, false);
    mg_host_serve(&one.host, &terms, 1);
    mg_guest *g = open_guest(&one, "chat");
    mg_guest_done(g);
    const mg_socket_kind *before = g->socket.kind;
    mg_host_serve(&one.host, &terms, 1);
    assert_ptr_equal(g->socket.kind, before);
    terms.limits.rate = 9;
    mg_host_serve(&one.host, &terms, 1);
    assert_int_equal(g->socket.kind->limits.rate, 9);
    assert_int_equal(g->socket.kind->limits.outbox_bytes, 1000);
    mg_guests_set_options(all, &(mg_guest_options){.outbox_bytes = 5, .close_ms = 6});
    mg_host_serve(&one.host, &terms, 1);
    assert_int_equal(g->socket.kind->limits.outbox_bytes, 5);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(counts_by_route_and_generation),
        TEST(changes_limits_of_sockets_that_are_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
