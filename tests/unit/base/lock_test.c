#include "base/lock.h"

#include "unit.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int setup(void **state) {
    mg_lock *l = mmap(NULL, sizeof *l, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(l, MAP_FAILED);
    *state = l;
    return 0;
}

static int teardown(void **state) {
    munmap(*state, sizeof(mg_lock));
    return 0;
}

// A child that has taken it.
static pid_t holder(mg_lock *l) {
    int told[2];
    char byte;
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(30);
        if (mg_lock_take(l) == MG_LOCK_TAKEN && write(told[1], "x", 1) == 1) {
            pause();
        }
        _exit(1);
    }
    assert_int_equal(read(told[0], &byte, 1), 1);
    close(told[0]);
    close(told[1]);
    return pid;
}

static void is_had_by_one_at_a_time(void **state) {
    mg_lock *l = *state;
    assert_int_equal(mg_lock_take(l), MG_LOCK_TAKEN);
    mg_lock_drop(l);
    pid_t pid = holder(l);
    assert_int_equal(mg_lock_take(l), MG_LOCK_BUSY);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void goes_over_from_the_dead(void **state) {
    mg_lock *l = *state;
    pid_t pid = holder(l);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(mg_lock_take(l), MG_LOCK_INHERITED);
    mg_lock_drop(l);
    assert_int_equal(mg_lock_take(l), MG_LOCK_TAKEN);
}

static void goes_over_from_nobody(void **state) {
    mg_lock *l = *state;
    atomic_store(&l->word, 0x1234);
    assert_int_equal(mg_lock_take(l), MG_LOCK_INHERITED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_had_by_one_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(goes_over_from_the_dead, setup, teardown),
        cmocka_unit_test_setup_teardown(goes_over_from_nobody, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
