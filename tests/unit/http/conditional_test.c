#include "http/conditional.h"

#include "unit.h"

#define OLD         "Sun, 06 Nov 1994 08:49:36 GMT"
#define EXACT       "Sun, 06 Nov 1994 08:49:37 GMT"
#define LATER       "Sun, 06 Nov 1994 08:49:38 GMT"
#define ETAG        "\"v1\""
#define FIELDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static const mg_validators strong = {{ETAG, 4}, 784111777};

// `lines`: names and values in turn.
static mg_head head_of(mg_method method, const char *const *lines, mg_field *fields) {
    mg_head h = {.method = method, .fields = {.at = fields}};
    for (size_t i = 0; lines[i] != NULL; i += 2) {
        mg_field f = mg_field_of(mg_str_of(lines[i]), mg_str_of(lines[i + 1]));
        fields[h.fields.count++] = f;
        h.fields.ids |= mg_field_bit(f.id);
    }
    return h;
}

static mg_condition judge(mg_method method, const mg_validators *v, const char *const *lines) {
    mg_field fields[8];
    mg_head h = head_of(method, lines, fields);
    return mg_condition_of(&h, v);
}

static mg_condition get(const char *const *lines) {
    return judge(MG_METHOD_GET, &strong, lines);
}

static bool range_holds(const char *value, const mg_validators *v) {
    mg_field fields[8];
    mg_head h = head_of(MG_METHOD_GET, FIELDS("If-Range", value), fields);
    return mg_condition_range_holds(&h, v);
}

static void goes_without_conditions(void **state) {
    (void)state;
    assert_int_equal(get(FIELDS("Host", "a")), MG_CONDITION_GO);
}

static void if_none_match_answers_304_to_readers_and_412_to_writers(void **state) {
    (void)state;
    const char *const *same = FIELDS("If-None-Match", ETAG);
    assert_int_equal(judge(MG_METHOD_GET, &strong, same), MG_CONDITION_NOT_MODIFIED);
    assert_int_equal(judge(MG_METHOD_HEAD, &strong, same), MG_CONDITION_NOT_MODIFIED);
    assert_int_equal(judge(MG_METHOD_PUT, &strong, same), MG_CONDITION_FAILED);
    assert_int_equal(judge(MG_METHOD_PUT, &strong, FIELDS("If-None-Match", "*")),
                     MG_CONDITION_FAILED);
    assert_int_equal(get(FIELDS("if-none-match", "\"v2\"")), MG_CONDITION_GO);
    assert_int_equal(get(FIELDS("if-none-match", "*")), MG_CONDITION_NOT_MODIFIED);
}

static void if_none_match_compares_weakly_and_if_match_strongly(void **state) {
    (void)state;
    mg_validators weak = {MG_STR("W/\"v1\""), strong.last_modified};
    assert_int_equal(get(FIELDS("If-None-Match", "W/\"v1\"")), MG_CONDITION_NOT_MODIFIED);
    assert_int_equal(judge(MG_METHOD_GET, &weak, FIELDS("If-None-Match", ETAG)),
                     MG_CONDITION_NOT_MODIFIED);
    assert_int_equal(get(FIELDS("If-Match", ETAG)), MG_CONDITION_GO);
    assert_int_equal(get(FIELDS("If-Match", "W/\"v1\"")), MG_CONDITION_FAILED);
    assert_int_equal(judge(MG_METHOD_PUT, &weak, FIELDS("If-Match", "W/\"v1\"")),
                     MG_CONDITION_FAILED);
    assert_int_equal(judge(MG_METHOD_PUT, &weak, FIELDS("If-Match", "*")), MG_CONDITION_GO);
}

static void lists_may_have_many_tags_and_fields(void **state) {
    (void)state;
    assert_int_equal(get(FIELDS("If-None-Match", "\"a\" ,W/\"b\",, " ETAG)),
                     MG_CONDITION_NOT_MODIFIED);
    assert_int_equal(get(FIELDS("If-None-Match", "\"a\"", "If-None-Match", ETAG)),
                     MG_CONDITION_NOT_MODIFIED);
    assert_int_equal(get(FIELDS("If-Match", "\"a\"", "If-Match", "\"b\"")), MG_CONDITION_FAILED);
}

static void a_tag_may_hold_commas_and_backslashes(void **state) {
    (void)state;
    mg_validators odd = {MG_STR("\"a,\\\""), 0};
    assert_int_equal(judge(MG_METHOD_GET, &odd, FIELDS("If-None-Match", "\"\\\", \"a,\\\"")),
                     MG_CONDITION_NOT_MODIFIED);
}

static void what_is_no_tag_matches_nothing(void **state) {
    (void)state;
    static const char *const wrong[] = {"v1", "\"v1", "w/\"v1\"", "W/v1", "", "x, \"v1\"", "\""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(get(FIELDS("If-None-Match", wrong[i])), MG_CONDITION_GO);
        assert_int_equal(get(FIELDS("If-Match", wrong[i])), MG_CONDITION_FAILED);
    }
    mg_validators bare = {{NULL, 0}, MG_UNKNOWN_DATE};
    assert_int_equal(judge(MG_METHOD_GET, &bare, FIELDS("If-None-Match", "\"\"")), MG_CONDITION_GO);
}

static void dates_are_compared_by_the_second(void **state) {
    (void)state;
    assert_int_equal(get(FIELDS("If-Modified-Since", OLD)), MG_CONDITION_GO);
    assert_int_equal(get(FIELDS("If-Modified-Since", EXACT)), MG_CONDITION_NOT_MODIFIED);
    assert_int_equal(get(FIELDS("If-Modified-Since", LATER)), MG_CONDITION_NOT_MODIFIED);
    assert_int_equal(get(FIELDS("If-Unmodified-Since", OLD)), MG_CONDITION_FAILED);
    assert_int_equal(get(FIELDS("If-Unmodified-Since", EXACT)), MG_CONDITION_GO);
    assert_int_equal(get(FIELDS("If-Unmodified-Since", LATER)), MG_CONDITION_GO);
}

static void dates_that_are_none_are_ignored(void **state) {
    (void)state;
    assert_int_equal(get(FIELDS("If-Modified-Since", "nonsense")), MG_CONDITION_GO);
    assert_int_equal(get(FIELDS("If-Unmodified-Since", "0")), MG_CONDITION_GO);
    mg_validators undated = {MG_STR(ETAG), MG_UNKNOWN_DATE};
    assert_int_equal(judge(MG_METHOD_GET, &undated, FIELDS("If-Modified-Since", LATER)),
                     MG_CONDITION_GO);
    assert_int_equal(judge(MG_METHOD_GET, &undated, FIELDS("If-Unmodified-Since", OLD)),
                     MG_CONDITION_GO);
}

static void if_modified_since_is_for_readers(void **state) {
    (void)state;
    assert_int_equal(judge(MG_METHOD_POST, &strong, FIELDS("If-Modified-Since", LATER)),
                     MG_CONDITION_GO);
}

static void tags_go_before_dates_and_if_match_before_all(void **state) {
    (void)state;
    assert_int_equal(get(FIELDS("If-None-Match", "\"v2\"", "If-Modified-Since", LATER)),
                     MG_CONDITION_GO);
    assert_int_equal(get(FIELDS("If-None-Match", ETAG, "If-Modified-Since", OLD)),
                     MG_CONDITION_NOT_MODIFIED);
    assert_int_equal(get(FIELDS("If-Match", ETAG, "If-Unmodified-Since", OLD)), MG_CONDITION_GO);
    assert_int_equal(get(FIELDS("If-None-Match", ETAG, "If-Match", "\"v2\"")), MG_CONDITION_FAILED);
    assert_int_equal(get(FIELDS("If-Match", ETAG, "If-None-Match", ETAG)),
                     MG_CONDITION_NOT_MODIFIED);
}

static void if_range_holds_for_the_same_version_only(void **state) {
    (void)state;
    mg_validators weak = {MG_STR("W/\"v1\""), MG_UNKNOWN_DATE};
    mg_head none = {0};
    assert_true(mg_condition_range_holds(&none, &strong));
    assert_true(range_holds(ETAG, &strong));
    assert_true(range_holds(EXACT, &strong));
    assert_false(range_holds("\"v2\"", &strong));
    assert_false(range_holds("W/\"v1\"", &strong));
    assert_false(range_holds("W/\"v1\"", &weak));
    assert_false(range_holds(ETAG ", \"v2\"", &strong));
    assert_false(range_holds("*", &strong));
    assert_false(range_holds(OLD, &strong));
    assert_false(range_holds(LATER, &strong));
    assert_false(range_holds(EXACT, &weak));
    assert_false(range_holds("nonsense", &strong));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_without_conditions),
        cmocka_unit_test(if_none_match_answers_304_to_readers_and_412_to_writers),
        cmocka_unit_test(if_none_match_compares_weakly_and_if_match_strongly),
        cmocka_unit_test(lists_may_have_many_tags_and_fields),
        cmocka_unit_test(a_tag_may_hold_commas_and_backslashes),
        cmocka_unit_test(what_is_no_tag_matches_nothing),
        cmocka_unit_test(dates_are_compared_by_the_second),
        cmocka_unit_test(dates_that_are_none_are_ignored),
        cmocka_unit_test(if_modified_since_is_for_readers),
        cmocka_unit_test(tags_go_before_dates_and_if_match_before_all),
        cmocka_unit_test(if_range_holds_for_the_same_version_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
