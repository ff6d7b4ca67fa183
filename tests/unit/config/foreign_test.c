#include "config/foreign.h"

#include "../unit.h"

static void suggests(const char *typed, const char *const *candidates, const char *expected) {
    mg_suggest s;
    mg_buf text = {0};
    mg_suggest_init(&s, mg_str_of(typed));
    for (; *candidates != NULL; candidates++) {
        mg_config_offer(&s, mg_str_of(*candidates));
    }
    mg_suggest_append(&s, &text);
    mg_buf_append_char(&text, '\0');
    assert_string_equal(text.p, expected);
    mg_buf_deinit(&text);
}

static void other_gateways_words_are_known(void **state) {
    (void)state;
    static const char *const balances[] = {"p2c", "round_robin", "least_requests", "hash", NULL};
    static const char *const keys[] = {"servers", "retries", "outlier", NULL};
    static const char *const circuit[] = {"in_flight", "waiting", "failures", NULL};
    suggests("least_conn", balances, " (did you mean \"least_requests\"?)");
    suggests("Maglev", balances, " (did you mean \"hash\"?)");
    suggests("max_fails", keys, " (did you mean \"outlier\"?)");
    suggests("max_fails", circuit, " (did you mean \"failures\"?)");
}

static void others_are_near_or_nothing(void **state) {
    (void)state;
    static const char *const keys[] = {"servers", "retries", NULL};
    suggests("retreis", keys, " (did you mean \"retries\"?)");
    suggests("zzz", keys, "");
    suggests("max", keys, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_gateways_words_are_known),
        cmocka_unit_test(others_are_near_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
