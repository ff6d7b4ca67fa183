#include "live/presence.h"

#include "base/random.h"
#include "unit.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

static int setup(void **state) {
    int fd = memfd_create("presence", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, sizeof(mg_presence)) != 0) {
        return -1;
    }
    *state = mmap(NULL, sizeof(mg_presence), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return *state == MAP_FAILED ? -1 : 0;
}

static int teardown(void **state) {
    return munmap(*state, sizeof(mg_presence));
}

static uint32_t count_of(const mg_presence *p, uint64_t hash) {
    mg_presence_answer a = mg_presence_of(p, hash);
    assert_true(a.sure);
    return a.count;
}

// Hashes of few bits fall together, wrap around, and are taken out again.
static void agrees_with_a_plain_table(void **state) {
    enum { NAMES = 3000, STEPS = 60000 };
    static uint32_t plain[NAMES];
    mg_random random;
    memset(plain, 0, sizeof plain);
    mg_random_init(&random, 7);
    for (int i = 0; i < STEPS; i++) {
        uint32_t name = (uint32_t)mg_random_below(&random, NAMES);
        uint32_t count = (uint32_t)mg_random_below(&random, 3);
        plain[name] = count;
        assert_true(mg_presence_set(*state, (uint64_t)name * 509, count));
    }
    for (uint32_t i = 0; i < NAMES; i++) {
        assert_int_equal(count_of(*state, (uint64_t)i * 509), plain[i]);
        assert_true(mg_presence_set(*state, (uint64_t)i * 509, 0));
    }
    const mg_presence *p = *state;
    assert_int_equal(atomic_load(&p->used), 0);
    assert_int_equal(count_of(p, 0), 0);
}

static void is_full_in_the_end_and_can_be_wiped(void **state) {
    for (uint64_t i = 0; i < MG_PRESENCE_MOST; i++) {
        assert_true(mg_presence_set(*state, i * 0x9e3779b97f4a7c15, 1));
    }
    assert_false(mg_presence_set(*state, 42, 1));
    assert_true(mg_presence_set(*state, 0, 2)); // which is there
    assert_int_equal(count_of(*state, 0), 2);
    mg_presence_wipe(*state);
    assert_int_equal(count_of(*state, 0), 0);
    assert_true(mg_presence_set(*state, 42, 1));
    assert_int_equal(count_of(*state, 42), 1);
}

static void is_not_sure_while_somebody_is_stuck_in_a_change(void **state) {
    mg_presence *p = *state;
    mg_presence_set(p, 42, 1);
    atomic_fetch_add(&p->version, 1); // it died here
    assert_false(mg_presence_of(p, 42).sure);
    mg_presence_wipe(p);
    assert_true(mg_presence_of(p, 42).sure);
    atomic_store(&p->bits, 77); // it scribbled
    atomic_store(&p->used, 9);
    assert_int_equal(count_of(p, 42), 0);
}

// --- reading while it is written ---

enum { STAYS = 5000 }; // beyond those that come and go

static _Atomic bool done;

static void a_scribbled_table_is_never_left(void **state) {
    mg_presence *p = *state;
    memset(p->slots, 0xff, sizeof p->slots); // full, and nothing in it is a topic
    (void)mg_presence_set(p, 42, 7);
    assert_int_equal(mg_presence_of(p, 42).count, 0);
    atomic_store(&p->bits, 16);
    (void)mg_presence_set(p, 43, 7);
    assert_int_equal(mg_presence_used(p), 0);
    mg_presence_wipe(p);
    assert_true(mg_presence_set(p, 42, 7));
    assert_int_equal(count_of(p, 42), 7);
}

static void *write_on(void *arg) {
    for (uint64_t i = 0; i < 20000; i++) {
        mg_presence_set(arg, i % 1000 + 2, (uint32_t)(i / 1000 % 2));
    }
    atomic_store(&done, true);
    return NULL;
}

static void what_stays_is_always_found(void **state) {
    pthread_t writer;
    atomic_store(&done, false);
    mg_presence_set(*state, STAYS, 5);
    assert_int_equal(pthread_create(&writer, NULL, write_on, *state), 0);
    while (!atomic_load(&done)) {
        mg_presence_answer a = mg_presence_of(*state, STAYS);
        assert_true(!a.sure || a.count == 5);
    }
    pthread_join(writer, NULL);
    assert_int_equal(count_of(*state, STAYS), 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(agrees_with_a_plain_table, setup, teardown),
        cmocka_unit_test_setup_teardown(is_full_in_the_end_and_can_be_wiped, setup, teardown),
        cmocka_unit_test_setup_teardown(is_not_sure_while_somebody_is_stuck_in_a_change, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_scribbled_table_is_never_left, setup, teardown),
        cmocka_unit_test_setup_teardown(what_stays_is_always_found, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
