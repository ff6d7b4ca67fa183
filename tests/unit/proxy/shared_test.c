#include "proxy/shared.h"

#include "unit.h"

#include "base/shm.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 3, OBSERVER = WORKERS, NAMES = 6, SPARE = 4, KILLS = 400 };

static mg_shm *shm;
static void *memory;

static int setup(void **state) {
    (void)state;
    assert_int_equal(mg_shm_new(&shm, 4096, NULL), MG_OK);
    memory = mg_shm_proxy(shm);
    alarm(120);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    mg_shm_free(shm);
    return 0;
}

// --- cells ---

static void a_cell_is_found_by_its_names(void **state) {
    (void)state;
    mg_shared *a = mg_shared_new(memory, 0);
    mg_shared *b = mg_shared_new(memory, 5);
    mg_server_hold one, same, other;
    assert_true(mg_shared_hold_server(a, MG_STR("shop"), MG_STR("http://a:1"), &one));
    assert_true(mg_shared_hold_server(b, MG_STR("shop"), MG_STR("http://a:1"), &same));
    assert_true(mg_shared_hold_server(b, MG_STR("shoph"), MG_STR("ttp://a:1"), &other));
    assert_ptr_equal(one.cell, same.cell);
    assert_ptr_not_equal(one.cell, other.cell);
    assert_string_equal(one.cell->upstream, "shop");
    assert_string_equal(one.cell->address, "http://a:1");
    mg_shared_drop_server(&one);
    mg_shared_drop_server(&same);
    mg_shared_drop_server(&other);
    mg_shared_free(a);
    mg_shared_free(b);
}

static void what_is_known_outlives_its_holders(void **state) {
    (void)state;
    mg_shared *s = mg_shared_new(memory, 0);
    mg_server_hold h;
    mg_upstream_hold u;
    assert_true(mg_shared_hold_server(s, MG_STR("shop"), MG_STR("http://a:1"), &h));
    assert_true(mg_shared_hold_upstream(s, MG_STR("shop"), &u));
    atomic_store(&h.cell->ejection, 42);
    atomic_store(&u.cell->circuit, 43);
    mg_shared_drop_server(&h);
    mg_shared_drop_upstream(&u);
    mg_shared_free(s);
    s = mg_shared_new(memory, 1);
    assert_true(mg_shared_hold_server(s, MG_STR("shop"), MG_STR("http://a:1"), &h));
    assert_true(mg_shared_hold_upstream(s, MG_STR("shop"), &u));
    assert_int_equal(atomic_load(&h.cell->ejection), 42);
    assert_int_equal(atomic_load(&u.cell->circuit), 43);
    mg_shared_drop_server(&h);
    mg_shared_drop_upstream(&u);
    mg_shared_free(s);
}

static mg_str name_of(char text[32], int i) {
    return (mg_str){text, (size_t)snprintf(text, 32, "http://host-%d:80", i)};
}

static mg_server_hold many[MG_SHARED_SERVERS];

static void hold_all_but(mg_shared *s, int spare) {
    char text[32];
    for (int i = 0; i < MG_SHARED_SERVERS - spare; i++) {
        assert_true(mg_shared_hold_server(s, MG_STR("many"), name_of(text, i), &many[i]));
        atomic_store(&many[i].cell->health, 7);
    }
}

static void a_place_goes_to_another_only_when_nobody_holds_it(void **state) {
    (void)state;
    mg_shared *s = mg_shared_new(memory, 0);
    mg_shared *other = mg_shared_new(memory, 1);
    mg_server_hold h, again;
    hold_all_but(s, 0);
    assert_false(mg_shared_hold_server(other, MG_STR("new"), MG_STR("http://b:1"), &h));
    assert_string_equal(h.cell->address, "http://b:1");
    mg_count_up(&h.own->in_flight);
    assert_int_equal(mg_server_in_flight(&h), 1);
    mg_shared_drop_server(&h);
    mg_count_total(&many[9].own->tries);
    mg_shared_drop_server(&many[9]);
    assert_true(mg_shared_hold_server(other, MG_STR("new"), MG_STR("http://b:1"), &h));
    assert_int_equal(h.place, 9);
    assert_int_equal(atomic_load(&h.cell->health), 0);
    assert_false(mg_shared_hold_server(s, MG_STR("many"), MG_STR("http://host-9:80"), &again));
    uint32_t place = 9;
    mg_server_view view;
    assert_true(mg_shared_next_server(memory, &place, &view));
    assert_string_equal(view.cell->upstream, "new");
    assert_int_equal(view.tries, 0);
    mg_shared_drop_server(&again);
    mg_shared_free(other);
    mg_shared_free(s);
}

static void texts_are_cut_to_fit(void **state) {
    (void)state;
    char longest[300];
    mg_server_hold a, b;
    memset(longest, 'x', sizeof longest);
    mg_str text = {longest, sizeof longest};
    mg_shared *s = mg_shared_new(memory, 0);
    assert_true(mg_shared_hold_server(s, text, text, &a));
    text.n--;
    assert_true(mg_shared_hold_server(s, text, text, &b));
    assert_ptr_not_equal(a.cell, b.cell);
    assert_int_equal(strlen(a.cell->upstream), MG_SHARED_NAME - 1);
    assert_int_equal(strlen(a.cell->address), MG_SHARED_ADDRESS - 1);
    mg_shared_free(s);
}

static void a_view_without_a_room_has_one_of_its_own(void **state) {
    (void)state;
    mg_shared *s = mg_shared_new(NULL, 200);
    mg_server_hold h;
    assert_true(mg_shared_hold_server(s, MG_STR("shop"), MG_STR("http://a:1"), &h));
    mg_count_up(&h.own->in_flight);
    assert_int_equal(mg_server_in_flight(&h), 1);
    mg_shared_drop_server(&h);
    mg_shared_free(s);
    mg_shared_free(NULL);
}

// --- counts ---

static void counts_add_up_over_workers_and_end_with_them(void **state) {
    (void)state;
    mg_shared *a = mg_shared_new(memory, 0);
    mg_shared *b = mg_shared_new(memory, MG_SHARED_WORKERS - 1);
    mg_server_hold h, k;
    mg_upstream_hold u, v;
    assert_true(mg_shared_hold_server(a, MG_STR("shop"), MG_STR("http://a:1"), &h));
    assert_true(mg_shared_hold_server(b, MG_STR("shop"), MG_STR("http://a:1"), &k));
    assert_true(mg_shared_hold_upstream(a, MG_STR("shop"), &u));
    assert_true(mg_shared_hold_upstream(b, MG_STR("shop"), &v));
    mg_count_up(&h.own->in_flight);
    mg_count_up(&k.own->in_flight);
    mg_count_up(&k.own->in_flight);
    mg_count_total(&k.own->tries);
    mg_count_up(&u.own->waiting);
    mg_count_up(&v.own->waiting);
    mg_count_up(&v.own->extra);
    assert_int_equal(mg_server_in_flight(&h), 3);
    assert_int_equal(mg_upstream_sum(&u).waiting, 2);
    mg_shared_forget_worker(memory, MG_SHARED_WORKERS - 1);
    assert_int_equal(mg_server_in_flight(&h), 1);
    assert_int_equal(mg_upstream_sum(&u).waiting, 1);
    assert_int_equal(mg_upstream_sum(&u).extra, 0);
    uint32_t place = 0;
    mg_server_view view;
    assert_true(mg_shared_next_server(memory, &place, &view));
    assert_int_equal(view.tries, 1);
    assert_int_equal(view.in_flight, 1);
    assert_false(mg_shared_next_server(memory, &place, &view));
    mg_shared_free(a);
    mg_shared_free(b);
}

static void what_only_the_dead_held_is_shown_no_more(void **state) {
    (void)state;
    mg_shared *s = mg_shared_new(memory, 2);
    mg_server_hold h;
    mg_upstream_hold u;
    mg_server_view view;
    mg_upstream_view upstream;
    uint32_t place = 0;
    assert_true(mg_shared_hold_server(s, MG_STR("shop"), MG_STR("http://a:1"), &h));
    assert_true(mg_shared_hold_upstream(s, MG_STR("shop"), &u));
    assert_true(mg_shared_next_upstream(memory, &place, &upstream));
    assert_string_equal(upstream.cell->name, "shop");
    mg_shared_forget_worker(memory, 2);
    place = 0;
    assert_false(mg_shared_next_server(memory, &place, &view));
    place = 0;
    assert_false(mg_shared_next_upstream(memory, &place, &upstream));
    mg_shared_forget_worker(memory, 200); // it never came so far
    mg_shared_free(s);
}

static void what_is_scribbled_is_not_shown(void **state) {
    (void)state;
    mg_shared *s = mg_shared_new(memory, 2);
    mg_server_hold h, other;
    mg_server_view view;
    uint32_t place = 0;
    assert_true(mg_shared_hold_server(s, MG_STR("shop"), MG_STR("http://a:1"), &h));
    assert_true(mg_shared_hold_server(s, MG_STR("shop"), MG_STR("http://b:1"), &other));
    memset(h.cell, 0xff, sizeof *h.cell);
    assert_true(mg_shared_next_server(memory, &place, &view));
    assert_string_equal(view.cell->address, "http://b:1");
    memset(other.cell->address, 'x', 3);
    place = 0;
    assert_false(mg_shared_next_server(memory, &place, &view));
    mg_shared_drop_server(&h);
    mg_shared_drop_server(&other);
    mg_shared_free(s);
}

// --- processes that die at any instruction ---

typedef struct witness {
    _Atomic uint64_t rounds[WORKERS];
    _Atomic uint32_t broken, shared;
} witness;

static witness *seen;
static pid_t children[WORKERS];

static void expect(bool good) {
    if (!good) {
        atomic_fetch_add(&seen->broken, 1);
    }
}

static void use(mg_shared *s, mg_str address) {
    mg_server_hold h;
    if (mg_shared_hold_server(s, MG_STR("few"), address, &h)) {
        atomic_fetch_add(&seen->shared, 1);
    }
    mg_count_up(&h.own->in_flight);
    mg_count_up(&h.own->in_flight);
    expect(strcmp(h.cell->upstream, "few") == 0);
    expect(mg_server_in_flight(&h) >= 2);
    mg_count_down(&h.own->in_flight);
    sched_yield();
    expect(mg_str_eq(mg_str_of(h.cell->address), address));
    mg_count_down(&h.own->in_flight);
    mg_shared_drop_server(&h);
}

static void work(uint32_t worker) {
    char text[32];
    mg_shared *s = mg_shared_new(memory, worker);
    for (int i = (int)worker;; i = (i + 1) % NAMES) {
        use(s, name_of(text, 10000 + i));
        atomic_fetch_add(&seen->rounds[worker], 1);
    }
}

static void start(uint32_t worker) {
    pid_t parent = getpid();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent) {
            work(worker);
        }
        _exit(1);
    }
    children[worker] = pid;
}

static void await_rounds(uint32_t worker, uint64_t n) {
    uint64_t until = atomic_load(&seen->rounds[worker]) + n;
    while (atomic_load(&seen->rounds[worker]) < until) {
        sched_yield();
    }
}

// As the master does it.
static void end(uint32_t worker) {
    kill(children[worker], SIGKILL);
    assert_int_equal(waitpid(children[worker], NULL, 0), children[worker]);
    children[worker] = 0;
    mg_shared_forget_worker(memory, worker);
}

static uint64_t next_random(void) {
    static uint64_t x = 88172645463325252u; // xorshift64
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

static void the_table_is_sound_whoever_dies(void **state) {
    (void)state;
    size_t bytes;
    seen = mg_shm_cache(shm, &bytes);
    mg_shared *s = mg_shared_new(memory, OBSERVER);
    hold_all_but(s, SPARE);
    for (uint32_t i = 0; i < WORKERS; i++) {
        start(i);
    }
    for (int i = 0; i < KILLS; i++) {
        uint32_t worker = (uint32_t)(next_random() % WORKERS);
        await_rounds(worker, next_random() % 3);
        for (uint64_t spin = next_random() % 4000; spin > 0; spin--) {
            atomic_signal_fence(memory_order_seq_cst);
        }
        end(worker);
        start(worker);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        await_rounds(i, 1);
        end(i);
    }
    assert_int_equal(atomic_load(&seen->broken), 0);
    assert_true(atomic_load(&seen->shared) > KILLS / 10);
    // Nothing of the dead is left: all spare places are to be had again, with nothing in flight.
    mg_server_hold h[SPARE];
    char text[32];
    for (int i = 0; i < SPARE; i++) {
        assert_true(mg_shared_hold_server(s, MG_STR("last"), name_of(text, i), &h[i]));
        assert_int_equal(mg_server_in_flight(&h[i]), 0);
        assert_int_equal(atomic_load(&h[i].own->tries), 0);
    }
    mg_shared_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_cell_is_found_by_its_names, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_known_outlives_its_holders, setup, teardown),
        cmocka_unit_test_setup_teardown(a_place_goes_to_another_only_when_nobody_holds_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(texts_are_cut_to_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_view_without_a_room_has_one_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(counts_add_up_over_workers_and_end_with_them, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_only_the_dead_held_is_shown_no_more, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_scribbled_is_not_shown, setup, teardown),
        cmocka_unit_test_setup_teardown(the_table_is_sound_whoever_dies, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
