#include "store/memory_cache.h"

#include "unit.h"

#include <errno.h>
#include <sys/mman.h>

enum { ROOM = 1 << 20 };

static mg_loop *loop;
static void *room;
static mg_cache *one, *other; // of two workers
static mg_buf found;
static mg_cache_result r;

static mg_cache *open_view(uint64_t holder) {
    mg_memory_cache *view;
    assert_int_equal(mg_memory_cache_open(&view, room, ROOM, NULL), MG_OK);
    return mg_memory_cache_lend(view, loop, holder);
}

static int set_up(void **state) {
    (void)state;
    found = (mg_buf){0};
    r = (mg_cache_result){.code = 77, .text = "of before"};
    assert_int_equal(mg_loop_new(&loop, &(mg_loop_options){.virtual_clock = true}), 0);
    room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(room != MAP_FAILED);
    assert_int_equal(mg_memory_cache_format(room, ROOM, NULL), MG_OK);
    one = open_view(1);
    other = open_view(2);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_cache_free(one);
    mg_cache_free(other);
    munmap(room, ROOM);
    mg_buf_deinit(&found);
    return mg_loop_free(loop);
}

// Checks that it was settled, and gives its code.
static int settled(mg_cache_call *call) {
    assert_null(call);
    assert_null(r.text);
    return r.code;
}

static int get(mg_cache *c, const char *key) {
    mg_buf_clear(&found);
    return settled(mg_cache_get(c, mg_str_of(key), &found, &r));
}

static int set(mg_cache *c, const char *key, const char *value, uint64_t ttl_ms) {
    const mg_cache_entry e = {mg_str_of(key), mg_str_of(value), 3, ttl_ms};
    return settled(mg_cache_set(c, &e, &r));
}

static void every_operation_is_settled_at_once(void **state) {
    (void)state;
    assert_int_equal(get(one, "k"), -ENOENT);
    assert_int_equal(set(one, "k", "v", 0), MG_OK);
    assert_int_equal(get(other, "k"), MG_OK);
    assert_text("v", r.value);
    assert_int_equal(r.tag, 3);
    assert_int_equal(settled(mg_cache_delete(one, MG_STR("k"), &r)), MG_OK);
    assert_int_equal(settled(mg_cache_delete(one, MG_STR("k"), &r)), -ENOENT);
    const mg_cache_step step = {.key = MG_STR("n"), .by = 2, .initial = 40};
    assert_int_equal(settled(mg_cache_increment(one, &step, &r)), MG_OK);
    assert_int_equal(r.sum, 42);
    assert_int_equal(settled(mg_cache_clear(one, &r)), MG_OK);
    assert_int_equal(get(one, "n"), -ENOENT);
}

static void time_is_the_loops(void **state) {
    (void)state;
    set(one, "k", "v", 100);
    mg_loop_set_now(loop, mg_loop_now_ms(loop) + 99);
    assert_int_equal(get(one, "k"), MG_OK);
    mg_loop_set_now(loop, mg_loop_now_ms(loop) + 1);
    assert_int_equal(get(one, "k"), -ENOENT);
}

static void a_lease_belongs_to_one_holder(void **state) {
    (void)state;
    assert_int_equal(settled(mg_cache_lease(one, MG_STR("k"), 1000, &r)), MG_OK);
    assert_int_equal(settled(mg_cache_lease(other, MG_STR("k"), 1000, &r)), MG_EAGAIN);
    mg_cache_release(other, MG_STR("k")); // not its own
    assert_int_equal(settled(mg_cache_lease(other, MG_STR("k"), 1000, &r)), MG_EAGAIN);
    mg_cache_release(one, MG_STR("k"));
    assert_int_equal(settled(mg_cache_lease(other, MG_STR("k"), 1000, &r)), MG_OK);
}

static void figures_are_those_of_all_workers(void **state) {
    (void)state;
    mg_cache_stats s;
    set(one, "a", "v", 0);
    set(other, "b", "v", 0);
    mg_cache_read_stats(one, &s);
    assert_int_equal(s.sets, 2);
    assert_int_equal(s.entries, 2);
}

static void freeing_accepts_null(void **state) {
    (void)state;
    mg_cache_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(every_operation_is_settled_at_once),
        TEST(time_is_the_loops),
        TEST(a_lease_belongs_to_one_holder),
        TEST(figures_are_those_of_all_workers),
        TEST(freeing_accepts_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
