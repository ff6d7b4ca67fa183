// An upstream that mirrors to itself: a copy is one more connection of the server.
#include "proxy/mirror.h"
#include "proxy/upstream_inside.h"

#include "relay_rig.h"

#define GOOD "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
#define PUT  "PUT /a/x?y HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nContent-Length: 4\r\n\r\nab"

static mg_upstream *shop;

static int set_up_mirror(void **state) {
    set_up(state);
    shop = mg_upstreams_find(upstreams, MG_STR("shop"));
    shop->options.mirror = (mg_mirror_options){.to = "shop", .share = 1};
    return 0;
}

#define MIRRORED(f) cmocka_unit_test_setup_teardown(f, set_up_mirror, tear_down)

static uint64_t sent(void) {
    return atomic_load(&shop->pool->hold.own->mirrored);
}

static uint64_t dropped(void) {
    return atomic_load(&shop->pool->hold.own->mirror_dropped);
}

static void client_gets(const char *text) {
    UNTIL(client_has(text));
    mg_buf_clear(&p.got);
}

// The upload in progress has the first connection.
static void a_copy_goes_when_the_body_is_whole(void **state) {
    (void)state;
    asks(PUT, 0, "\r\n\r\nab");
    turns(5);
    assert_int_equal(accepted, 1);
    peer_write(&p, "cd", 2);
    UNTIL(has_got(0, "abcd"));
    UNTIL(has_got(1, "\r\n\r\nabcd"));
    assert_true(has_got(1, "PUT /a/x?y HTTP/1.1\r\n"));
    assert_true(has_got(1, "X-A: 1\r\n"));
    assert_true(has_got(1, "Content-Length: 4\r\n"));
    assert_int_equal(sent(), 1);
    says(1, "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno"); // nobody cares
    UNTIL(mg_upstream_sum(&shop->pool->hold).in_flight == 1);
    says(0, GOOD);
    client_gets("200 OK");
}

static void a_frozen_one_is_not_waited_for(void **state) {
    (void)state;
    asks("GET /a/x HTTP/1.1\r\nHost: h\r\n\r\n", 1, "GET /a/x ");
    UNTIL(has_got(0, "GET /a/x "));
    says(0, GOOD);
    says(1, GOOD); // whichever of the two is the client's
    client_gets("200 OK");
    asks("GET /a/z HTTP/1.1\r\nHost: h\r\n\r\n", 1, "GET /a/z ");
    UNTIL(has_got(0, "GET /a/z "));
    says(0, GOOD); // one of the two stays silent
    turns(20);
    says(1, GOOD);
    client_gets("200 OK");
}

static void what_is_too_large_is_not_copied(void **state) {
    (void)state;
    static char body[MG_MIRROR_BODY_BYTES + 1];
    char head[100];
    memset(body, 'x', sizeof body);
    snprintf(head, sizeof head, "PUT /a/x HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n",
             sizeof body);
    asks(head, 0, "PUT /a/x ");
    peer_write(&p, body, sizeof body);
    UNTIL(dropped() == 1);
    says(0, GOOD);
    client_gets("200 OK");
    assert_int_equal(accepted, 1);
    assert_int_equal(sent(), 0);
}

static void too_many_are_dropped(void **state) {
    (void)state;
    shop->set->mirror_count = MG_MIRRORS_MOST;
    asks("GET /a/x HTTP/1.1\r\nHost: h\r\n\r\n", 0, "GET /a/x ");
    says(0, GOOD);
    client_gets("200 OK");
    assert_int_equal(dropped(), 1);
    assert_int_equal(accepted, 1);
    shop->set->mirror_count = 0;
}

static void a_request_that_breaks_off_is_not_copied(void **state) {
    (void)state;
    asks(PUT, 0, "\r\n\r\nab");
    mg_stream_close(&p.s, true);
    UNTIL(peers[0].ended);
    assert_int_equal(accepted, 1);
    assert_int_equal(dropped(), 1);
}

static void its_share_may_be_none(void **state) {
    (void)state;
    shop->options.mirror.share = 0;
    asks("GET /a/x HTTP/1.1\r\nHost: h\r\n\r\n", 0, "GET /a/x ");
    says(0, GOOD);
    client_gets("200 OK");
    assert_int_equal(accepted, 1);
    assert_int_equal(dropped(), 0);
}

// tear_down sees that nothing is left.
static void it_goes_with_its_set(void **state) {
    (void)state;
    asks("GET /a/x HTTP/1.1\r\nHost: h\r\n\r\n", 1, "GET /a/x ");
    UNTIL(has_got(0, "GET /a/x "));
    mg_stream_close(&p.s, true);
    turns(20);
    assert_int_equal(mg_upstream_sum(&shop->pool->hold).in_flight, 1); // the mirror
    mg_upstreams_unref(mg_upstreams_ref(upstreams));
    assert_int_equal(shop->set->mirror_count, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MIRRORED(a_copy_goes_when_the_body_is_whole),
        MIRRORED(a_frozen_one_is_not_waited_for),
        MIRRORED(what_is_too_large_is_not_copied),
        MIRRORED(too_many_are_dropped),
        MIRRORED(a_request_that_breaks_off_is_not_copied),
        MIRRORED(its_share_may_be_none),
        MIRRORED(it_goes_with_its_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
