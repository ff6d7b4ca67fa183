#include "gate/control_client.h"

#include "unit.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

// A server of one visitor, in a thread.
typedef struct server {
    int fd;
    pthread_t thread;
    pthread_t client;
    long client_id;
    mg_str reply;
    size_t piece;       // bytes a write; 0: all
    bool interrupts;    // the client, while it waits
    bool stays_a_while; // behind the reply
    _Atomic bool is_gone;
    char asked[256];
} server;

static char folder[64];
static char path[108];
static server srv;
static mg_cli cli;
static bool was_gone; // the server, when the command was done
static mg_buf out;    // what the client printed
static mg_buf err;

static void listen_here(void) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, path, strlen(path));
    srv.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(srv.fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(srv.fd, 1), 0);
}

static void on_signal(int number) {
    (void)number;
}

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/moongate-client-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/s", folder);
    srv = (server){.fd = -1, .client = pthread_self(), .client_id = syscall(SYS_gettid)};
    cli = (mg_cli){.conf = "conf/my.lua"};
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    if (srv.fd >= 0) {
        close(srv.fd);
    }
    mg_buf_deinit(&out);
    mg_buf_deinit(&err);
    unlink(path);
    return rmdir(folder);
}

// --- the server's thread ---

// In the kernel's state S: it waits in its recv, for nothing else can hold it up.
static void await_sleep(long thread) {
    char name[64];
    char line[256];
    snprintf(name, sizeof name, "/proc/self/task/%ld/stat", thread);
    for (;;) {
        FILE *f = fopen(name, "re");
        const char *end = f != NULL && fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
        if (f != NULL) {
            fclose(f);
        }
        if (end == NULL || end[2] == 'S') {
            return;
        }
        sched_yield();
    }
}

static void read_question(int fd) {
    size_t n = 0;
    while (n < sizeof srv.asked - 1 && (n == 0 || srv.asked[n - 1] != '\n')) {
        ssize_t got = read(fd, srv.asked + n, 1);
        if (got <= 0) {
            return;
        }
        n++;
    }
}

static void write_reply(int fd) {
    size_t piece = srv.piece == 0 ? srv.reply.n : srv.piece;
    for (size_t at = 0; at < srv.reply.n; at += piece) {
        size_t n = srv.reply.n - at < piece ? srv.reply.n - at : piece;
        if (send(fd, srv.reply.p + at, n, MSG_NOSIGNAL) < 0) {
            return;
        }
    }
}

static void *serve(void *arg) {
    int fd = accept4(srv.fd, NULL, NULL, SOCK_CLOEXEC);
    (void)arg;
    read_question(fd);
    if (srv.interrupts) {
        await_sleep(srv.client_id);
        pthread_kill(srv.client, SIGUSR1);
        await_sleep(srv.client_id);
    }
    write_reply(fd);
    if (srv.stays_a_while) {
        await_sleep(srv.client_id);
        atomic_store(&srv.is_gone, true);
    }
    close(fd);
    return NULL;
}

// --- the client, its output caught ---

static int capture(int fd, FILE *into) {
    fflush(stdout);
    fflush(stderr);
    int before = dup(fd);
    dup2(fileno(into), fd);
    return before;
}

static void let_go(int fd, int before, FILE *from, mg_buf *text) {
    fflush(stdout);
    fflush(stderr);
    dup2(before, fd);
    close(before);
    rewind(from);
    mg_buf_clear(text);
    for (size_t n = 1; n > 0;) {
        n = fread(mg_buf_reserve(text, 65536), 1, 65536, from);
        text->n += n;
    }
    fclose(from);
}

static int command_at(const char *where) {
    FILE *files[2] = {tmpfile(), tmpfile()};
    assert_true(files[0] != NULL && files[1] != NULL);
    int first = capture(1, files[0]);
    int second = capture(2, files[1]);
    int status = mg_control_command(&cli, where);
    was_gone = atomic_load(&srv.is_gone);
    let_go(2, second, files[1], &err);
    let_go(1, first, files[0], &out);
    return status;
}

static int command_answered(mg_str reply) {
    srv.reply = reply;
    if (srv.fd < 0) {
        listen_here();
    }
    assert_int_equal(pthread_create(&srv.thread, NULL, serve, NULL), 0);
    int status = command_at(path);
    pthread_join(srv.thread, NULL);
    return status;
}

#define PRINTED(want)    assert_text((want), mg_buf_str(&out))
#define COMPLAINED(want) assert_text((want), mg_buf_str(&err))

static void shows(const char *part) {
    mg_buf_append_char(&out, '\0');
    if (strstr(out.p, part) == NULL) {
        fail_msg("%s: not in:\n%s", part, out.p);
    }
    out.n--;
}

// --- what is asked ---

static void each_command_asks_with_its_options(void **state) {
    (void)state;
    static const char *const want[] = {
        "{\"command\":\"reload\",\"spec\":false,\"dry_run\":false,\"now\":false,\"code\":\"\"}\n",
        "{\"command\":\"reload\",\"spec\":true,\"dry_run\":true,\"now\":false,\"code\":\"\"}\n",
        "{\"command\":\"stop\",\"spec\":false,\"dry_run\":false,\"now\":false,\"code\":\"\"}\n",
        "{\"command\":\"stop\",\"spec\":false,\"dry_run\":false,\"now\":true,\"code\":\"\"}\n",
        "{\"command\":\"status\",\"spec\":false,\"dry_run\":false,\"now\":false,\"code\":\"\"}\n",
    };
    const mg_cli clis[] = {
        {.command = MG_COMMAND_RELOAD},
        {.command = MG_COMMAND_RELOAD, .specs = true, .dry_run = true},
        {.command = MG_COMMAND_STOP},
        {.command = MG_COMMAND_STOP, .now = true},
        {.command = MG_COMMAND_STATUS},
    };
    for (size_t i = 0; i < sizeof clis / sizeof *clis; i++) {
        cli = clis[i];
        memset(srv.asked, 0, sizeof srv.asked);
        command_answered(MG_STR("{\"ok\":false,\"text\":\"-\"}"));
        assert_string_equal(srv.asked, want[i]);
    }
}

// --- reload ---

static void a_reload_shows_what_the_server_says(void **state) {
    (void)state;
    cli.command = MG_COMMAND_RELOAD;
    assert_int_equal(
        command_answered(MG_STR("{\"ok\":true,\"text\":\"generation 3\\n  ~ a.lua\"}")), 0);
    PRINTED("generation 3\n  ~ a.lua\n");
    COMPLAINED("");
    assert_int_equal(command_answered(MG_STR("{\"ok\":true,\"text\":\"with an end\\n\"}\n")), 0);
    PRINTED("with an end\n");
}

static void a_refused_reload_is_a_fault(void **state) {
    (void)state;
    cli.command = MG_COMMAND_RELOAD;
    assert_int_equal(command_answered(MG_STR("{\"ok\":false,\"text\":\"lua/app.lua:3: no\"}\n")),
                     1);
    PRINTED("");
    COMPLAINED("lua/app.lua:3: no\n");
}

static void an_answer_may_come_in_pieces(void **state) {
    (void)state;
    cli.command = MG_COMMAND_RELOAD;
    srv.piece = 1;
    assert_int_equal(command_answered(MG_STR("{\"ok\":true,\"text\":\"generation 3\"}\n")), 0);
    PRINTED("generation 3\n");
}

static void a_signal_does_not_break_the_wait_off(void **state) {
    (void)state;
    cli.command = MG_COMMAND_RELOAD;
    srv.interrupts = true;
    assert_int_equal(command_answered(MG_STR("{\"ok\":true,\"text\":\"generation 3\"}\n")), 0);
    PRINTED("generation 3\n");
    COMPLAINED("");
}

// --- stop ---

static void a_stop_ends_with_the_server(void **state) {
    (void)state;
    cli.command = MG_COMMAND_STOP;
    srv.stays_a_while = true;
    assert_int_equal(command_answered(MG_STR("{\"ok\":true,\"text\":\"stopping\"}\n")), 0);
    assert_true(was_gone);
    PRINTED("stopped\n");
    COMPLAINED("");
}

static void a_refused_stop_is_a_fault(void **state) {
    (void)state;
    cli.command = MG_COMMAND_STOP;
    assert_int_equal(command_answered(MG_STR("{\"ok\":false,\"text\":\"no such command\"}\n")), 1);
    PRINTED("");
    COMPLAINED("no such command\n");
}

// --- status ---

#define STATUS                                                                                     \
    "{\"ok\":true,\"version\":\"0.1.0\",\"conf\":\"conf/my.lua\",\"pid\":7,\"uptime\":12.3,"       \
    "\"generation\":3,\"listen\":[\"127.0.0.1:80\"],\"workers\":[{\"worker\":1,\"pid\":8,"         \
    "\"state\":\"serving\",\"uptime\":12.1,\"generation\":3,\"connections\":2,\"requests\":10,"    \
    "\"memory\":9437184,\"lua_memory\":1048576,\"restarts\":0,\"generations\":[]}]}\n"

static void a_status_is_a_table(void **state) {
    (void)state;
    cli.command = MG_COMMAND_STATUS;
    assert_int_equal(command_answered(MG_STR(STATUS)), 0);
    shows("moongate 0.1.0, pid 7, conf/my.lua, up 12.3 s, generation 3\n");
    shows("listening on 127.0.0.1:80\n");
    shows("  serving  ");
    assert_int_equal(out.p[out.n - 1], '\n');
    COMPLAINED("");
}

static void a_status_for_programs_is_what_the_server_says(void **state) {
    (void)state;
    cli.command = MG_COMMAND_STATUS;
    cli.json = true;
    assert_int_equal(command_answered(MG_STR(STATUS)), 0);
    PRINTED(STATUS);
    COMPLAINED("");
}

static void a_refused_status_is_a_fault(void **state) {
    (void)state;
    cli.command = MG_COMMAND_STATUS;
    for (int json = 0; json < 2; json++) {
        cli.json = json == 1;
        assert_int_equal(command_answered(MG_STR("{\"ok\":false,\"text\":\"not now\"}\n")), 1);
        PRINTED("");
        COMPLAINED("not now\n");
    }
}

static void a_long_status_is_whole(void **state) {
    (void)state;
    mg_buf long_one = {0};
    cli.command = MG_COMMAND_STATUS;
    cli.json = true;
    mg_buf_append_str(&long_one, MG_STR("{\"ok\":true,"));
    memset(mg_buf_reserve(&long_one, 300000), ' ', 300000);
    long_one.n += 300000;
    mg_buf_append_str(&long_one, MG_STR("\"pid\":7,\"workers\":[]}\n"));
    assert_int_equal(command_answered(mg_buf_str(&long_one)), 0);
    assert_int_equal(out.n, long_one.n);
    assert_memory_equal(out.p, long_one.p, long_one.n);
    mg_buf_deinit(&long_one);
}

// --- what goes wrong ---

static void an_answer_that_is_none_is_a_fault_of_each_command(void **state) {
    (void)state;
    static const char *const replies[] = {"", "\n", "nonsense", "[]", "{}", "{\"ok\":true"};
    const mg_cli clis[] = {
        {.command = MG_COMMAND_RELOAD},
        {.command = MG_COMMAND_STATUS},
        {.command = MG_COMMAND_STATUS, .json = true},
    };
    for (size_t i = 0; i < sizeof clis / sizeof *clis; i++) {
        for (size_t j = 0; j < sizeof replies / sizeof *replies; j++) {
            cli = clis[i];
            assert_int_equal(command_answered(mg_str_of(replies[j])), 1);
            PRINTED("");
            COMPLAINED("moongate: the server's answer is not understood\n");
        }
    }
}

static void an_answer_that_is_cut_off_is_a_fault(void **state) {
    (void)state;
    cli.command = MG_COMMAND_RELOAD;
    assert_int_equal(command_answered(MG_STR("{\"ok\":true,\"text\":\"generation 3")), 1);
    COMPLAINED("moongate: the server's answer is not understood\n");
    cli = (mg_cli){.command = MG_COMMAND_STATUS, .json = true};
    assert_int_equal(command_answered(MG_STR("{\"ok\":true,\"workers\":[{\"worker\":1,")), 1);
    PRINTED("");
    COMPLAINED("moongate: the server's answer is not understood\n");
}

static void an_answer_without_an_end_is_broken_off(void **state) {
    (void)state;
    size_t n = 9u << 20;
    char *spaces = malloc(n);
    char want[160];
    assert_non_null(spaces);
    memset(spaces, ' ', n);
    cli.command = MG_COMMAND_STATUS;
    assert_int_equal(command_answered((mg_str){spaces, n}), 1);
    free(spaces);
    snprintf(want, sizeof want, "moongate: %s: File too large\n", path);
    PRINTED("");
    COMPLAINED(want);
}

static void that_there_is_no_server_is_said_with_both_names(void **state) {
    (void)state;
    char want[256];
    cli.command = MG_COMMAND_STATUS;
    snprintf(want, sizeof want,
             "moongate: no server runs for conf/my.lua (nobody answers at %s); start one with "
             "moongate run\n",
             path);
    assert_int_equal(command_at(path), 1);
    PRINTED("");
    COMPLAINED(want);
    listen_here(); // one that died leaves its socket behind
    close(srv.fd);
    srv.fd = -1;
    assert_int_equal(command_at(path), 1);
    COMPLAINED(want);
}

static void a_path_that_no_address_holds_is_refused(void **state) {
    (void)state;
    char longer[120];
    char want[200];
    memset(longer, 'x', sizeof longer);
    longer[0] = '/';
    longer[108] = '\0';
    snprintf(want, sizeof want, "moongate: %s: File name too long\n", longer);
    assert_int_equal(command_at(longer), 1);
    PRINTED("");
    COMPLAINED(want);
    longer[107] = '\0';
    assert_int_equal(command_at(longer), 1);
    mg_buf_append_char(&err, '\0');
    assert_non_null(strstr(err.p, "no server runs for"));
}

int main(void) {
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(each_command_asks_with_its_options),
        T(a_reload_shows_what_the_server_says),
        T(a_refused_reload_is_a_fault),
        T(an_answer_may_come_in_pieces),
        T(a_signal_does_not_break_the_wait_off),
        T(a_stop_ends_with_the_server),
        T(a_refused_stop_is_a_fault),
        T(a_status_is_a_table),
        T(a_status_for_programs_is_what_the_server_says),
        T(a_refused_status_is_a_fault),
        T(a_long_status_is_whole),
        T(an_answer_that_is_none_is_a_fault_of_each_command),
        T(an_answer_that_is_cut_off_is_a_fault),
        T(an_answer_without_an_end_is_broken_off),
        T(that_there_is_no_server_is_said_with_both_names),
        T(a_path_that_no_address_holds_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
