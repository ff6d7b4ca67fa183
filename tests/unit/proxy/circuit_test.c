#include "proxy/circuit.h"

#include "cells.h"

#include "base/shm.h"
#include "proxy/budget.h"
#include "proxy/verdict.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const mg_circuit_options want = {
    .on = true, .in_flight = 4, .waiting = 2, .failures = 0.5, .volume = 10, .open_ms = 1000};

static uint64_t probe;

static bool enter(cells *c, uint64_t now_ms) {
    return mg_circuit_enter(&want, &c->upstream, now_ms, &probe);
}

static bool tell(cells *c, mg_result result, uint64_t now_ms) {
    return mg_circuit_tell(&want, &c->upstream, 0, result, now_ms);
}

// Opens it with failures alone.
static void break_it(cells *c, uint64_t now_ms) {
    for (int i = 0; i < 9; i++) {
        assert_false(tell(c, MG_RESULT_BAD, now_ms));
    }
    assert_true(tell(c, MG_RESULT_BAD, now_ms));
}

static void opens_by_a_share_of_enough_results(void **state) {
    (void)state;
    cells c;
    cells_init(&c, NULL, 0, 0);
    for (int i = 0; i < 5; i++) {
        assert_false(tell(&c, MG_RESULT_GOOD, 1000));
    }
    for (int i = 0; i < 4; i++) {
        assert_false(tell(&c, MG_RESULT_BAD, 1000));
    }
    assert_false(tell(&c, MG_RESULT_NONE, 1000));
    assert_true(enter(&c, 1000));
    assert_true(tell(&c, MG_RESULT_BAD, 1000));
    assert_false(enter(&c, 1000));
    assert_int_equal(probe, 1000);
    assert_false(enter(&c, 1999));
    assert_int_equal(probe, 1);
    cells_deinit(&c);
}

static void stays_closed_below_the_share(void **state) {
    (void)state;
    cells c;
    cells_init(&c, NULL, 0, 0);
    for (int i = 0; i < 1000; i++) {
        assert_false(tell(&c, i % 5 == 0 ? MG_RESULT_BAD : MG_RESULT_GOOD, 1000));
    }
    assert_true(enter(&c, 1000));
    cells_deinit(&c);
}

static void old_successes_do_not_hide_that_it_died(void **state) {
    (void)state;
    cells c;
    int n = 0;
    cells_init(&c, NULL, 0, 0);
    for (int i = 0; i < 100000; i++) {
        tell(&c, MG_RESULT_GOOD, 1000);
    }
    while (!tell(&c, MG_RESULT_BAD, 1000)) {
        n++;
    }
    assert_in_range(n, 5, 30);
    cells_deinit(&c);
}

static void old_failures_do_not_count(void **state) {
    (void)state;
    cells c;
    cells_init(&c, NULL, 0, 0);
    for (int i = 0; i < 9; i++) {
        assert_false(tell(&c, MG_RESULT_BAD, 1000));
    }
    assert_false(tell(&c, MG_RESULT_BAD, 70000));
    cells_deinit(&c);
}

static void one_probe_decides(void **state) {
    (void)state;
    cells c;
    cells_init(&c, NULL, 0, 0);
    break_it(&c, 1000);
    assert_int_equal(mg_circuit_of(c.upstream.cell, 1999), MG_CIRCUIT_OPEN);
    assert_int_equal(mg_circuit_of(c.upstream.cell, 2000), MG_CIRCUIT_HALF_OPEN);
    uint64_t word = atomic_exchange(&c.upstream.cell->circuit, UINT64_MAX); // by a worker astray
    assert_int_equal(mg_circuit_of(c.upstream.cell, 2000), MG_CIRCUIT_CLOSED);
    atomic_store(&c.upstream.cell->circuit, word);
    assert_true(enter(&c, 2000));
    uint64_t first = probe;
    assert_true(first != 0);
    assert_false(enter(&c, 2000));
    assert_false(tell(&c, MG_RESULT_GOOD, 2000)); // it began before
    assert_false(enter(&c, 2000));
    assert_true(mg_circuit_tell(&want, &c.upstream, first, MG_RESULT_BAD, 2500));
    assert_false(enter(&c, 3499));
    assert_true(enter(&c, 3500));
    assert_true(mg_circuit_tell(&want, &c.upstream, probe, MG_RESULT_GOOD, 3600));
    assert_true(enter(&c, 3600));
    assert_int_equal(probe, 0);
    assert_int_equal(mg_circuit_of(c.upstream.cell, 3600), MG_CIRCUIT_CLOSED);
    assert_false(tell(&c, MG_RESULT_BAD, 3600)); // counted from the start
    cells_deinit(&c);
}

static void a_probe_without_a_result_is_followed_by_another(void **state) {
    (void)state;
    cells c;
    cells_init(&c, NULL, 0, 0);
    break_it(&c, 1000);
    assert_true(enter(&c, 2000));
    uint64_t first = probe;
    assert_false(mg_circuit_tell(&want, &c.upstream, first, MG_RESULT_NONE, 2100));
    assert_true(enter(&c, 2100));
    uint64_t second = probe; // its worker dies
    assert_false(enter(&c, 3099));
    assert_true(enter(&c, 3100));
    assert_false(mg_circuit_tell(&want, &c.upstream, second, MG_RESULT_BAD, 3200));
    assert_true(mg_circuit_tell(&want, &c.upstream, probe, MG_RESULT_GOOD, 3200));
    cells_deinit(&c);
}

static void no_more_than_so_many_are_in_flight_or_wait(void **state) {
    (void)state;
    void *room = room_new();
    cells a, b;
    cells_init(&a, room, 0, 0);
    cells_init(&b, room, 9, 0);
    for (int i = 0; i < 2; i++) {
        assert_true(mg_circuit_begin(&want, &a.upstream));
        assert_true(mg_circuit_begin(&want, &b.upstream));
    }
    assert_false(mg_circuit_begin(&want, &a.upstream));
    assert_true(mg_circuit_wait(&want, &a.upstream));
    assert_true(mg_circuit_wait(&want, &b.upstream));
    assert_false(mg_circuit_wait(&want, &b.upstream));
    mg_circuit_wait_no_more(&a.upstream);
    assert_true(mg_circuit_wait(&want, &b.upstream));
    mg_circuit_end(&b.upstream);
    assert_true(mg_circuit_begin(&want, &a.upstream));
    assert_false(mg_circuit_begin(&want, &b.upstream));
    cells_deinit(&a);
    cells_deinit(&b);
    room_free(room);
}

static void what_nobody_meant_is_nothing(void **state) {
    (void)state;
    cells c;
    cells_init(&c, NULL, 0, 0);
    for (uint64_t state_bits = 0; state_bits < 4; state_bits++) {
        atomic_store(&c.upstream.cell->circuit, (UINT64_MAX << 2) | state_bits);
        assert_true(enter(&c, 1000));
        assert_int_equal(mg_circuit_of(c.upstream.cell, 1000), MG_CIRCUIT_CLOSED);
    }
    atomic_store(&c.upstream.cell->results, UINT64_MAX); // all failed, in the far future
    assert_false(tell(&c, MG_RESULT_BAD, 1000));
    atomic_store(&c.upstream.own->in_flight, UINT32_MAX);
    assert_int_equal(mg_upstream_sum(&c.upstream).in_flight, 0);
    mg_count_up(&c.upstream.own->in_flight);
    assert_int_equal(mg_upstream_sum(&c.upstream).in_flight, 1);
    mg_count_down(&c.upstream.own->in_flight);
    mg_count_down(&c.upstream.own->in_flight);
    assert_int_equal(mg_upstream_sum(&c.upstream).in_flight, 0);
    cells_deinit(&c);
}

static void unless_configured_there_is_no_circuit(void **state) {
    (void)state;
    cells c;
    const mg_circuit_options off = {.failures = 0.1, .volume = 1, .open_ms = 1000};
    cells_init(&c, NULL, 0, 0);
    for (int i = 0; i < 100; i++) {
        assert_false(mg_circuit_tell(&off, &c.upstream, 0, MG_RESULT_BAD, 1000));
        assert_true(mg_circuit_begin(&off, &c.upstream));
    }
    assert_true(mg_circuit_enter(&off, &c.upstream, 1000, &probe));
    assert_false(mg_circuit_wait(&off, &c.upstream));
    cells_deinit(&c);
}

// --- processes that die at any instruction ---

enum { WORKERS = 3, SERVERS = 4, KILLS = 60 };

static const mg_outlier_options outlier = {.on = true, .failures = 2, .eject_ms = 5, .most = 0.5};
static const mg_health_options health = {.on = true, .up = 1, .down = 2};

typedef struct witness {
    _Atomic uint64_t rounds[WORKERS];
    _Atomic uint64_t now_ms;
    _Atomic uint32_t broken;
} witness;

static mg_shm *shm;
static witness *seen;
static pid_t children[WORKERS];

static void expect(bool good) {
    if (!good) {
        atomic_fetch_add(&seen->broken, 1);
    }
}

static void check_servers(cells *c) {
    for (size_t i = 0; i < SERVERS; i++) {
        uint64_t until_ms = mg_ejection_of(&c->servers[i], atomic_load(&seen->now_ms)).until_ms;
        expect(until_ms <= atomic_load(&seen->now_ms) + 30 * outlier.eject_ms);
        expect(mg_verdict_of(&c->servers[i]) <= MG_VERDICT_DOWN);
    }
    expect(mg_upstream_sum(&c->upstream).in_flight <= want.in_flight + WORKERS);
}

static void one_try(cells *c, uint64_t n) {
    uint64_t now_ms = atomic_fetch_add(&seen->now_ms, 1);
    uint64_t pass;
    mg_server_hold *s = &c->servers[n % SERVERS];
    mg_result result = n % 3 == 0 ? MG_RESULT_GOOD : MG_RESULT_BAD;
    if (!mg_circuit_enter(&want, &c->upstream, now_ms, &pass)) {
        return;
    }
    if (mg_circuit_begin(&want, &c->upstream)) {
        mg_budget_pay(&c->upstream, 0.2);
        if (mg_budget_begin(&c->upstream, 0.2)) {
            mg_budget_end(&c->upstream, n % 2 == 0);
        }
        check_servers(c);
        mg_outlier_tell(&outlier, &c->group, s, result, now_ms);
        mg_health_tell(&health, s, n % 5 < 3 ? MG_FOUND_GOOD : MG_FOUND_CLOSED, 0, now_ms);
        mg_circuit_end(&c->upstream);
    }
    mg_circuit_tell(&want, &c->upstream, pass, result, now_ms);
}

static void work(uint32_t worker) {
    cells c;
    cells_init(&c, mg_shm_proxy(shm), worker, SERVERS);
    for (uint64_t n = worker;; n = n * 6364136223846793005u + 1442695040888963407u) {
        one_try(&c, n >> 33);
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

static void end(uint32_t worker) {
    kill(children[worker], SIGKILL);
    assert_int_equal(waitpid(children[worker], NULL, 0), children[worker]);
    mg_shared_forget_worker(mg_shm_proxy(shm), worker);
}

static void whoever_dies_all_goes_on(void **state) {
    (void)state;
    size_t bytes;
    alarm(120);
    assert_int_equal(mg_shm_new(&shm, 4096, NULL), MG_OK);
    seen = mg_shm_cache(shm, &bytes);
    atomic_store(&seen->now_ms, 1000);
    for (uint32_t i = 0; i < WORKERS; i++) {
        start(i);
    }
    for (uint32_t i = 0; i < KILLS; i++) {
        await_rounds(i % WORKERS, 1 + i % 7);
        for (uint32_t spin = i * 37 % 3000; spin > 0; spin--) {
            atomic_signal_fence(memory_order_seq_cst);
        }
        end(i % WORKERS);
        start(i % WORKERS);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        await_rounds(i, 1);
        end(i);
    }
    assert_int_equal(atomic_load(&seen->broken), 0);
    cells c;
    cells_init(&c, mg_shm_proxy(shm), 0, SERVERS);
    mg_upstream_sums now = mg_upstream_sum(&c.upstream);
    assert_int_equal(now.in_flight + now.extra + now.waiting, 0);
    uint64_t later = atomic_load(&seen->now_ms) + want.open_ms; // whatever its probe came to
    assert_true(enter(&c, later));
    assert_true(probe == 0 || mg_circuit_tell(&want, &c.upstream, probe, MG_RESULT_GOOD, later));
    assert_true(enter(&c, later));
    size_t out = 0;
    for (size_t i = 0; i < SERVERS; i++) {
        out += mg_server_is_ejected(&c.servers[i], later);
    }
    assert_true(out <= SERVERS / 2);
    cells_deinit(&c);
    mg_shm_free(shm);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_by_a_share_of_enough_results),
        cmocka_unit_test(stays_closed_below_the_share),
        cmocka_unit_test(old_successes_do_not_hide_that_it_died),
        cmocka_unit_test(old_failures_do_not_count),
        cmocka_unit_test(one_probe_decides),
        cmocka_unit_test(what_nobody_meant_is_nothing),
        cmocka_unit_test(a_probe_without_a_result_is_followed_by_another),
        cmocka_unit_test(no_more_than_so_many_are_in_flight_or_wait),
        cmocka_unit_test(unless_configured_there_is_no_circuit),
        cmocka_unit_test(whoever_dies_all_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
