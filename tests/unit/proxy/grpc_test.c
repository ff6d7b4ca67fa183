#include "proxy/grpc.h"

#include "unit.h"

static mg_arena arena;

static int tear_down(void **state) {
    (void)state;
    mg_arena_deinit(&arena);
    return 0;
}

static mg_fields with(const char *name, const char *value) {
    mg_fields l;
    mg_fields_init(&l, &arena);
    assert_int_equal(mg_fields_add(&l, mg_str_of(name), mg_str_of(value)), MG_OK);
    return l;
}

static bool is(const char *type) {
    mg_fields l = with("Content-Type", type);
    return mg_grpc_is(&l);
}

static void grpc_is_told_by_its_content_type(void **state) {
    (void)state;
    assert_true(is("application/grpc"));
    assert_true(is("application/grpc+proto"));
    assert_true(is("Application/gRPC;x=y"));
    assert_false(is("application/grpc-web"));
    assert_false(is("application/grpc-web+proto"));
    assert_false(is("application/grpcx"));
    assert_false(is("application/json"));
    mg_fields none = with("A", "b");
    assert_false(mg_grpc_is(&none));
}

static uint32_t timeout(const char *value) {
    mg_fields l = with("grpc-timeout", value);
    return mg_grpc_timeout_ms(&l);
}

static void timeouts_have_units_and_are_rounded_up(void **state) {
    (void)state;
    assert_int_equal(timeout("1H"), 3600000);
    assert_int_equal(timeout("2M"), 120000);
    assert_int_equal(timeout("3S"), 3000);
    assert_int_equal(timeout("4m"), 4);
    assert_int_equal(timeout("5001u"), 6);
    assert_int_equal(timeout("1n"), 1);
    assert_int_equal(timeout("0S"), 1); // it has passed
    assert_int_equal(timeout("99999999H"), UINT32_MAX);
}

static void timeouts_that_are_none_are_none(void **state) {
    (void)state;
    static const char *const wrong[] = {"", "S", "5", "5s", "-5S", "123456789S", "1.5S", "5 S"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(timeout(wrong[i]), 0);
    }
    mg_fields none = with("A", "b");
    assert_int_equal(mg_grpc_timeout_ms(&none), 0);
}

static void faults_have_a_status_of_their_own(void **state) {
    (void)state;
    assert_int_equal(mg_grpc_status_of(502), MG_GRPC_UNAVAILABLE);
    assert_int_equal(mg_grpc_status_of(503), MG_GRPC_UNAVAILABLE);
    assert_int_equal(mg_grpc_status_of(504), MG_GRPC_DEADLINE_EXCEEDED);
    assert_int_equal(mg_grpc_status_of(413), MG_GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(mg_grpc_status_of(400), MG_GRPC_INTERNAL);
    assert_int_equal(mg_grpc_status_of(500), MG_GRPC_UNKNOWN);
    assert_int_equal(mg_grpc_status_of(401), MG_GRPC_UNAUTHENTICATED);
    assert_int_equal(mg_grpc_status_of(404), MG_GRPC_UNIMPLEMENTED);
}

static void statuses_have_numbers_and_names(void **state) {
    (void)state;
    assert_int_equal(MG_GRPC_OK, mg_grpc_status_named(MG_STR("ok")));
    assert_int_equal(16, mg_grpc_status_named(MG_STR("unauthenticated")));
    assert_int_equal(14, mg_grpc_status_named(MG_STR("unavailable")));
    assert_int_equal(MG_GRPC_STATUSES, mg_grpc_status_named(MG_STR("UNAVAILABLE")));
    assert_int_equal(MG_GRPC_STATUSES, mg_grpc_status_named(MG_STR("")));
}

static void an_answer_tells_its_status_or_none(void **state) {
    (void)state;
    static const struct {
        mg_str value;
        int want;
    } list[] = {
        {MG_STR("0"), 0},
        {MG_STR("14"), 14},
        {MG_STR("16"), 16},
        {MG_STR("17"), MG_GRPC_STATUSES},
        {MG_STR(""), MG_GRPC_STATUSES},
        {MG_STR("x"), MG_GRPC_STATUSES},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        mg_fields l;
        mg_fields_init(&l, &arena);
        (void)mg_fields_add(&l, MG_STR("grpc-status"), list[i].value);
        assert_int_equal(list[i].want, mg_grpc_status_in(&l));
    }
    static const mg_fields none;
    assert_int_equal(MG_GRPC_STATUSES, mg_grpc_status_in(&none));
}

static void messages_are_encoded(void **state) {
    (void)state;
    mg_fields l;
    mg_fields_init(&l, &arena);
    mg_grpc_tell(&l, MG_GRPC_UNAVAILABLE, "100 % of\n\xc3\xa4");
    assert_text("14", l.at[0].value);
    assert_text("100 %25 of%0A%C3%A4", l.at[1].value);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(grpc_is_told_by_its_content_type, tear_down),
        cmocka_unit_test_teardown(timeouts_have_units_and_are_rounded_up, tear_down),
        cmocka_unit_test_teardown(timeouts_that_are_none_are_none, tear_down),
        cmocka_unit_test_teardown(faults_have_a_status_of_their_own, tear_down),
        cmocka_unit_test_teardown(statuses_have_numbers_and_names, tear_down),
        cmocka_unit_test_teardown(an_answer_tells_its_status_or_none, tear_down),
        cmocka_unit_test_teardown(messages_are_encoded, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
