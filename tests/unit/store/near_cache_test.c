#include "store/near_cache.h"

#include "base/random.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { ROOM = 1 << 20, TAG = 5 };

static mg_loop *loop;
static void *room;
static mg_near_cache *one, *other; // of two workers
static mg_buf found;

static mg_near_cache *open_near(void) {
    mg_memory_cache *view;
    assert_int_equal(mg_memory_cache_open(&view, room, ROOM, NULL), MG_OK);
    return mg_near_cache_new(loop, view, ROOM);
}

static int set_up(void **state) {
    (void)state;
    found = (mg_buf){0};
    assert_int_equal(mg_loop_new(&loop, &(mg_loop_options){.virtual_clock = true}), 0);
    room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(room != MAP_FAILED);
    assert_int_equal(mg_memory_cache_format(room, ROOM, NULL), MG_OK);
    one = open_near();
    other = open_near();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_near_cache_free(one);
    mg_near_cache_free(other);
    munmap(room, ROOM);
    mg_buf_deinit(&found);
    return mg_loop_free(loop);
}

// The value, terminated; NULL: the server is to be asked.
static const char *get(mg_near_cache *n, const char *key) {
    uint8_t tag = 0;
    mg_buf_clear(&found);
    mg_buf_append_str(&found, MG_STR("before:"));
    int rc = mg_near_cache_get(n, mg_str_of(key), &found, &tag);
    assert_true(rc == MG_OK || (rc == -ENOENT && found.n == 7));
    assert_true(rc != MG_OK || tag == TAG);
    mg_buf_append_char(&found, '\0');
    return rc == MG_OK ? found.p + 7 : NULL;
}

static mg_near_read begin(mg_near_cache *n, const char *key) {
    mg_near_read r;
    assert_true(mg_near_cache_begin(n, mg_str_of(key), &r));
    return r;
}

static void end(mg_near_cache *n, const mg_near_read *r, const char *key, const char *value,
                uint64_t ttl_ms) {
    mg_near_cache_end(n, r, &(mg_near_value){mg_str_of(key), mg_str_of(value), TAG, ttl_ms});
}

static void read_in(mg_near_cache *n, const char *key, const char *value, uint64_t ttl_ms) {
    mg_near_read r = begin(n, key);
    end(n, &r, key, value, ttl_ms);
}

static void serves_what_it_has_read(void **state) {
    (void)state;
    assert_null(get(one, "a"));
    read_in(one, "a", "1", 0);
    read_in(one, "b", "", 0);
    assert_string_equal(get(one, "a"), "1");
    assert_string_equal(get(one, "b"), "");
}

static void serves_nothing_that_it_was_told_of(void **state) {
    (void)state;
    read_in(one, "a", "1", 0);
    mg_near_cache_forget(one, MG_STR("a"));
    assert_null(get(one, "a"));
    read_in(one, "a", "2", 0);
    assert_string_equal(get(one, "a"), "2");
}

static void what_was_read_before_it_changed_is_not_stored(void **state) {
    (void)state;
    mg_near_read before = begin(one, "a");
    mg_near_cache_forget(one, MG_STR("a"));
    mg_near_read behind = begin(one, "a");
    end(one, &before, "a", "1", 0);
    assert_null(get(one, "a"));
    end(one, &behind, "a", "2", 0);
    assert_string_equal(get(one, "a"), "2");
}

static void an_older_reply_replaces_nothing(void **state) {
    (void)state;
    mg_near_read before = begin(one, "a");
    mg_near_cache_forget(one, MG_STR("a"));
    read_in(one, "a", "2", 0);
    end(one, &before, "a", "1", 0);
    assert_string_equal(get(one, "a"), "2");
}

static void a_lost_connection_leaves_nothing(void **state) {
    (void)state;
    mg_near_read under_way = begin(one, "b");
    read_in(one, "a", "1", 0);
    mg_near_cache_forget_all(one);
    assert_null(get(one, "a"));
    end(one, &under_way, "b", "1", 0);
    assert_null(get(one, "b"));
    read_in(one, "b", "2", 0);
    assert_string_equal(get(one, "b"), "2");
}

static void a_read_that_fails_leaves_nothing(void **state) {
    mg_near_stats s;
    (void)state;
    mg_near_read r = begin(one, "a");
    mg_near_cache_drop(one, &r);
    assert_null(get(one, "a"));
    mg_near_cache_read_stats(one, &s);
    assert_int_equal(s.keys, 0);
}

static void another_worker_serves_only_what_it_has_read_itself(void **state) {
    (void)state;
    read_in(one, "a", "1", 0);
    assert_null(get(other, "a"));
    read_in(other, "a", "1", 0); // the same entry
    assert_string_equal(get(one, "a"), "1");
    assert_string_equal(get(other, "a"), "1");
    mg_near_cache_forget(one, MG_STR("a"));
    assert_null(get(one, "a"));
    assert_string_equal(get(other, "a"), "1"); // its own server has not told it yet
}

static void an_old_value_of_another_worker_is_not_served(void **state) {
    (void)state;
    mg_near_read slow = begin(other, "a");
    read_in(one, "a", "2", 0);
    end(other, &slow, "a", "1", 0); // what changed it is still on its way
    assert_null(get(one, "a"));
    read_in(one, "a", "2", 0);
    assert_string_equal(get(one, "a"), "2");
    assert_null(get(other, "a"));
}

static void a_value_ends_in_time(void **state) {
    (void)state;
    read_in(one, "a", "1", 10);
    mg_loop_set_now(loop, mg_loop_now_ms(loop) + 9);
    assert_string_equal(get(one, "a"), "1");
    mg_loop_set_now(loop, mg_loop_now_ms(loop) + 1);
    assert_null(get(one, "a"));
}

static void an_entry_that_ends_later_is_not_taken_over(void **state) {
    (void)state;
    read_in(one, "a", "1", 0);
    read_in(other, "a", "1", 10);
    mg_loop_set_now(loop, mg_loop_now_ms(loop) + 10);
    assert_null(get(other, "a"));
}

static void too_large_a_value_is_not_kept(void **state) {
    char *large = malloc(MG_CACHE_VALUE_MAX + 1);
    (void)state;
    memset(large, 'x', MG_CACHE_VALUE_MAX);
    large[MG_CACHE_VALUE_MAX] = '\0';
    read_in(one, "a", large, 0);
    assert_null(get(one, "a"));
    free(large);
}

static void more_keys_than_there_is_room_for_are_forgotten(void **state) {
    enum { KEYS = 5000, ROOM_FOR = ROOM / 512 };
    char key[16];
    mg_near_stats s;
    int served = 0;
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "k%d", i);
        read_in(one, key, key, 0);
    }
    mg_near_cache_read_stats(one, &s);
    assert_int_equal(s.keys, ROOM_FOR);
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "k%d", i);
        const char *value = get(one, key);
        assert_true(value == NULL || strcmp(value, key) == 0);
        served += value != NULL;
    }
    assert_true(served > ROOM_FOR / 2);
}

static void reads_beyond_its_room_are_not_to_be_tracked(void **state) {
    enum { READS = 3000, ROOM_FOR = ROOM / 512 };
    static mg_near_read reads[READS];
    char key[16];
    int n = 0;
    mg_near_stats s;
    (void)state;
    for (int i = 0; i < READS; i++) {
        snprintf(key, sizeof key, "r%d", i);
        n += mg_near_cache_begin(one, mg_str_of(key), &reads[n]);
    }
    assert_int_equal(n, ROOM_FOR);
    for (int i = 0; i < n; i++) {
        mg_near_cache_drop(one, &reads[i]);
    }
    mg_near_cache_read_stats(one, &s);
    assert_int_equal(s.keys, 0);
}

// --- workers, a server, and what is on its way between them ---

enum { KEYS = 6, LENGTH = 64 };

// What comes over a worker's connection, in order: replies, and that a key has changed.
typedef struct message {
    int key;
    int version; // of a reply; -1: it has changed
    mg_near_read read;
} message;

typedef struct worker {
    mg_near_cache *near;
    message on_way[LENGTH];
    int first, end;
    bool tracked[KEYS]; // by the server
} worker;

static worker workers[2];
static int versions[KEYS];
static mg_random dice;

static const char *key_of(int key) {
    static char text[8];
    snprintf(text, sizeof text, "key%d", key);
    return text;
}

static void send(worker *w, message m) {
    w->on_way[w->end++ % LENGTH] = m;
}

static bool is_full(const worker *w) {
    return w->end - w->first == LENGTH;
}

static bool change_is_on_way(const worker *w, int key) {
    for (int i = w->first; i < w->end; i++) {
        const message *m = &w->on_way[i % LENGTH];
        if (m->key == key && m->version < 0) {
            return true;
        }
    }
    return false;
}

static void change(int key) {
    versions[key]++;
    for (int i = 0; i < 2; i++) {
        if (workers[i].tracked[key]) {
            workers[i].tracked[key] = false;
            send(&workers[i], (message){.key = key, .version = -1});
        }
    }
}

static void ask(worker *w, int key) {
    message m = {.key = key, .version = versions[key], .read = begin(w->near, key_of(key))};
    w->tracked[key] = true;
    send(w, m);
}

static void deliver(worker *w) {
    const message *m = &w->on_way[w->first++ % LENGTH];
    char value[16];
    if (m->version < 0) {
        mg_near_cache_forget(w->near, mg_str_of(key_of(m->key)));
    } else {
        snprintf(value, sizeof value, "%d", m->version);
        end(w->near, &m->read, key_of(m->key), value, 0);
    }
}

static void lose(worker *w) {
    for (; w->first < w->end; w->first++) {
        const message *m = &w->on_way[w->first % LENGTH];
        if (m->version >= 0) {
            mg_near_cache_drop(w->near, &m->read);
        }
    }
    memset(w->tracked, 0, sizeof w->tracked);
    mg_near_cache_forget_all(w->near);
}

// What is served is what the server has, unless the word that it is not is on its way.
static bool look(worker *w, int key) {
    const char *value = get(w->near, key_of(key));
    char wanted[16];
    snprintf(wanted, sizeof wanted, "%d", versions[key]);
    if (value != NULL && strcmp(value, wanted) != 0) {
        assert_true(change_is_on_way(w, key));
    }
    return value != NULL;
}

static void nothing_is_served_that_its_worker_has_been_told_of(void **state) {
    enum { STEPS = 200000 };
    int served = 0;
    (void)state;
    mg_random_init(&dice, 4711);
    workers[0] = (worker){.near = one};
    workers[1] = (worker){.near = other};
    for (int i = 0; i < STEPS; i++) {
        worker *w = &workers[mg_random_below(&dice, 2)];
        int key = (int)mg_random_below(&dice, KEYS);
        uint64_t what = mg_random_below(&dice, 100);
        bool room_for_more = !is_full(&workers[0]) && !is_full(&workers[1]);
        if (what < 5 && room_for_more) {
            change(key);
        } else if (what < 30 && room_for_more) {
            ask(w, key);
        } else if (what < 60 && w->first < w->end) {
            deliver(w);
        } else if (what == 99) {
            lose(w);
        } else {
            served += look(w, key);
        }
    }
    assert_true(served > STEPS / 20);
    lose(&workers[0]);
    lose(&workers[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        CASE(serves_what_it_has_read),
        CASE(serves_nothing_that_it_was_told_of),
        CASE(what_was_read_before_it_changed_is_not_stored),
        CASE(an_older_reply_replaces_nothing),
        CASE(a_lost_connection_leaves_nothing),
        CASE(a_read_that_fails_leaves_nothing),
        CASE(another_worker_serves_only_what_it_has_read_itself),
        CASE(an_old_value_of_another_worker_is_not_served),
        CASE(a_value_ends_in_time),
        CASE(an_entry_that_ends_later_is_not_taken_over),
        CASE(too_large_a_value_is_not_kept),
        CASE(more_keys_than_there_is_room_for_are_forgotten),
        CASE(reads_beyond_its_room_are_not_to_be_tracked),
        CASE(nothing_is_served_that_its_worker_has_been_told_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
