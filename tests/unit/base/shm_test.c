#include "base/shm.h"

#include "base/random.h"

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 3, NAMES = 3, KILLS = 500, OBSERVER = MG_SHM_CELLS };

// The head as other processes find it in the file.
enum { MAGIC_AT = 0, VERSION_AT = 8, CELL_BYTES_AT = 12, BYTES_AT = 16, CACHE_AT = 24 };

static mg_shm *make(size_t cache_bytes) {
    mg_shm *s = NULL;
    assert_int_equal(mg_shm_new(&s, cache_bytes, NULL), MG_OK);
    return s;
}

static bool is_open(int fd) {
    return fcntl(fd, F_GETFD) >= 0;
}

// --- the mapping ---

static void begins_as_nothing_but_zeros(void **state) {
    (void)state;
    static const mg_cell empty;
    mg_shm *s = make(0);
    for (uint32_t i = 0; i < MG_SHM_CELLS; i++) {
        assert_memory_equal(mg_shm_cell(s, i), &empty, sizeof empty);
        assert_int_equal((uintptr_t)mg_shm_cell(s, i) % 64, 0);
    }
    mg_shm_free(s);
    mg_shm_free(NULL);
}

static void has_as_much_room_for_a_cache_as_asked(void **state) {
    (void)state;
    size_t bytes = 1;
    mg_shm *s = make(0);
    assert_null(mg_shm_cache(s, &bytes));
    assert_int_equal(bytes, 0);
    mg_shm_free(s);
    s = make(5000);
    char *room = mg_shm_cache(s, &bytes);
    assert_int_equal(bytes, 8192);
    assert_int_equal((uintptr_t)room % 4096, 0);
    memset(room, 0xff, bytes);
    assert_int_equal(mg_shm_cell(s, MG_SHM_CELLS - 1)->pid, 0);
    assert_true(mg_lease_take(s, MG_STR("a"), 1));
    assert_int_equal(room[0], (char)0xff);
    mg_shm_free(s);
}

static void refuses_a_size_that_would_wrap_around(void **state) {
    (void)state;
    mg_error err = {""};
    mg_shm *s = (mg_shm *)&err;
    assert_int_equal(mg_shm_new(&s, SIZE_MAX - 100, &err), -EFBIG);
    assert_null(s);
    assert_string_equal(err.text, "shared memory: File too large");
}

static void its_file_keeps_its_size_and_is_closed_on_exec(void **state) {
    (void)state;
    mg_shm *s = make(0);
    int fd = mg_shm_fd(s);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(ftruncate(fd, 1 << 30), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    mg_shm_free(s);
    assert_false(is_open(fd));
}

static void what_one_writes_another_sees(void **state) {
    (void)state;
    mg_shm *a = make(5000);
    mg_shm *b = NULL;
    assert_int_equal(mg_shm_open(&b, dup(mg_shm_fd(a)), NULL), MG_OK);
    size_t a_bytes, b_bytes;
    char *a_room = mg_shm_cache(a, &a_bytes);
    char *b_room = mg_shm_cache(b, &b_bytes);
    assert_int_equal(a_bytes, b_bytes);
    a_room[a_bytes - 1] = 'x';
    assert_int_equal(b_room[b_bytes - 1], 'x');
    mg_shm_cell(b, 7)->pid = 42;
    assert_int_equal(mg_shm_cell(a, 7)->pid, 42);
    assert_true(mg_lease_take(a, MG_STR("job"), 1));
    assert_false(mg_lease_take(b, MG_STR("job"), 2));
    mg_shm_free(a);
    assert_false(mg_lease_take(b, MG_STR("job"), 2));
    mg_shm_free(b);
}

// --- strange memory ---

static void assert_refused(int fd, const char *why) {
    mg_error err = {""};
    mg_shm *s = (mg_shm *)&err;
    assert_int_equal(mg_shm_open(&s, fd, &err), MG_ESYNTAX);
    assert_null(s);
    assert_string_equal(err.text, why);
    assert_false(is_open(fd));
}

// Opens memory whose head differs in `n` bytes.
static void assert_refused_with(off_t at, const void *bytes, size_t n, const char *why) {
    mg_shm *s = make(5000);
    int fd = dup(mg_shm_fd(s));
    assert_int_equal(pwrite(fd, bytes, n, at), (ssize_t)n);
    assert_refused(fd, why);
    mg_shm_free(s);
}

static void refuses_what_another_program_made(void **state) {
    (void)state;
    assert_refused_with(MAGIC_AT, "Moongat", 8, "shared memory: it is something else");
    assert_refused_with(MAGIC_AT + 7, "e", 1, "shared memory: it is something else");
}

static void refuses_what_another_version_made(void **state) {
    (void)state;
    uint32_t version = MG_SHM_VERSION + 1;
    uint32_t cell_bytes = sizeof(mg_cell) - 64;
    const char *why = "shared memory: it was made by another version";
    assert_refused_with(VERSION_AT, &version, sizeof version, why);
    assert_refused_with(CELL_BYTES_AT, &cell_bytes, sizeof cell_bytes, why);
}

static void refuses_a_wrong_size(void **state) {
    (void)state;
    static const uint64_t sizes[] = {0, 1, 4096, (uint64_t)1 << 40, UINT64_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const char *why = "shared memory: its size is wrong";
        assert_refused_with(BYTES_AT, &sizes[i], sizeof sizes[i], why);
        assert_refused_with(CACHE_AT, &sizes[i], sizeof sizes[i], why);
    }
}

static void refuses_a_file_that_is_too_small(void **state) {
    (void)state;
    const char *why = "shared memory: it is too small";
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_refused(dup(fd), why);
    assert_int_equal(ftruncate(fd, 4096), 0);
    assert_refused(fd, why);
    assert_refused(-1, why);
}

// --- cells ---

static void a_new_worker_goes_on_with_the_counters_of_the_old(void **state) {
    (void)state;
    mg_shm *s = make(0);
    mg_cell *c = mg_shm_cell(s, 3);
    memset((void *)c, 0x11, sizeof *c);
    memset((void *)mg_shm_cell(s, 2), 0x22, sizeof *c);
    memset((void *)mg_shm_cell(s, 4), 0x44, sizeof *c);
    mg_shm_reset_cell(s, 3);
    mg_cell want = {.traffic = {.accepted = 0x1111111111111111,
                                .requests = 0x1111111111111111,
                                .bytes_in = 0x1111111111111111,
                                .bytes_out = 0x1111111111111111,
                                .failed_handshakes = 0x1111111111111111}};
    assert_memory_equal(c, &want, sizeof want);
    memset((void *)&want, 0x22, sizeof want);
    assert_memory_equal(mg_shm_cell(s, 2), &want, sizeof want);
    memset((void *)&want, 0x44, sizeof want);
    assert_memory_equal(mg_shm_cell(s, 4), &want, sizeof want);
    mg_shm_free(s);
}

// --- leases ---

static void a_holder_that_cannot_be_holds_nothing(void **state) {
    (void)state;
    mg_shm *s = make(0);
    assert_true(mg_lease_take(s, MG_STR("job"), 250));
    const uint32_t mine = 250;
    const uint32_t noise = 0xabcdef01;
    char *map = (char *)mg_shm_cell(s, 0);
    size_t bytes = sizeof(mg_cell) * MG_SHM_CELLS;
    char *at = memmem(map + bytes, 16 * MG_SHM_LEASES, &mine, sizeof mine);
    assert_non_null(at);
    memcpy(at, &noise, sizeof noise);
    assert_true(mg_lease_take(s, MG_STR("job"), 2));
    assert_false(mg_lease_take(s, MG_STR("job"), 1));
    mg_shm_free(s);
}

static void names_are_found_though_the_table_is_scribbled_on(void **state) {
    (void)state;
    mg_shm *s = make(0);
    char *table = (char *)mg_shm_cell(s, 0) + sizeof(mg_cell) * MG_SHM_CELLS;
    assert_true(mg_lease_take(s, MG_STR("job"), 1));
    mg_random random;
    mg_random_init(&random, 1);
    for (size_t i = 0; i < (size_t)16 * MG_SHM_LEASES; i++) {
        table[i] = (char)mg_random_u64(&random);
    }
    for (int i = 0; i < 50; i++) { // "job" is forgotten, but has a place again
        char name[8];
        snprintf(name, sizeof name, "job%d", i);
        assert_true(mg_lease_take(s, mg_str_of(name), 2));
        assert_false(mg_lease_take(s, mg_str_of(name), 1));
        mg_lease_drop(s, mg_str_of(name), 2);
        assert_true(mg_lease_take(s, mg_str_of(name), 1));
    }
    mg_shm_free(s);
}

static void what_others_check_is_mended(void **state) {
    (void)state;
    mg_shm *other;
    mg_error err;
    mg_shm *s = make(4096);
    memset((char *)mg_shm_cell(s, 0) - 64, 'x', 64);
    assert_int_equal(mg_shm_open(&other, dup(mg_shm_fd(s)), &err), MG_ESYNTAX);
    mg_shm_mend(s);
    assert_int_equal(mg_shm_open(&other, dup(mg_shm_fd(s)), &err), MG_OK);
    mg_shm_free(other);
    mg_shm_free(s);
}

static void a_lease_has_one_holder(void **state) {
    (void)state;
    mg_shm *s = make(0);
    assert_true(mg_lease_take(s, MG_STR("job"), 1));
    assert_true(mg_lease_take(s, MG_STR("job"), 1));
    assert_false(mg_lease_take(s, MG_STR("job"), 2));
    assert_true(mg_lease_take(s, MG_STR("jo"), 2));
    mg_lease_drop(s, MG_STR("job"), 1);
    assert_false(mg_lease_take(s, MG_STR("jo"), 1));
    assert_true(mg_lease_take(s, MG_STR("job"), 2));
    assert_true(mg_lease_take(s, (mg_str){NULL, 0}, 3));
    assert_false(mg_lease_take(s, MG_STR(""), 2));
    mg_shm_free(s);
}

static void only_the_holder_drops(void **state) {
    (void)state;
    mg_shm *s = make(0);
    assert_true(mg_lease_take(s, MG_STR("job"), 1));
    mg_lease_drop(s, MG_STR("job"), 2);
    mg_lease_drop_all(s, 2);
    assert_false(mg_lease_take(s, MG_STR("job"), 2));
    mg_lease_drop(s, MG_STR("job"), 1);
    mg_lease_drop(s, MG_STR("job"), 1);
    assert_true(mg_lease_take(s, MG_STR("job"), 2));
    mg_shm_free(s);
}

static mg_str name_of(char name[16], int i) {
    return (mg_str){name, (size_t)snprintf(name, 16, "job %d", i)};
}

static void a_full_table_refuses_new_names_and_serves_the_old(void **state) {
    (void)state;
    char name[16];
    mg_shm *s = make(0);
    for (int i = 0; i < MG_SHM_LEASES; i++) {
        assert_true(mg_lease_take(s, name_of(name, i), 1 + (uint32_t)i % 2));
    }
    assert_false(mg_lease_take(s, MG_STR("new"), 1));
    mg_lease_drop(s, MG_STR("new"), 1);
    mg_lease_drop_all(s, 1);
    assert_false(mg_lease_take(s, MG_STR("new"), 1));
    for (int i = 0; i < MG_SHM_LEASES; i++) {
        assert_int_equal(mg_lease_take(s, name_of(name, i), 3), i % 2 == 0);
    }
    mg_shm_free(s);
}

static void dropping_what_was_never_taken_needs_no_place(void **state) {
    (void)state;
    char name[16];
    mg_shm *s = make(0);
    for (int i = 0; i < MG_SHM_LEASES; i++) {
        mg_lease_drop(s, name_of(name, i), 1);
    }
    assert_true(mg_lease_take(s, MG_STR("new"), 1));
    mg_shm_free(s);
}

// --- processes that die at any instruction ---

// In the room of the cache.
typedef struct witness {
    _Atomic uint32_t owner[NAMES]; // 0: nobody
    _Atomic uint32_t broken;       // how often somebody else was in
} witness;

static witness *seen;
static pid_t children[WORKERS];

static int setup_processes(void **state) {
    mg_shm *s = make(sizeof(witness));
    size_t bytes;
    seen = mg_shm_cache(s, &bytes);
    *state = s;
    alarm(60);
    return 0;
}

static int teardown_processes(void **state) {
    for (int i = 0; i < WORKERS; i++) {
        if (children[i] > 0) {
            kill(children[i], SIGKILL);
            waitpid(children[i], NULL, 0);
            children[i] = 0;
        }
    }
    mg_shm_free(*state);
    return 0;
}

static void swap_owner(int name, uint32_t from, uint32_t to) {
    if (!atomic_compare_exchange_strong(&seen->owner[name], &from, to)) {
        atomic_fetch_add(&seen->broken, 1);
    }
}

static void compete(mg_shm *s, uint32_t slot) {
    char text[16];
    mg_cell *c = mg_shm_cell(s, slot);
    for (int i = (int)slot;; i = (i + 1) % NAMES) {
        if (mg_lease_take(s, name_of(text, i), slot + 1)) {
            swap_owner(i, 0, slot + 1);
            c->traffic.requests++;
            swap_owner(i, slot + 1, 0);
            mg_lease_drop(s, name_of(text, i), slot + 1);
        }
        if (atomic_fetch_add(&c->pulse.progress, 1) % 64 == 63) {
            sched_yield(); // else whoever has no processor waits for a whole slice
        }
    }
}

static void hold_first(mg_shm *s, uint32_t slot) {
    char text[16];
    bool got = mg_lease_take(s, name_of(text, 0), slot + 1);
    mg_shm_cell(s, slot)->generation = got ? 2 : 1;
    atomic_store(&mg_shm_cell(s, slot)->pulse.progress, 1);
    for (;;) {
        pause();
    }
}

static void start(mg_shm *s, uint32_t slot, void (*work)(mg_shm *s, uint32_t slot)) {
    pid_t parent = getpid();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent) {
            work(s, slot);
        }
        _exit(1);
    }
    children[slot] = pid;
}

static void await_progress(mg_shm *s, uint32_t slot, uint64_t least) {
    while (atomic_load(&mg_shm_cell(s, slot)->pulse.progress) < least) {
        sched_yield();
    }
}

// As the master does it. The mark goes first, while nobody else can have the lease.
static void end(mg_shm *s, uint32_t slot) {
    char text[16];
    int status = 0;
    kill(children[slot], SIGKILL);
    assert_int_equal(waitpid(children[slot], &status, 0), children[slot]);
    children[slot] = 0;
    assert_true(WIFSIGNALED(status));
    for (int i = 0; i < NAMES; i++) {
        uint32_t owner = slot + 1;
        if (atomic_load(&seen->owner[i]) == owner) {
            assert_false(mg_lease_take(s, name_of(text, i), OBSERVER));
            atomic_compare_exchange_strong(&seen->owner[i], &owner, 0);
        }
    }
    mg_lease_drop_all(s, slot + 1);
    mg_shm_reset_cell(s, slot);
}

static void the_lease_of_a_dead_worker_goes_to_another(void **state) {
    mg_shm *s = *state;
    start(s, 0, hold_first);
    await_progress(s, 0, 1);
    assert_int_equal(mg_shm_cell(s, 0)->generation, 2);
    start(s, 1, hold_first);
    await_progress(s, 1, 1);
    assert_int_equal(mg_shm_cell(s, 1)->generation, 1);
    end(s, 0);
    start(s, 2, hold_first);
    await_progress(s, 2, 1);
    assert_int_equal(mg_shm_cell(s, 2)->generation, 2);
    assert_false(mg_lease_take(s, MG_STR("job 0"), OBSERVER));
}

static uint64_t next_random(void) {
    static uint64_t x = 88172645463325252u; // xorshift64
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

static void no_lease_is_held_twice_whoever_dies(void **state) {
    mg_shm *s = *state;
    uint64_t requests[WORKERS] = {0};
    for (uint32_t i = 0; i < WORKERS; i++) {
        start(s, i, compete);
    }
    for (int i = 0; i < KILLS; i++) {
        uint32_t victim = (uint32_t)(next_random() % WORKERS);
        await_progress(s, victim, 1 + next_random() % 64);
        end(s, victim);
        uint64_t now = mg_shm_cell(s, victim)->traffic.requests;
        assert_true(now >= requests[victim]);
        requests[victim] = now;
        start(s, victim, compete);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        end(s, i);
        assert_true(mg_shm_cell(s, i)->traffic.requests > 0);
    }
    assert_int_equal(atomic_load(&seen->broken), 0);
    for (int i = 0; i < NAMES; i++) {
        char text[16];
        assert_int_equal(atomic_load(&seen->owner[i]), 0);
        assert_true(mg_lease_take(s, name_of(text, i), OBSERVER));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_as_nothing_but_zeros),
        cmocka_unit_test(has_as_much_room_for_a_cache_as_asked),
        cmocka_unit_test(refuses_a_size_that_would_wrap_around),
        cmocka_unit_test(its_file_keeps_its_size_and_is_closed_on_exec),
        cmocka_unit_test(what_one_writes_another_sees),
        cmocka_unit_test(refuses_what_another_program_made),
        cmocka_unit_test(refuses_what_another_version_made),
        cmocka_unit_test(refuses_a_wrong_size),
        cmocka_unit_test(refuses_a_file_that_is_too_small),
        cmocka_unit_test(a_new_worker_goes_on_with_the_counters_of_the_old),
        cmocka_unit_test(a_holder_that_cannot_be_holds_nothing),
        cmocka_unit_test(names_are_found_though_the_table_is_scribbled_on),
        cmocka_unit_test(what_others_check_is_mended),
        cmocka_unit_test(a_lease_has_one_holder),
        cmocka_unit_test(only_the_holder_drops),
        cmocka_unit_test(a_full_table_refuses_new_names_and_serves_the_old),
        cmocka_unit_test(dropping_what_was_never_taken_needs_no_place),
        cmocka_unit_test_setup_teardown(the_lease_of_a_dead_worker_goes_to_another, setup_processes,
                                        teardown_processes),
        cmocka_unit_test_setup_teardown(no_lease_is_held_twice_whoever_dies, setup_processes,
                                        teardown_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
