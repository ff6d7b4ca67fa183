#include "event/port_holder.h"

#include "wire.h"

static void a_listener_of_this_process_is_ours_and_nobody_else_is_named(void **state) {
    (void)state;
    mg_address a;
    int fd = listen_on("127.0.0.1:0");
    mg_address_of_socket(fd, &a);
    assert_true(mg_port_holder_find(&a).ours);
    close(fd);
    mg_port_holder nobody = mg_port_holder_find(&a);
    assert_false(nobody.ours);
    assert_int_equal(nobody.pid, 0);
}

static void another_address_at_the_same_port_is_not_in_the_way(void **state) {
    (void)state;
    mg_address a;
    mg_address b;
    mg_error err;
    char text[64];
    int fd = listen_on("127.0.0.1:0");
    mg_address_of_socket(fd, &a);
    snprintf(text, sizeof text, "127.0.0.2%s", strchr(a.text, ':'));
    assert_int_equal(mg_address_parse(text, &b, &err), 0);
    mg_port_holder h = mg_port_holder_find(&b);
    assert_false(h.ours);
    assert_int_equal(h.pid, 0);
    close(fd);
}

static void a_part_of_the_address_in_use_is_named_but_not_joined(void **state) {
    (void)state;
    mg_address a;
    mg_address all;
    mg_error err;
    int fd = listen_on("127.0.0.1:0");
    mg_address_of_socket(fd, &a);
    assert_int_equal(mg_address_parse(strchr(a.text, ':'), &all, &err), 0);
    mg_port_holder h = mg_port_holder_find(&all);
    assert_false(h.ours);
    assert_int_equal(h.pid, getpid());
    close(fd);
}

int main(void) {
    alarm(30);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listener_of_this_process_is_ours_and_nobody_else_is_named),
        cmocka_unit_test(another_address_at_the_same_port_is_not_in_the_way),
        cmocka_unit_test(a_part_of_the_address_in_use_is_named_but_not_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
