// A table of listed keys: tables inside, defaults, what is unknown.
#include "config/table.h"

#include "../unit.h"

typedef struct inner {
    bool has_extra;
    uint64_t count, extra_count;
} inner;

static const mg_config_key keys[] = {
    {"count", MG_CONFIG_COUNT, offsetof(inner, count), "3", 1, 9, NULL, "A count"},
    {"extra", MG_CONFIG_OPTIONAL_TABLE, offsetof(inner, has_extra), NULL, 0, 0, NULL, "More"},
    {"extra.count", MG_CONFIG_COUNT, offsetof(inner, extra_count), "4", 1, 9, NULL, "A count"},
    {"later", MG_CONFIG_RESERVED, 0, NULL, 0, 0, NULL, "do without"},
};
static const mg_config_table table = {keys, sizeof keys / sizeof keys[0]};

static void take(inner *out, const char *json, const char *faults) {
    mg_config c = {.file = "f"};
    mg_buf text = {0};
    mg_config_reading r = {.config = &c, .into = out, .faults = &text};
    *out = (inner){0};
    mg_buf_append_str(&r.path, MG_STR("above"));
    mg_config_take_defaults(&r, &table);
    mg_json_reader_init(&r.json, mg_str_of(json), &r.decoded, 0);
    assert_int_equal(mg_json_next(&r.json), MG_JSON_OBJECT);
    mg_config_take_table(&r, &table);
    assert_int_equal(mg_json_next(&r.json), MG_JSON_END);
    assert_text(faults, mg_buf_str(&text));
    assert_text("above", mg_buf_str(&r.path));
    mg_buf_deinit(&text);
    mg_buf_deinit(&r.path);
    mg_buf_deinit(&r.decoded);
}

static void what_is_not_said_is_the_default(void **state) {
    (void)state;
    inner v;
    take(&v, "{}", "");
    assert_int_equal(v.count, 3);
    assert_int_equal(v.extra_count, 4);
    assert_false(v.has_extra);
}

static void an_optional_table_is_there_or_not(void **state) {
    (void)state;
    inner v;
    take(&v, "{\"extra\":{}}", "");
    assert_true(v.has_extra);
    take(&v, "{\"extra\":{\"count\":5},\"count\":1}", "");
    assert_true(v.has_extra);
    assert_int_equal(v.extra_count, 5);
    assert_int_equal(v.count, 1);
    take(&v, "{\"extra\":false}", "");
    assert_false(v.has_extra);
    take(&v, "{\"extra\":[1]}",
         "f: above.extra: is a list, allowed: a table or false, with count\n");
}

static void an_unknown_key_is_told_with_those_of_its_table(void **state) {
    (void)state;
    inner v;
    take(&v, "{\"coutn\":{\"x\":[1]},\"count\":2}",
         "f: above.coutn: is no known key, allowed: count, extra (did you mean \"count\"?)\n");
    assert_int_equal(v.count, 2);
    take(&v, "{\"extra\":{\"cont\":1}}",
         "f: above.extra.cont: is no known key, allowed: count (did you mean \"count\"?)\n");
    take(&v, "{\"later\":1}", "f: above.later: is not available in this version: do without\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_said_is_the_default),
        cmocka_unit_test(an_optional_table_is_there_or_not),
        cmocka_unit_test(an_unknown_key_is_told_with_those_of_its_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
