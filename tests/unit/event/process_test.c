#include "event/process.h"

#include "wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

static mg_loop *loop;
static mg_processes *ps;
static int exits;
static int last_status;

static int setup(void **state) {
    (void)state;
    alarm(30);
    exits = 0;
    loop = new_loop(false);
    return mg_processes_open(&ps, loop);
}

static int teardown(void **state) {
    (void)state;
    mg_processes_close(ps);
    assert_int_equal(mg_loop_free(loop), 0);
    return 0;
}

static void on_exit_count(void *arg, mg_process *p, int wait_status) {
    assert_ptr_equal(arg, &exits);
    assert_int_equal(mg_process_kill(p, SIGKILL), -ESRCH);
    last_status = wait_status;
    exits++;
}

static mg_process_options shell(char *script) {
    static char *argv[4];
    argv[0] = "sh";
    argv[1] = "-c";
    argv[2] = script;
    return (mg_process_options){.file = "/bin/sh", .argv = argv, .in = -1, .out = -1, .err = -1};
}

static mg_process *start(const mg_process_options *o) {
    mg_process *p = NULL;
    assert_int_equal(mg_process_start(&p, ps, o, on_exit_count, &exits), 0);
    return p;
}

static mg_process *start_shell(char *script) {
    mg_process_options o = shell(script);
    return start(&o);
}

// Leaves it to the reaper.
static void wait_for_zombie(int pid) {
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

static int fork_stranger(void) {
    int pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    wait_for_zombie(pid);
    return pid;
}

static int memory_file(const char *name) {
    int fd = memfd_create(name, MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

// The text that the child of `o` writes to its standard output.
static const char *output_of(mg_process_options o) {
    static char text[8192];
    o.out = memory_file("output");
    int before = exits;
    start(&o);
    turn_until(loop, &exits, before + 1);
    assert_int_equal(last_status, 0);
    ssize_t n = pread(o.out, text, sizeof text - 1, 0);
    assert_true(n >= 0);
    text[n] = '\0';
    close(o.out);
    return text;
}

static int open_descriptors(void) {
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(d) != NULL) {
        n++;
    }
    closedir(d);
    return n;
}

static int count_of(const char *text, const char *word) {
    int n = 0;
    while ((text = strstr(text, word)) != NULL) {
        text++;
        n++;
    }
    return n;
}

static void told(int wait_status, const char *want) {
    char text[64];
    mg_process_describe(wait_status, text, sizeof text);
    assert_string_equal(text, want);
}

static void an_exit_is_told_once_with_its_status(void **state) {
    (void)state;
    mg_process *p = start_shell("exit 3");
    assert_true(mg_process_pid(p) > 0);
    mg_loop_run(loop);
    assert_int_equal(exits, 1);
    told(last_status, "exited with status 3");
}

static void a_living_child_keeps_the_loop_running_until_it_is_killed(void **state) {
    (void)state;
    mg_process *p = start_shell("exec sleep 60");
    assert_int_equal(mg_loop_turn(loop, false, false, 0), MG_LOOP_MOVED);
    assert_int_equal(mg_process_kill(p, 0), 0);
    assert_int_equal(mg_process_kill(p, 12345), -EINVAL);
    assert_int_equal(mg_process_kill(p, SIGKILL), 0);
    mg_loop_run(loop);
    assert_int_equal(exits, 1);
    told(last_status, "was killed by signal 9 (Killed)");
}

static void an_open_reaper_alone_does_not_keep_the_loop_running(void **state) {
    (void)state;
    mg_loop_run(loop);
    assert_int_equal(mg_loop_turn(loop, true, false, 0), MG_LOOP_IDLE);
}

static void children_that_ended_before_the_first_turn_are_all_told(void **state) {
    (void)state;
    enum { MANY = 20 };
    for (int i = 0; i < MANY; i++) {
        wait_for_zombie(mg_process_pid(start_shell("exit 0")));
    }
    mg_loop_run(loop);
    assert_int_equal(exits, MANY);
}

static void descriptors_arrive_in_order_even_if_their_numbers_are_targets(void **state) {
    (void)state;
    int a = memory_file("file-a");
    int b = memory_file("file-b");
    int before = open_descriptors();
    int fds[64];
    size_t n = (size_t)b + 1 - 3;
    assert_in_range(n, 2, 64);
    for (size_t i = 0; i < n; i++) {
        fds[i] = a;
    }
    fds[a - 3] = b;
    mg_process_options o = shell("readlink /proc/$$/fd/*; exit 0");
    o.fds = fds;
    o.fd_count = n;
    const char *text = output_of(o);
    assert_int_equal(count_of(text, "file-b"), 1);
    assert_int_equal(count_of(text, "file-a"), (int)n - 1);

    char script[64];
    snprintf(script, sizeof script, "readlink /proc/$$/fd/%d /proc/$$/fd/%d", a, b);
    mg_process_options two = shell(script);
    two.fds = fds;
    two.fd_count = n;
    assert_string_equal(output_of(two), "/memfd:file-b (deleted)\n/memfd:file-a (deleted)\n");
    assert_int_equal(open_descriptors(), before);
    close(a);
    close(b);
}

static void standard_descriptors_and_the_environment_are_as_asked(void **state) {
    (void)state;
    char *env[] = {"MOON=full", NULL};
    mg_process_options o = shell("read line; echo \"$line $MOON ${HOME-none}\"; echo bad >&2");
    o.env = env;
    o.in = memory_file("input");
    o.err = memory_file("errors");
    assert_int_equal(pwrite(o.in, "hello\n", 6, 0), 6);
    assert_string_equal(output_of(o), "hello full none\n");
    char text[8] = {0};
    assert_int_equal(pread(o.err, text, sizeof text - 1, 0), 4);
    assert_string_equal(text, "bad\n");
    close(o.in);
    close(o.err);
}

static void the_child_has_no_signal_blocked_or_ignored(void **state) {
    (void)state;
    sigset_t set;
    sigset_t old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &old);
    void (*was)(int) = signal(SIGUSR2, SIG_IGN);
    char *argv[] = {"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status", NULL};
    mg_process_options o = {.file = "/bin/grep", .argv = argv, .in = -1, .out = -1, .err = -1};
    unsigned long blocked = 1;
    unsigned long ignored = 1;
    assert_int_equal(sscanf(output_of(o), "SigBlk: %lx SigIgn: %lx", &blocked, &ignored), 2);
    assert_int_equal(blocked, 0);
    assert_int_equal(ignored & 0x7fffffff, 0); // glibc ignores 32 and 33, its own, in the child
    signal(SIGUSR2, was);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

static void what_cannot_be_started_is_refused_and_leaves_nothing(void **state) {
    (void)state;
    mg_process *p = NULL;
    int before = open_descriptors();
    mg_process_options o = shell("exit 0");
    o.file = "/nowhere/program";
    o.in = 0;
    assert_int_equal(mg_process_start(&p, ps, &o, on_exit_count, &exits), -ENOENT);
    o = shell("exit 0");
    int fds[] = {0, -1};
    o.fds = fds;
    o.fd_count = 2;
    assert_int_equal(mg_process_start(&p, ps, &o, on_exit_count, &exits), -EBADF);
    mg_loop_run(loop);
    assert_int_equal(exits, 0);
    assert_null(p);
    assert_int_equal(open_descriptors(), before);
}

static void a_stranger_is_reaped_without_a_word(void **state) {
    (void)state;
    int pid = fork_stranger();
    while (kill(pid, 0) == 0) {
        mg_loop_turn(loop, false, false, 0);
    }
    assert_int_equal(errno, ESRCH);
    assert_int_equal(exits, 0);
}

static void who_ended_before_the_reaper_came_is_reaped_too(void **state) {
    (void)state;
    mg_processes_close(ps);
    turn_times(loop, 2);
    int pid = fork_stranger();
    assert_int_equal(mg_processes_open(&ps, loop), 0);
    assert_int_equal(kill(pid, 0), -1);
}

static void a_blocked_sigchld_is_let_through(void **state) {
    (void)state;
    mg_processes_close(ps);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    assert_int_equal(mg_processes_open(&ps, loop), 0);
    start_shell("exit 0");
    mg_loop_run(loop);
    assert_int_equal(exits, 1);
}

static void closing_forgets_the_living(void **state) {
    (void)state;
    int pid = mg_process_pid(start_shell("exec sleep 60"));
    mg_processes_close(ps);
    ps = NULL;
    mg_loop_run(loop);
    assert_int_equal(exits, 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void on_exit_close(void *arg, mg_process *p, int wait_status) {
    on_exit_count(arg, p, wait_status);
    mg_processes_close(ps);
    ps = NULL;
}

static void closing_inside_on_exit_silences_the_others(void **state) {
    (void)state;
    mg_process *p;
    mg_process_options o = shell("exit 0");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mg_process_start(&p, ps, &o, on_exit_close, &exits), 0);
        wait_for_zombie(mg_process_pid(p));
    }
    mg_loop_run(loop);
    assert_int_equal(exits, 1);
}

static void on_exit_restart(void *arg, mg_process *p, int wait_status) {
    on_exit_count(arg, p, wait_status);
    start_shell("exit 9");
}

static void a_child_may_be_started_inside_on_exit(void **state) {
    (void)state;
    mg_process *p;
    mg_process_options o = shell("exit 0");
    assert_int_equal(mg_process_start(&p, ps, &o, on_exit_restart, &exits), 0);
    mg_loop_run(loop);
    assert_int_equal(exits, 2);
    told(last_status, "exited with status 9");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void what_was_given_stays_with_the_process(void **state) {
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(fcntl(fds[0], F_GETFD), 0);
    mg_process_seal();
    assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(fds[1], F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(STDERR_FILENO, F_GETFD), 0);
    close(fds[0]);
    close(fds[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_exit_is_told_once_with_its_status),
        TEST(a_living_child_keeps_the_loop_running_until_it_is_killed),
        TEST(an_open_reaper_alone_does_not_keep_the_loop_running),
        TEST(children_that_ended_before_the_first_turn_are_all_told),
        TEST(descriptors_arrive_in_order_even_if_their_numbers_are_targets),
        TEST(standard_descriptors_and_the_environment_are_as_asked),
        TEST(the_child_has_no_signal_blocked_or_ignored),
        TEST(what_cannot_be_started_is_refused_and_leaves_nothing),
        TEST(a_stranger_is_reaped_without_a_word),
        TEST(who_ended_before_the_reaper_came_is_reaped_too),
        TEST(a_blocked_sigchld_is_let_through),
        TEST(closing_forgets_the_living),
        TEST(closing_inside_on_exit_silences_the_others),
        TEST(a_child_may_be_started_inside_on_exit),
        TEST(what_was_given_stays_with_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
