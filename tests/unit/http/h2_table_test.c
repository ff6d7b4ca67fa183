#include "http/h2_table.h"

#include "unit.h"

static void has(const mg_h2_dynamic *t, uint32_t index, const char *name, const char *value) {
    mg_h2_decoded f;
    assert_true(mg_h2_table_get(t, index, &f));
    assert_text(name, f.name);
    assert_text(value, f.value);
}

static void has_not(const mg_h2_dynamic *t, uint32_t index) {
    mg_h2_decoded f;
    assert_false(mg_h2_table_get(t, index, &f));
}

static void the_static_table_is_that_of_the_rfc(void **state) {
    (void)state;
    mg_h2_dynamic t = {0};
    has_not(&t, 0);
    has(&t, 1, ":authority", "");
    has(&t, 2, ":method", "GET");
    has(&t, 14, ":status", "500");
    has(&t, 16, "accept-encoding", "gzip, deflate");
    has(&t, 37, "from", "");
    has(&t, 61, "www-authenticate", "");
    has_not(&t, 62);
    has_not(&t, UINT32_MAX);
    for (uint32_t i = 2; i <= MG_H2_STATIC_FIELDS; i++) { // names rise, but for the first
        mg_h2_decoded a, b;
        mg_h2_table_get(&t, i - 1, &a);
        mg_h2_table_get(&t, i, &b);
        assert_int_equal(i, b.known);
        assert_int_equal(mg_field_id_of(b.name), mg_h2_static_id((uint8_t)i));
        size_t n = a.name.n < b.name.n ? a.name.n : b.name.n;
        bool rises = memcmp(a.name.p, b.name.p, n) <= 0;
        assert_true(rises || i == 20); // accept, which comes behind those that are longer
    }
}

static void add(mg_h2_dynamic *t, const char *name, const char *value) {
    mg_h2_dynamic_add(t, &(mg_h2_decoded){mg_str_of(name), mg_str_of(value), 0});
}

static void the_newest_comes_first(void **state) {
    (void)state;
    mg_h2_dynamic t = {.limit = 4096};
    add(&t, "a", "1");
    add(&t, "b", "");
    add(&t, "", "3");
    has(&t, 62, "", "3");
    has(&t, 63, "b", "");
    has(&t, 64, "a", "1");
    has_not(&t, 65);
    mg_h2_dynamic_deinit(&t);
}

// RFC 7541 section 4.
static void the_oldest_go(void **state) {
    (void)state;
    mg_h2_dynamic t = {.limit = 70};
    add(&t, "a", "11");
    add(&t, "b", "22");
    has(&t, 63, "a", "11");
    add(&t, "c", "3");
    has(&t, 62, "c", "3");
    has(&t, 63, "b", "22");
    has_not(&t, 64);
    mg_h2_dynamic_resize(&t, 68);
    has_not(&t, 63);
    add(&t, "d", "is larger than the whole table, so that all of it goes");
    has_not(&t, 62);
    mg_h2_dynamic_resize(&t, 0);
    add(&t, "", "");
    has_not(&t, 62);
    mg_h2_dynamic_deinit(&t);
}

static void a_known_name_stays_known(void **state) {
    (void)state;
    mg_h2_dynamic t = {.limit = 4096};
    mg_h2_decoded f;
    mg_h2_table_get(&t, 58, &f);
    f.value = MG_STR("curl");
    mg_h2_dynamic_add(&t, &f);
    add(&t, "user-agent", "curl");
    mg_h2_table_get(&t, 63, &f);
    assert_text("user-agent", f.name);
    assert_int_equal(58, f.known);
    mg_h2_table_get(&t, 62, &f);
    assert_int_equal(0, f.known);
    mg_h2_dynamic_deinit(&t);
}

// However many have come, what is left is whole, and takes memory as it needs.
static void keeps_its_texts_while_others_go(void **state) {
    (void)state;
    mg_h2_dynamic t = {.limit = 1000};
    char text[64], before[64] = "";
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof text, "value %0*d", i % 40 + 1, i);
        add(&t, "name", text);
        has(&t, 62, "name", text);
        if (i > 0) {
            has(&t, 63, "name", before);
        }
        memcpy(before, text, sizeof text);
        assert_true(t.bytes <= t.limit);
    }
    assert_true(t.cap <= 64 && t.texts.cap <= 4096);
    mg_h2_dynamic_deinit(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_static_table_is_that_of_the_rfc),
        cmocka_unit_test(the_newest_comes_first),
        cmocka_unit_test(the_oldest_go),
        cmocka_unit_test(a_known_name_stays_known),
        cmocka_unit_test(keeps_its_texts_while_others_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
