#include "base/shm.h"

#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static mg_error err;

static mg_shm *make(size_t cache) {
    mg_shm *s = NULL;
    assert_int_equal(mg_shm_new(&s, cache, &err), MG_OK);
    return s;
}

static void another_process_sees_the_same(void **state) {
    (void)state;
    mg_shm *a = make(0);
    mg_shm *b = NULL;
    assert_int_equal(mg_shm_open(&b, dup(mg_shm_fd(a)), &err), MG_OK);
    mg_shm_cell(a, 3)->traffic.requests = 7;
    assert_int_equal(mg_shm_cell(b, 3)->traffic.requests, 7);
    assert_true((uintptr_t)mg_shm_cell(b, 3) % 64 == 0);
    mg_shm_free(a);
    mg_shm_free(b);
    mg_shm_free(NULL);
}

static void room_for_a_cache_is_whole_pages(void **state) {
    (void)state;
    size_t bytes = 1;
    mg_shm *s = make(0);
    assert_null(mg_shm_cache(s, &bytes));
    assert_int_equal(bytes, 0);
    mg_shm_free(s);
    s = make(5000);
    char *p = mg_shm_cache(s, &bytes);
    assert_int_equal(bytes, 8192);
    assert_true((uintptr_t)p % 4096 == 0);
    p[bytes - 1] = 1;
    mg_shm_free(s);
}

static void a_stranger_is_refused(void **state) {
    (void)state;
    mg_shm *s = NULL;
    int fd = memfd_create("x", MFD_CLOEXEC);
    assert_int_equal(mg_shm_open(&s, fd, &err), MG_ESYNTAX);
    fd = memfd_create("x", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    assert_int_equal(mg_shm_open(&s, fd, &err), MG_ESYNTAX);
    assert_non_null(strstr(err.text, "something else"));
    mg_shm *other = make(0);
    uint32_t version = MG_SHM_VERSION + 1;
    assert_int_equal(pwrite(mg_shm_fd(other), &version, sizeof version, 8), sizeof version);
    assert_int_equal(mg_shm_open(&s, dup(mg_shm_fd(other)), &err), MG_ESYNTAX);
    assert_non_null(strstr(err.text, "another version"));
    assert_int_equal(mg_shm_open(&s, -1, &err), MG_ESYNTAX);
    mg_shm_free(other);
}

static void its_size_is_sealed(void **state) {
    (void)state;
    mg_shm *s = make(0);
    assert_int_equal(ftruncate(mg_shm_fd(s), 1), -1);
    mg_shm_free(s);
}

static void a_reset_keeps_what_only_grows(void **state) {
    (void)state;
    mg_shm *s = make(0);
    mg_cell *c = mg_shm_cell(s, 0);
    c->traffic = (mg_traffic){.connections = 3, .accepted = 9, .requests = 20};
    c->pid = 7;
    c->generations[0].number = 2;
    mg_shm_reset_cell(s, 0);
    assert_int_equal(c->traffic.connections, 0);
    assert_int_equal(c->traffic.accepted, 9);
    assert_int_equal(c->traffic.requests, 20);
    assert_int_equal(c->pid, 0);
    assert_int_equal(c->generations[0].number, 0);
    mg_shm_free(s);
}

static void a_lease_has_one_holder(void **state) {
    (void)state;
    mg_shm *s = make(0);
    assert_true(mg_lease_take(s, MG_STR("a"), 1));
    assert_true(mg_lease_take(s, MG_STR("a"), 1));
    assert_false(mg_lease_take(s, MG_STR("a"), 2));
    assert_true(mg_lease_take(s, MG_STR("b"), 2));
    mg_lease_drop(s, MG_STR("a"), 2);
    assert_false(mg_lease_take(s, MG_STR("a"), 2));
    mg_lease_drop_all(s, 1);
    assert_true(mg_lease_take(s, MG_STR("a"), 2));
    mg_shm_free(s);
}

static void there_are_so_many_leases_and_no_more(void **state) {
    (void)state;
    mg_shm *s = make(0);
    char name[16];
    for (int i = 0; i < MG_SHM_LEASES; i++) {
        snprintf(name, sizeof name, "job %d", i);
        assert_true(mg_lease_take(s, mg_str_of(name), 1));
    }
    assert_false(mg_lease_take(s, MG_STR("one more"), 1));
    assert_true(mg_lease_take(s, MG_STR("job 7"), 1));
    mg_shm_free(s);
}

// --- processes that die at any instruction ---

enum { WORKERS = 3, KILLS = 1500 };

// In the room of the cache.
typedef struct proof {
    _Atomic uint32_t inside; // who works under the lease now
    _Atomic uint32_t broken; // two were seen
    _Atomic uint64_t runs;
} proof;

static void work(mg_shm *s, proof *p, uint32_t holder) {
    mg_cell *cell = mg_shm_cell(s, holder - 1);
    for (;;) {
        cell->traffic.requests++;
        if (!mg_lease_take(s, MG_STR("job"), holder)) {
            continue;
        }
        uint32_t seen = atomic_exchange(&p->inside, holder);
        if (seen != 0 && seen != holder) {
            p->broken = 1;
        }
        p->runs++;
        seen = atomic_exchange(&p->inside, 0);
        if (seen != holder) {
            p->broken = 1;
        }
        mg_lease_drop(s, MG_STR("job"), holder);
    }
}

static pid_t start(mg_shm *s, proof *p, uint32_t holder) {
    pid_t pid = fork();
    if (pid == 0) {
        work(s, p, holder);
    }
    return pid;
}

static void a_lease_survives_the_death_of_any_holder(void **state) {
    (void)state;
    size_t bytes;
    mg_shm *s = make(sizeof(proof));
    proof *p = mg_shm_cache(s, &bytes);
    pid_t pids[WORKERS];
    srand(1);
    for (uint32_t i = 0; i < WORKERS; i++) {
        pids[i] = start(s, p, i + 1);
    }
    for (int n = 0; n < KILLS; n++) {
        uint32_t i = (uint32_t)rand() % WORKERS;
        usleep((useconds_t)(rand() % 300));
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
        uint32_t dead = i + 1;
        atomic_compare_exchange_strong(&p->inside, &dead, 0); // its own mark dies with it
        mg_lease_drop_all(s, i + 1);
        mg_shm_reset_cell(s, i);
        pids[i] = start(s, p, i + 1);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
        mg_lease_drop_all(s, i + 1);
    }
    assert_int_equal(p->broken, 0);
    assert_true(p->runs > KILLS);
    assert_true(mg_lease_take(s, MG_STR("job"), 9));
    assert_true(mg_shm_cell(s, 0)->traffic.requests > 0);
    mg_shm_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_process_sees_the_same),
        cmocka_unit_test(room_for_a_cache_is_whole_pages),
        cmocka_unit_test(a_stranger_is_refused),
        cmocka_unit_test(its_size_is_sealed),
        cmocka_unit_test(a_reset_keeps_what_only_grows),
        cmocka_unit_test(a_lease_has_one_holder),
        cmocka_unit_test(there_are_so_many_leases_and_no_more),
        cmocka_unit_test(a_lease_survives_the_death_of_any_holder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
