// The life of a call.
#include "rig.h"

static void a_closed_call_closes_its_connection(void **state) {
    (void)state;
    caller c;
    get(&c, "/x");
    expect_request(0, "/x");
    mg_call_close(c.call);
    UNTIL(peers[0].ended);
    assert_int_equal(c.changes, 0);
    assert_int_equal(stats().origins, 0);
}

static void a_call_walks_from_state_to_state(void **state) {
    (void)state;
    caller c;
    prepare(&c, "GET", "/x");
    c.options.stream = true;
    start_call(&c);
    assert_int_equal(mg_call_state_of(c.call), MG_CALL_WAITS);
    expect_request(0, "/x");
    assert_int_equal(mg_call_state_of(c.call), MG_CALL_SENT);
    says(0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    UNTIL(c.changes > 0);
    assert_int_equal(mg_call_state_of(c.call), MG_CALL_BODY);
    says(0, "hi");
    expect_content(&c, 200, "hi");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(a_closed_call_closes_its_connection),
        EACH(a_call_walks_from_state_to_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
