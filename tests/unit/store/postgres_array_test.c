#include "store/postgres_array.h"

#include "unit.h"

static void becomes(const char *text, mg_pg_element element, const char *json) {
    mg_buf b = {0};
    assert_true(mg_pg_array_to_json(&b, mg_str_of(text), element));
    assert_text(json, mg_buf_str(&b));
    mg_buf_deinit(&b);
}

static void elements_are_what_their_type_says(void **state) {
    (void)state;
    becomes("{1,-2,NULL,1.5e3}", MG_PG_ELEMENT_NUMBER, "[1,-2,null,1.5e3]");
    becomes("{NaN,Infinity}", MG_PG_ELEMENT_NUMBER, "[\"NaN\",\"Infinity\"]");
    becomes("{t,f,NULL}", MG_PG_ELEMENT_BOOL, "[true,false,null]");
    becomes("{a,NULL,\"NULL\",\"\"}", MG_PG_ELEMENT_TEXT, "[\"a\",null,\"NULL\",\"\"]");
    becomes("{\"{\\\"a\\\": 1}\",null}", MG_PG_ELEMENT_JSON, "[{\"a\": 1},null]");
}

static void quotes_and_backslashes_are_taken_away(void **state) {
    (void)state;
    becomes("{\"a,b\",\"c\\\"d\",\"e\\\\f\",\"{g}\"}", MG_PG_ELEMENT_TEXT,
            "[\"a,b\",\"c\\\"d\",\"e\\\\f\",\"{g}\"]");
}

static void arrays_nest_and_may_be_empty(void **state) {
    (void)state;
    becomes("{}", MG_PG_ELEMENT_NUMBER, "[]");
    becomes("{{1,2},{3,4}}", MG_PG_ELEMENT_NUMBER, "[[1,2],[3,4]]");
    becomes("[2:3]={5,6}", MG_PG_ELEMENT_NUMBER, "[5,6]");
    becomes("{{{{{{1}}}}}}", MG_PG_ELEMENT_NUMBER, "[[[[[[1]]]]]]");
}

static void what_is_no_array_is_refused(void **state) {
    (void)state;
    const char *const texts[] = {
        "",     "1",      "{",      "{1",   "{1,}",   "{,1}",  "{1}x",
        "{\"a", "{\"a\"", "{1,{2}", "[1:2", "{1}{2}", "{\"\\", "{{{{{{{1}}}}}}}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        mg_buf b = {0};
        mg_buf_append_char(&b, 'x');
        assert_false(mg_pg_array_to_json(&b, mg_str_of(texts[i]), MG_PG_ELEMENT_TEXT));
        assert_int_equal(b.n, 1);
        mg_buf_deinit(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_are_what_their_type_says),
        cmocka_unit_test(quotes_and_backslashes_are_taken_away),
        cmocka_unit_test(arrays_nest_and_may_be_empty),
        cmocka_unit_test(what_is_no_array_is_refused),
    };
    return cmocka_run_group_tests_name("store/postgres_array", tests, NULL, NULL);
}
