#include "base/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const words[] = {"listen", "limits", "timeouts", "log", "app"};

static void means(const char *word, const char *expected) {
    mg_suggest s;
    mg_buf out = {0};
    mg_suggest_init(&s, mg_str_of(word));
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        mg_suggest_offer(&s, mg_str_of(words[i]));
    }
    mg_suggest_append(&s, &out);
    mg_buf_append_char(&out, '\0');
    assert_string_equal(out.p, expected);
    mg_buf_deinit(&out);
}

static void a_letter_missing_added_or_wrong_is_near(void **state) {
    (void)state;
    means("lisen", " (did you mean \"listen\"?)");
    means("llisten", " (did you mean \"listen\"?)");
    means("lissen", " (did you mean \"listen\"?)");
    means("timeout", " (did you mean \"timeouts\"?)");
    means("limit", " (did you mean \"limits\"?)");
}

static void swapped_letters_and_case_are_near(void **state) {
    (void)state;
    means("lgo", " (did you mean \"log\"?)");
    means("LISTEN", " (did you mean \"listen\"?)");
}

static void far_words_are_not_suggested(void **state) {
    (void)state;
    means("database", "");
    means("", "");
    means("x", "");
    means("xyz", "");
    means("a word that is much longer than any that a person would mistype", "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_letter_missing_added_or_wrong_is_near),
        cmocka_unit_test(swapped_letters_and_case_are_near),
        cmocka_unit_test(far_words_are_not_suggested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
