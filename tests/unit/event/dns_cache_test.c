#include "event/dns_cache.h"

#include "unit.h"

enum { ENTRIES = 3 };

static mg_dns_cache *cache;

static int set_up(void **state) {
    (void)state;
    cache = mg_dns_cache_new(ENTRIES);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_dns_cache_free(cache);
    return 0;
}

static void put(const char *name, const char *text, uint64_t until_ms) {
    mg_dns_answer *a = mg_dns_answer_new(0, text, 0);
    mg_dns_cache_put(cache, name, a, until_ms);
    mg_dns_answer_unref(a);
}

static void expect(const char *name, uint64_t now_ms, const char *text) {
    const mg_dns_answer *a = mg_dns_cache_find(cache, name, now_ms);
    assert_non_null(a);
    assert_string_equal(a->text, text);
}

static void an_answer_is_known_until_its_time(void **state) {
    (void)state;
    put("a", "first", 100);
    expect("a", 99, "first");
    assert_null(mg_dns_cache_find(cache, "b", 0));
    assert_null(mg_dns_cache_find(cache, "a", 100));
    assert_null(mg_dns_cache_find(cache, "a", 99)); // it has gone
}

static void a_new_answer_takes_the_place_of_the_old(void **state) {
    (void)state;
    put("a", "old", 100);
    put("a", "new", 200);
    expect("a", 150, "new");
}

static void in_a_full_cache_the_one_put_first_makes_room(void **state) {
    (void)state;
    put("a", "a", 100);
    put("b", "b", 100);
    put("c", "c", 100);
    put("a", "again", 100); // now the youngest
    put("d", "d", 100);
    assert_null(mg_dns_cache_find(cache, "b", 0));
    expect("a", 0, "again");
    expect("c", 0, "c");
    expect("d", 0, "d");
}

static void an_answer_outlives_the_cache_for_who_holds_it(void **state) {
    (void)state;
    put("a", "held", 100);
    mg_dns_answer *a = mg_dns_answer_ref(mg_dns_cache_find(cache, "a", 0));
    mg_dns_cache_clear(cache);
    assert_null(mg_dns_cache_find(cache, "a", 0));
    assert_string_equal(a->text, "held");
    mg_dns_answer_unref(a);
    mg_dns_answer_unref(NULL);
    mg_dns_cache_free(NULL);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(an_answer_is_known_until_its_time),
        EACH(a_new_answer_takes_the_place_of_the_old),
        EACH(in_a_full_cache_the_one_put_first_makes_room),
        EACH(an_answer_outlives_the_cache_for_who_holds_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
