#include "proxy/tries.h"

#include "unit.h"

static mg_retry_options want;
static mg_try_facts facts;

static int set_up(void **state) {
    (void)state;
    want = (mg_retry_options){.on = true, .count = 1, .on_connect = true, .on_closed = true};
    want.on_status.bits[503 / 64] |= (uint64_t)1 << 503 % 64;
    facts = (mg_try_facts){.method = MG_METHOD_GET, .has_body = true, .code = "closed"};
    return 0;
}

static bool again(void) {
    return mg_tries_may_retry(&want, &facts);
}

static void what_the_configuration_names_is_tried_again(void **state) {
    (void)state;
    assert_true(again());
    facts.code = "connect";
    assert_true(again());
    facts.code = "dns";
    assert_true(again());
    facts.code = "protocol";
    assert_false(again());
    facts.code = "limit";
    assert_false(again());
    facts.code = NULL;
    facts.status = 503;
    assert_true(again());
    facts.status = 502;
    assert_false(again());
    want.on_connect = want.on_closed = false;
    facts.code = "connect";
    assert_false(again());
    facts.code = "closed";
    assert_false(again());
}

static void a_timeout_is_a_504(void **state) {
    (void)state;
    facts.code = "timeout";
    assert_false(again());
    want.on_timeout = true;
    assert_true(again());
    want.on_timeout = false;
    want.on_status.bits[504 / 64] |= (uint64_t)1 << 504 % 64;
    assert_true(again());
}

// A POST as all of its calls are: its server has said that it may come again.
static void a_status_of_grpc_that_is_named_is_tried_again(void **state) {
    (void)state;
    facts = (mg_try_facts){.method = MG_METHOD_POST, .has_body = true, .status = 200};
    facts.grpc = 1 << 14;
    assert_false(again());
    want.on_grpc = 1 << 14;
    assert_true(again());
    facts.has_body = false;
    assert_false(again());
    facts.has_body = true;
    facts.grpc = 1 << 13;
    assert_false(again());
    facts.grpc = 0;
    assert_false(again());
}

static void only_so_often(void **state) {
    (void)state;
    facts.retries = 1;
    assert_false(again());
    want.count = 2;
    assert_true(again());
    want.on = false;
    assert_false(again());
}

static void what_was_seen_must_be_idempotent(void **state) {
    (void)state;
    static const mg_method once[] = {MG_METHOD_POST, MG_METHOD_PATCH, MG_METHOD_CONNECT,
                                     MG_METHOD_UNKNOWN};
    for (size_t i = 0; i < sizeof once / sizeof *once; i++) {
        facts.method = once[i];
        facts.unsent = false;
        assert_false(again());
        facts.unsent = true;
        assert_true(again());
    }
    facts.method = MG_METHOD_DELETE;
    facts.unsent = false;
    assert_true(again());
}

static void a_body_that_is_gone_cannot_be_sent_again(void **state) {
    (void)state;
    facts.method = MG_METHOD_PUT;
    assert_true(again());
    facts.has_body = false;
    assert_false(again());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_the_configuration_names_is_tried_again, set_up),
        cmocka_unit_test_setup(a_timeout_is_a_504, set_up),
        cmocka_unit_test_setup(a_status_of_grpc_that_is_named_is_tried_again, set_up),
        cmocka_unit_test_setup(only_so_often, set_up),
        cmocka_unit_test_setup(what_was_seen_must_be_idempotent, set_up),
        cmocka_unit_test_setup(a_body_that_is_gone_cannot_be_sent_again, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
