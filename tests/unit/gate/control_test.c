#include "gate/control.h"

#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { TURNS = 200, VISITORS = 32 };

static mg_loop *loop;
static mg_control *control;
static char folder[40];
static char path[64];
static mg_reload_request asked; // the last reload
static int reloads, stops, stops_now;

static void on_status(void *arg, mg_buf *out) {
    assert_ptr_equal(arg, &control);
    mg_buf_append_str(out, MG_STR("{\"ok\":true}\n"));
}

static void on_reload(void *arg, const mg_reload_request *r) {
    assert_ptr_equal(arg, &control);
    reloads++;
    asked = *r;
}

static void on_evaluate(void *arg, mg_str code, void (*reply)(void *arg, bool ok, mg_str text),
                        void *reply_arg) {
    assert_ptr_equal(arg, &control);
    reply(reply_arg, !mg_str_eq(code, MG_STR("bad")), code);
}

static void on_stop(void *arg, bool now) {
    assert_ptr_equal(arg, &control);
    stops++;
    stops_now += now;
}

static const mg_control_events events = {on_status, on_reload, on_evaluate, on_stop};

static int set_up(void **state) {
    mg_error err;
    (void)state;
    reloads = stops = stops_now = 0;
    strcpy(folder, "/tmp/moongate_test.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/control", folder);
    assert_int_equal(mg_loop_new(&loop, &(mg_loop_options){0}), MG_OK);
    assert_int_equal(mg_control_open(&control, loop, path, &events, &control, &err), MG_OK);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_control_close(control);
    assert_int_equal(mg_loop_free(loop), 0);
    return rmdir(folder);
}

static void turn(void) {
    for (int i = 0; i < TURNS; i++) {
        mg_loop_turn(loop, false, false, 0);
    }
}

static int visit(void) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    strcpy(a.sun_path, path);
    assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void say(int fd, const char *text) {
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    turn();
}

// What has come; "end" behind it if there will be no more.
static const char *heard(int fd) {
    static char text[400];
    ssize_t n;
    size_t at = 0;
    turn();
    while ((n = read(fd, text + at, sizeof text - at - 4)) > 0) {
        at += (size_t)n;
    }
    strcpy(text + at, n == 0 ? "end" : "");
    return text;
}

static const char *ask(const char *line) {
    static char text[400];
    int fd = visit();
    say(fd, line);
    strcpy(text, heard(fd));
    close(fd);
    turn();
    return text;
}

static void nobody_else_may_connect(void **state) {
    struct stat s;
    (void)state;
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
}

static void status_is_answered_at_once(void **state) {
    (void)state;
    assert_string_equal(ask("{\"command\":\"status\"}\n"), "{\"ok\":true}\nend");
}

static void a_command_may_come_in_pieces(void **state) {
    (void)state;
    int fd = visit();
    say(fd, "{\"command\":");
    assert_string_equal(heard(fd), "");
    say(fd, "\"status\"}\n");
    assert_string_equal(heard(fd), "{\"ok\":true}\nend");
    close(fd);
}

static void a_reload_is_answered_when_it_is_over(void **state) {
    (void)state;
    int fd = visit();
    say(fd, "{\"command\":\"reload\",\"dry_run\":true,\"spec\":false,\"later\":1}\n");
    assert_int_equal(reloads, 1);
    assert_true(asked.dry_run);
    assert_false(asked.specs);
    assert_string_equal(heard(fd), "");
    asked.reply(asked.arg, false, MG_STR("app.lua:1: \"x\""));
    assert_string_equal(heard(fd), "{\"ok\":false,\"text\":\"app.lua:1: \\\"x\\\"\"}\nend");
    close(fd);
}

static void whoever_left_meanwhile_is_not_answered(void **state) {
    (void)state;
    int fd = visit();
    say(fd, "{\"command\":\"reload\",\"spec\":true}\n");
    assert_true(asked.specs);
    close(fd);
    turn();
    asked.reply(asked.arg, true, MG_STR("good"));
    turn();
}

static void a_reload_may_outlive_the_socket(void **state) {
    (void)state;
    int fd = visit();
    say(fd, "{\"command\":\"reload\"}\n");
    mg_control_close(control);
    control = NULL;
    turn();
    asked.reply(asked.arg, true, MG_STR("good"));
    assert_string_equal(heard(fd), "end");
    close(fd);
}

static void a_stop_is_told_and_the_end_comes_with_the_server(void **state) {
    (void)state;
    int fd = visit();
    say(fd, "{\"command\":\"stop\"}\n");
    assert_string_equal(heard(fd), "{\"ok\":true,\"text\":\"stopping\"}\n");
    assert_int_equal(stops, 1);
    assert_int_equal(stops_now, 0);
    say(fd, "{\"command\":\"stop\"}\n"); // one command a connection
    assert_int_equal(stops, 1);
    ask("{\"now\":true,\"command\":\"stop\"}\n");
    assert_int_equal(stops_now, 1);
    mg_control_close(control);
    control = NULL;
    assert_string_equal(heard(fd), "end");
    close(fd);
}

static void code_is_evaluated(void **state) {
    (void)state;
    assert_string_equal(ask("{\"command\":\"repl\",\"code\":\"a\\nb\"}\n"),
                        "{\"ok\":true,\"text\":\"a\\nb\"}\nend");
    assert_string_equal(ask("{\"code\":\"bad\",\"command\":\"repl\"}\n"),
                        "{\"ok\":false,\"text\":\"bad\"}\nend");
}

static void what_is_no_command_is_refused(void **state) {
    static const char wanted[] = "{\"ok\":false,\"text\":\"a line of JSON is wanted: "
                                 "{\\\"command\\\":\\\"status\\\"}\"}\nend";
    (void)state;
    assert_string_equal(ask("{\"command\":\"fly\"}\n"),
                        "{\"ok\":false,\"text\":\"no such command\"}\nend");
    assert_string_equal(ask("status\n"), wanted);
    assert_string_equal(ask("{\"command\":\"status\"}x\n"), wanted);
    assert_string_equal(ask("{\"command\":\"a-name-without-any-end\"}\n"), wanted);
    assert_string_equal(ask("{\"command\":7}\n"), wanted);
}

static void a_line_without_end_is_cut_off(void **state) {
    char line[70000];
    (void)state;
    memset(line, ' ', sizeof line);
    line[sizeof line - 1] = '\0';
    int fd = visit();
    say(fd, line);
    assert_string_equal(heard(fd), "end");
    close(fd);
}

static void more_visitors_than_there_is_room_for_are_sent_away(void **state) {
    int fds[VISITORS + 1];
    (void)state;
    for (int i = 0; i <= VISITORS; i++) {
        fds[i] = visit();
        turn();
    }
    assert_string_equal(heard(fds[VISITORS]), "end");
    assert_string_equal(heard(fds[0]), "");
    close(fds[0]);
    turn();
    assert_string_equal(ask("{\"command\":\"status\"}\n"), "{\"ok\":true}\nend");
    for (int i = 1; i <= VISITORS; i++) {
        close(fds[i]);
    }
}

static void a_place_where_nothing_can_lie_is_refused(void **state) {
    mg_control *other;
    mg_error err;
    (void)state;
    assert_true(mg_control_open(&other, loop, "/nowhere/at/all", &events, &control, &err) < 0);
    assert_null(other);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(nobody_else_may_connect),
        TEST(status_is_answered_at_once),
        TEST(a_command_may_come_in_pieces),
        TEST(a_reload_is_answered_when_it_is_over),
        TEST(whoever_left_meanwhile_is_not_answered),
        TEST(a_reload_may_outlive_the_socket),
        TEST(a_stop_is_told_and_the_end_comes_with_the_server),
        TEST(code_is_evaluated),
        TEST(what_is_no_command_is_refused),
        TEST(a_line_without_end_is_cut_off),
        TEST(more_visitors_than_there_is_room_for_are_sent_away),
        TEST(a_place_where_nothing_can_lie_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
