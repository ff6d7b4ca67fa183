#include "store/cache_shard.h"

#include "base/mem.h"
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SMALL = 1 << 20, LARGE = 64 << 20, TAG = 7 };

typedef struct rig {
    void *room;
    size_t bytes;
    mg_memory_cache *cache;
    mg_buf out;
} rig;

static void open_rig(rig *r, size_t bytes) {
    *r = (rig){.bytes = bytes};
    r->room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(r->room != MAP_FAILED);
    assert_int_equal(mg_memory_cache_format(r->room, bytes, NULL), MG_OK);
    assert_int_equal(mg_memory_cache_open(&r->cache, r->room, bytes, NULL), MG_OK);
}

static void close_rig(rig *r) {
    mg_memory_cache_close(r->cache);
    mg_buf_deinit(&r->out);
    munmap(r->room, r->bytes);
}

static int set(rig *r, const char *key, const char *value, uint64_t now_ms, uint64_t ttl_ms) {
    return mg_memory_cache_set(r->cache, mg_str_of(key), mg_str_of(value), TAG, now_ms, ttl_ms);
}

// The value, terminated; NULL: a miss.
static const char *get(rig *r, const char *key, uint64_t now_ms) {
    uint8_t tag = 0;
    mg_buf_clear(&r->out);
    if (mg_memory_cache_get(r->cache, mg_str_of(key), now_ms, &r->out, &tag) != MG_OK) {
        return NULL;
    }
    assert_int_equal(tag, TAG);
    mg_buf_append_char(&r->out, '\0');
    return r->out.p;
}

static void keeps_what_was_stored(void **state) {
    rig r;
    (void)state;
    open_rig(&r, SMALL);
    assert_null(get(&r, "a", 0));
    assert_int_equal(set(&r, "a", "one", 0, 0), MG_OK);
    assert_int_equal(set(&r, "b", "", 0, 0), MG_OK);
    assert_string_equal(get(&r, "a", 1u << 31), "one");
    assert_string_equal(get(&r, "b", 0), "");
    assert_int_equal(set(&r, "a", "two, which is longer than what was there before", 0, 0), MG_OK);
    assert_string_equal(get(&r, "a", 0), "two, which is longer than what was there before");
    assert_int_equal(set(&r, "a", "3", 0, 0), MG_OK);
    assert_string_equal(get(&r, "a", 0), "3");
    close_rig(&r);
}

static void takes_bytes_of_any_kind(void **state) {
    rig r;
    uint8_t tag;
    mg_str key = {"a\0b", 3};
    (void)state;
    open_rig(&r, SMALL);
    assert_int_equal(mg_memory_cache_set(r.cache, key, (mg_str){"\0\n\xff", 3}, 1, 0, 0), MG_OK);
    assert_int_equal(mg_memory_cache_set(r.cache, (mg_str){"a\0c", 3}, MG_STR("x"), 2, 0, 0),
                     MG_OK);
    assert_int_equal(mg_memory_cache_get(r.cache, key, 0, &r.out, &tag), MG_OK);
    assert_int_equal(tag, 1);
    assert_memory_equal(r.out.p, "\0\n\xff", 3);
    assert_int_equal(mg_memory_cache_set(r.cache, (mg_str){"", 0}, MG_STR("e"), 1, 0, 0), MG_OK);
    assert_int_equal(mg_memory_cache_get(r.cache, (mg_str){"", 0}, 0, &r.out, &tag), MG_OK);
    close_rig(&r);
}

static void forgets_with_time(void **state) {
    rig r;
    mg_cache_stats s;
    (void)state;
    open_rig(&r, SMALL);
    set(&r, "a", "one", 1000, 500);
    assert_non_null(get(&r, "a", 1499));
    assert_null(get(&r, "a", 1500));
    assert_null(get(&r, "a", 1400)); // it was taken out
    set(&r, "b", "for ever", 1000, UINT64_MAX);
    assert_non_null(get(&r, "b", UINT64_MAX - 1));
    mg_memory_cache_read_stats(r.cache, &s);
    assert_int_equal(s.expired, 1);
    close_rig(&r);
}

static void deletes(void **state) {
    rig r;
    (void)state;
    open_rig(&r, SMALL);
    set(&r, "a", "one", 0, 0);
    assert_int_equal(mg_memory_cache_delete(r.cache, MG_STR("a"), 0), MG_OK);
    assert_int_equal(mg_memory_cache_delete(r.cache, MG_STR("a"), 0), -ENOENT);
    assert_null(get(&r, "a", 0));
    close_rig(&r);
}

static void refuses_what_is_too_large(void **state) {
    rig r;
    char *bytes = mg_calloc(1, MG_CACHE_VALUE_MAX + 1);
    (void)state;
    open_rig(&r, LARGE);
    mg_str most = {bytes, MG_CACHE_VALUE_MAX};
    assert_int_equal(mg_memory_cache_set(r.cache, MG_STR("a"), most, TAG, 0, 0), MG_OK);
    most.n++;
    assert_int_equal(mg_memory_cache_set(r.cache, MG_STR("a"), most, TAG, 0, 0), MG_ELIMIT);
    mg_str key = {bytes, MG_CACHE_KEY_MAX};
    assert_int_equal(mg_memory_cache_set(r.cache, key, MG_STR("x"), TAG, 0, 0), MG_OK);
    key.n++;
    assert_int_equal(mg_memory_cache_set(r.cache, key, MG_STR("x"), TAG, 0, 0), MG_ELIMIT);
    assert_int_equal(mg_memory_cache_delete(r.cache, key, 0), -ENOENT);
    close_rig(&r);
    open_rig(&r, SMALL); // here a quarter of the log is less than that
    most.n = SMALL / 2;
    assert_int_equal(mg_memory_cache_set(r.cache, MG_STR("a"), most, TAG, 0, 0), MG_ELIMIT);
    close_rig(&r);
    mg_free(bytes);
}

// A value that says which key it belongs to, of a length that the number decides.
static mg_str value_of(uint32_t n, char *out, size_t most) {
    size_t length = 8 + (n * 2654435761u) % (most - 8);
    for (size_t i = 0; i < length; i++) {
        out[i] = (char)(n + i * 31);
    }
    return (mg_str){out, length};
}

static bool is_value_of(uint32_t n, mg_str got, char *room, size_t most) {
    return mg_str_eq(got, value_of(n, room, most));
}

static void takes_new_values_however_full_it_is(void **state) {
    enum { MOST = 50000, COUNT = 4000 };
    rig r;
    uint8_t tag;
    mg_cache_stats s;
    char *room = mg_malloc(MOST);
    (void)state;
    open_rig(&r, SMALL);
    srandom(7);
    for (uint32_t i = 0; i < COUNT; i++) { // some 100 times the budget
        uint32_t n = (uint32_t)random() % 500;
        mg_str key = {(const char *)&n, sizeof n};
        assert_int_equal(mg_memory_cache_set(r.cache, key, value_of(n, room, MOST), TAG, 0, 0),
                         MG_OK);
        mg_buf_clear(&r.out);
        assert_int_equal(mg_memory_cache_get(r.cache, key, 0, &r.out, &tag), MG_OK);
        assert_true(is_value_of(n, mg_buf_str(&r.out), room, MOST));
        uint32_t other = (uint32_t)random() % 500;
        mg_buf_clear(&r.out);
        if (mg_memory_cache_get(r.cache, (mg_str){(const char *)&other, sizeof other}, 0, &r.out,
                                &tag) == MG_OK) {
            assert_true(is_value_of(other, mg_buf_str(&r.out), room, MOST));
        }
        if (i % 7 == 0) {
            mg_memory_cache_delete(r.cache, key, 0);
        }
    }
    mg_memory_cache_read_stats(r.cache, &s);
    assert_int_equal(s.emptied, 0);
    assert_true(s.evicted > 1000);
    assert_true(s.bytes <= s.capacity_bytes && s.bytes > s.capacity_bytes / 2);
    close_rig(&r);
    mg_free(room);
}

static void keeps_what_is_read_longer(void **state) {
    rig r;
    char key[16];
    int kept = 0;
    static char filler[1000];
    (void)state;
    open_rig(&r, SMALL);
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "hot%d", i);
        set(&r, key, "warm", 0, 0);
    }
    for (uint32_t n = 0; n < 5000; n++) {
        mg_memory_cache_set(r.cache, (mg_str){(const char *)&n, sizeof n}, (mg_str){filler, 1000},
                            TAG, 0, 0);
        snprintf(key, sizeof key, "hot%u", n % 20);
        (void)get(&r, key, 0);
    }
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "hot%d", i);
        kept += get(&r, key, 0) != NULL;
    }
    assert_int_equal(kept, 20);
    close_rig(&r);
}

static void counts(void **state) {
    rig r;
    int64_t sum;
    (void)state;
    open_rig(&r, SMALL);
    mg_str k = MG_STR("n");
    assert_int_equal(mg_memory_cache_increment(r.cache, k, 5, 100, TAG, 0, 1000, &sum), MG_OK);
    assert_int_equal(sum, 105);
    assert_int_equal(mg_memory_cache_increment(r.cache, k, -200, 100, TAG, 900, 1000, &sum), MG_OK);
    assert_int_equal(sum, -95);
    assert_string_equal(get(&r, "n", 900), "-95");
    assert_null(get(&r, "n", 1000)); // it keeps its end
    assert_int_equal(mg_memory_cache_increment(r.cache, k, 0, INT64_MAX, TAG, 0, 0, &sum), MG_OK);
    assert_int_equal(mg_memory_cache_increment(r.cache, k, 1, 0, TAG, 0, 0, &sum), -ERANGE);
    assert_int_equal(mg_memory_cache_increment(r.cache, k, INT64_MIN, 0, TAG, 0, 0, &sum), MG_OK);
    assert_int_equal(sum, -1);
    assert_int_equal(mg_memory_cache_increment(r.cache, MG_STR("m"), 1, INT64_MAX, TAG, 0, 0, &sum),
                     -ERANGE);
    for (const char *const *t = (const char *const[]){"", " 1", "+1", "1x", "0x1", "1.5",
                                                      "99999999999999999999", NULL};
         *t != NULL; t++) {
        set(&r, "t", *t, 0, 0);
        assert_int_equal(mg_memory_cache_increment(r.cache, MG_STR("t"), 1, 0, TAG, 0, 0, &sum),
                         MG_ESYNTAX);
    }
    close_rig(&r);
}

static void lends_a_key_to_one_at_a_time(void **state) {
    rig r;
    mg_str k = MG_STR("k");
    (void)state;
    open_rig(&r, SMALL);
    assert_true(mg_memory_cache_lease(r.cache, k, 1, 0, 100));
    assert_true(mg_memory_cache_lease(r.cache, k, 1, 50, 100)); // until 150 now
    assert_false(mg_memory_cache_lease(r.cache, k, 2, 149, 100));
    assert_true(mg_memory_cache_lease(r.cache, k, 2, 150, 100));
    mg_memory_cache_release(r.cache, k, 1); // not its own any more
    assert_false(mg_memory_cache_lease(r.cache, k, 1, 150, 100));
    mg_memory_cache_release(r.cache, k, 2);
    assert_true(mg_memory_cache_lease(r.cache, k, 1, 150, 100));
    set(&r, "k", "made", 150, 0);
    assert_true(mg_memory_cache_lease(r.cache, k, 2, 150, 1000));
    mg_memory_cache_release_all(r.cache, 2);
    assert_true(mg_memory_cache_lease(r.cache, k, 3, 150, 1000));
    close_rig(&r);
}

static void lets_everybody_go_on_when_leases_run_out(void **state) {
    rig r;
    (void)state;
    open_rig(&r, SMALL);
    for (uint32_t n = 0; n < 1000; n++) {
        assert_true(
            mg_memory_cache_lease(r.cache, (mg_str){(const char *)&n, sizeof n}, 1, 0, 1000));
    }
    close_rig(&r);
}

static void is_seen_by_all_views(void **state) {
    rig r;
    mg_memory_cache *other;
    mg_error err;
    uint8_t tag;
    (void)state;
    open_rig(&r, LARGE);
    set(&r, "a", "one", 0, 0);
    assert_int_equal(mg_memory_cache_open(&other, r.room, r.bytes, NULL), MG_OK);
    assert_int_equal(mg_memory_cache_get(other, MG_STR("a"), 0, &r.out, &tag), MG_OK);
    mg_memory_cache_clear(other);
    mg_memory_cache_close(other);
    assert_null(get(&r, "a", 0));
    assert_int_equal(mg_memory_cache_open(&other, r.room, r.bytes / 2, &err), MG_ESYNTAX);
    close_rig(&r);
}

// --- what somebody scribbled on ---

static void a_broken_head_is_written_anew_by_whoever_finds_it(void **state) {
    rig r;
    mg_memory_cache *other;
    (void)state;
    open_rig(&r, LARGE);
    set(&r, "a", "one", 0, 0);
    memset(r.room, 'x', 4096);
    assert_string_equal(get(&r, "a", 0), "one"); // as this one knows it
    assert_int_equal(mg_memory_cache_open(&other, r.room, r.bytes, NULL), MG_OK);
    rig second = {.cache = other, .room = r.room, .bytes = r.bytes};
    assert_string_equal(get(&second, "a", 0), "one");
    memset(r.room, 'y', 4096);
    mg_memory_cache *third;
    assert_int_equal(mg_memory_cache_open(&third, r.room, r.bytes, NULL), MG_OK);
    rig last = {.cache = third, .room = r.room, .bytes = r.bytes};
    assert_null(get(&last, "a", 0));
    set(&last, "a", "two", 0, 0);
    assert_string_equal(get(&r, "a", 0), "two");
    assert_string_equal(get(&second, "a", 0), "two");
    mg_memory_cache_close(other);
    mg_memory_cache_close(third);
    mg_buf_deinit(&second.out);
    mg_buf_deinit(&last.out);
    close_rig(&r);
}

static void a_value_that_was_changed_is_a_miss(void **state) {
    rig r;
    mg_cache_stats s;
    int64_t sum;
    (void)state;
    open_rig(&r, SMALL);
    set(&r, "a", "a text to be found", 0, 0);
    mg_memory_cache_increment(r.cache, MG_STR("n"), 1, 12345678, TAG, 0, 0, &sum);
    char *at = memmem(r.room, r.bytes, "a text to be found", 18);
    at[3] = 'x';
    assert_null(get(&r, "a", 0));
    mg_memory_cache_read_stats(r.cache, &s);
    assert_int_equal(s.emptied, 1);
    mg_memory_cache_increment(r.cache, MG_STR("n"), 1, 12345678, TAG, 0, 0, &sum);
    at = memmem(r.room, r.bytes, "12345679", 8);
    at[0] = '9';
    assert_int_equal(mg_memory_cache_increment(r.cache, MG_STR("n"), 1, 5, TAG, 0, 0, &sum), MG_OK);
    assert_int_equal(sum, 6);
    close_rig(&r);
}

static void scribble(const rig *r, unsigned seed) {
    srandom(seed);
    long count = random() % 20000;
    for (long i = 0; i < count; i++) {
        size_t at = (size_t)random() % (r->bytes - 8);
        long what = random();
        memcpy((char *)r->room + at, &what, seed % 2 == 0 ? 1 : 8);
    }
    for (size_t at = 0; seed % 3 == 0 && at < 4096 + 2048; at++) { // the head, a lock, an index
        ((char *)r->room)[at] = (char)random();
    }
}

static void others_go_on_when_one_scribbles_and_dies(void **state) {
    enum { ROUNDS = 60, MOST = 3000 };
    rig r;
    (void)state;
    open_rig(&r, SMALL);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (uint32_t n = 0; n < 300; n++) {
            char room[MOST];
            mg_memory_cache_set(r.cache, (mg_str){(const char *)&n, sizeof n},
                                value_of(n, room, MOST), TAG, 0, 0);
        }
        pid_t pid = fork();
        if (pid == 0) {
            scribble(&r, round);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        mg_memory_cache *late;
        assert_int_equal(mg_memory_cache_open(&late, r.room, r.bytes, NULL), MG_OK);
        for (uint32_t n = 0; n < 300; n++) {
            char room[MOST];
            uint8_t tag;
            mg_str key = {(const char *)&n, sizeof n};
            mg_buf_clear(&r.out);
            if (mg_memory_cache_get(n % 2 == 0 ? r.cache : late, key, 0, &r.out, &tag) == MG_OK) {
                assert_true(is_value_of(n, mg_buf_str(&r.out), room, MOST));
            }
        }
        assert_int_equal(mg_memory_cache_set(late, MG_STR("a"), MG_STR("new"), TAG, 0, 0), MG_OK);
        assert_string_equal(get(&r, "a", 0), "new");
        assert_true(mg_memory_cache_lease(r.cache, MG_STR("b"), 1, 0, 100));
        mg_memory_cache_close(late);
    }
    close_rig(&r);
}

// --- several processes, which die at any instruction ---

static _Noreturn void hammer(const rig *shared, unsigned seed) {
    enum { MOST = 3000 };
    rig r = *shared;
    char room[MOST];
    uint8_t tag;
    mg_buf out = {0};
    srandom(seed);
    assert_int_equal(mg_memory_cache_open(&r.cache, r.room, r.bytes, NULL), MG_OK);
    for (uint64_t now = 0;; now++) {
        uint32_t n = (uint32_t)random() % 2000;
        mg_str key = {(const char *)&n, sizeof n};
        mg_buf_clear(&out);
        switch (random() % 8) {
        case 0:
            mg_memory_cache_delete(r.cache, key, now);
            break;
        case 1:
        case 2:
        case 3:
            mg_memory_cache_set(r.cache, key, value_of(n, room, MOST), TAG, now,
                                (uint64_t)random() % 100);
            break;
        default:
            if (mg_memory_cache_get(r.cache, key, now, &out, &tag) == MG_OK &&
                !is_value_of(n, mg_buf_str(&out), room, MOST)) {
                _exit(1);
            }
        }
    }
}

static pid_t start_hammer(const rig *r, unsigned seed) {
    pid_t pid = fork();
    if (pid == 0) {
        hammer(r, seed);
    }
    assert_true(pid > 0);
    return pid;
}

static void end_hammer(pid_t pid) {
    int status;
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); // not by a wrong value
}

static void outlives_processes_that_die_in_it(void **state) {
    enum { CHILDREN = 4, DEATHS = 150 };
    rig r;
    pid_t pids[CHILDREN];
    mg_cache_stats s;
    (void)state;
    open_rig(&r, SMALL);
    srandom(11);
    for (unsigned i = 0; i < CHILDREN; i++) {
        pids[i] = start_hammer(&r, i);
    }
    for (unsigned i = 0; i < DEATHS; i++) {
        nanosleep(&(struct timespec){.tv_nsec = (random() % 3000) * 1000}, NULL);
        end_hammer(pids[i % CHILDREN]);
        pids[i % CHILDREN] = start_hammer(&r, CHILDREN + i);
    }
    for (unsigned i = 0; i < CHILDREN; i++) {
        end_hammer(pids[i]);
    }
    for (uint32_t n = 0; n < 2000; n++) {
        char room[3000];
        uint8_t tag;
        mg_buf_clear(&r.out);
        if (mg_memory_cache_get(r.cache, (mg_str){(const char *)&n, sizeof n}, 0, &r.out, &tag) ==
            MG_OK) {
            assert_true(is_value_of(n, mg_buf_str(&r.out), room, sizeof room));
        }
    }
    assert_int_equal(set(&r, "after", "all", 0, 0), MG_OK);
    assert_string_equal(get(&r, "after", 0), "all");
    mg_memory_cache_read_stats(r.cache, &s);
    print_message("shards emptied by deaths: %llu\n", (unsigned long long)s.emptied);
    close_rig(&r);
}

// The one shard begins behind the head's page.
static void hold_lock(const rig *r) {
    mg_shard s;
    mg_shard_init(&s, (char *)r->room + 4096, SMALL);
    assert_true(mg_shard_lock(&s));
}

static void empties_the_shard_of_a_dead_holder(void **state) {
    rig r;
    mg_cache_stats s;
    (void)state;
    open_rig(&r, SMALL);
    set(&r, "a", "one", 0, 0);
    pid_t pid = fork();
    if (pid == 0) {
        hold_lock(&r);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_null(get(&r, "a", 0));
    mg_memory_cache_read_stats(r.cache, &s);
    assert_int_equal(s.emptied, 1);
    assert_int_equal(set(&r, "a", "two", 0, 0), MG_OK);
    assert_string_equal(get(&r, "a", 0), "two");
    close_rig(&r);
}

static void does_not_wait_long_for_a_lock(void **state) {
    rig r;
    int ready[2];
    char c;
    (void)state;
    open_rig(&r, SMALL);
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        hold_lock(&r);
        (void)!write(ready[1], "x", 1);
        pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_null(get(&r, "a", 0));
    assert_int_equal(set(&r, "a", "one", 0, 0), MG_EAGAIN);
    assert_int_equal(mg_memory_cache_delete(r.cache, MG_STR("a"), 0), MG_EAGAIN);
    assert_false(mg_memory_cache_lease(r.cache, MG_STR("a"), 1, 0, 100));
    mg_cache_stats s;
    mg_memory_cache_read_stats(r.cache, &s);
    assert_int_equal(s.busy, 4);
    end_hammer(pid);
    close(ready[0]);
    close(ready[1]);
    close_rig(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_was_stored),
        cmocka_unit_test(takes_bytes_of_any_kind),
        cmocka_unit_test(forgets_with_time),
        cmocka_unit_test(deletes),
        cmocka_unit_test(refuses_what_is_too_large),
        cmocka_unit_test(takes_new_values_however_full_it_is),
        cmocka_unit_test(keeps_what_is_read_longer),
        cmocka_unit_test(counts),
        cmocka_unit_test(lends_a_key_to_one_at_a_time),
        cmocka_unit_test(lets_everybody_go_on_when_leases_run_out),
        cmocka_unit_test(is_seen_by_all_views),
        cmocka_unit_test(a_broken_head_is_written_anew_by_whoever_finds_it),
        cmocka_unit_test(a_value_that_was_changed_is_a_miss),
        cmocka_unit_test(others_go_on_when_one_scribbles_and_dies),
        cmocka_unit_test(empties_the_shard_of_a_dead_holder),
        cmocka_unit_test(does_not_wait_long_for_a_lock),
        cmocka_unit_test(outlives_processes_that_die_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
