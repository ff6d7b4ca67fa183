#include "gate/master_inside.h"

#include "unit.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static mg_loop *loop;
static mg_master m;
static mg_place place; // of a worker that hears what is said
static mg_channel *worker;
static mg_buf heard;
static mg_buf changes;
static mg_error err;
static char folder[40];

static void on_message(void *arg, mg_message *msg) {
    static const char *const names[] = {[MG_MESSAGE_SOCKET] = "socket",
                                        [MG_MESSAGE_FORGET] = "forget",
                                        [MG_MESSAGE_ENDPOINT] = "endpoint"};
    assert_ptr_equal(arg, &heard);
    assert_int_equal(msg->fd >= 0, msg->type == MG_MESSAGE_SOCKET);
    mg_buf_printf(&heard, "%s %u ", names[msg->type], msg->a);
}

static void on_end(void *arg) {
    (void)arg;
}

static const mg_channel_events events = {on_message, on_end};

static int set_up(void **state) {
    int fds[2];
    (void)state;
    strcpy(folder, "/tmp/moongate_test.XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(mg_loop_new(&loop, NULL), MG_OK);
    assert_int_equal(mg_channel_pair(fds), MG_OK);
    m = (mg_master){.loop = loop};
    place = (mg_place){.master = &m};
    assert_int_equal(mg_channel_open(&place.channel, loop, fds[0], &events, &heard), MG_OK);
    assert_int_equal(mg_channel_open(&worker, loop, fds[1], &events, &heard), MG_OK);
    m.places[3] = &place;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_sockets_close(&m, true);
    mg_config_deinit(&m.config);
    mg_channel_close(place.channel);
    mg_channel_close(worker);
    mg_buf_deinit(&heard);
    mg_buf_deinit(&changes);
    heard = changes = (mg_buf){0};
    assert_int_equal(mg_loop_free(loop), 0);
    return rmdir(folder);
}

// `listen` is a list of JSON in which "@" is the folder.
static mg_config config(const char *listen) {
    mg_config c;
    mg_buf json = {0};
    mg_buf faults = {0};
    mg_buf_append_str(&json, MG_STR("{\"listen\":["));
    for (; *listen != '\0'; listen++) {
        mg_buf_append_str(&json, *listen == '@' ? mg_str_of(folder) : (mg_str){listen, 1});
    }
    mg_buf_append_str(&json, MG_STR("]}"));
    if (mg_config_init(&c, "/srv/moongate.lua", mg_buf_str(&json), &faults) != MG_OK) {
        fail_msg("%.*s", (int)faults.n, faults.p);
    }
    mg_buf_deinit(&json);
    return c;
}

static int plan(const char *listen, uint32_t workers) {
    mg_config c = config(listen);
    int rc = mg_sockets_plan(&m, &c, workers, &err);
    mg_config_deinit(&c);
    return rc;
}

// A whole reload; returns what is told of it.
static const char *reload(const char *listen, uint32_t workers) {
    mg_config c = config(listen);
    assert_int_equal(mg_sockets_plan(&m, &c, workers, &err), MG_OK);
    mg_config_deinit(&m.config);
    m.config = c;
    mg_buf_clear(&changes);
    mg_buf_clear(&heard);
    mg_sockets_commit(&m, &changes);
    for (int i = 0; i < 3; i++) {
        mg_loop_turn(loop, false, false, 0);
    }
    mg_buf_append_char(&changes, '\0');
    return changes.p;
}

static const char *at(const char *name) {
    static char path[80];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static bool can_connect(const char *path) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(a.sun_path, path);
    int rc = connect(fd, (const struct sockaddr *)&a, sizeof a);
    close(fd);
    return rc == 0;
}

static void every_worker_has_a_socket_of_an_address(void **state) {
    (void)state;
    assert_int_equal(plan("\"127.0.0.1:0\"", 3), MG_OK);
    assert_int_equal(m.socket_count, 3);
    for (uint32_t slot = 0; slot < 3; slot++) {
        assert_int_equal(m.sockets[slot].slot, slot);
        assert_string_equal(m.sockets[slot].shown, m.sockets[0].shown); // the port of the first
        assert_false(m.sockets[slot].listening);
    }
    assert_string_not_equal(m.sockets[0].shown, "127.0.0.1:0");
}

static void a_unix_path_has_one_for_all(void **state) {
    (void)state;
    assert_int_equal(plan("\"unix:@/a.sock\"", 3), MG_OK);
    assert_int_equal(m.socket_count, 1);
    assert_int_equal(m.sockets[0].slot, MG_SLOT_ALL);
    assert_false(can_connect(at("a.sock"))); // it does not listen yet
}

static void what_is_planned_is_there_when_it_is_committed(void **state) {
    char want[100];
    (void)state;
    snprintf(want, sizeof want, "  + listen unix:%s\n", at("a.sock"));
    assert_string_equal(reload("\"unix:@/a.sock\"", 1), want);
    assert_text("socket 1 ", mg_buf_str(&heard));
    assert_true(can_connect(at("a.sock")));
    assert_string_equal(reload("\"unix:@/a.sock\"", 1), "");
    assert_text("", mg_buf_str(&heard));
}

static void what_is_abandoned_never_was(void **state) {
    (void)state;
    reload("\"unix:@/a.sock\"", 1);
    assert_int_equal(plan("\"unix:@/b.sock\"", 1), MG_OK);
    assert_int_equal(access(at("b.sock"), F_OK), 0);
    mg_sockets_abandon(&m);
    assert_int_equal(m.socket_count, 1);
    assert_int_equal(access(at("b.sock"), F_OK), -1);
    assert_true(can_connect(at("a.sock")));
    assert_string_equal(reload("\"unix:@/a.sock\"", 1), ""); // it does not leave any more
}

static void one_that_cannot_be_bound_opens_nothing(void **state) {
    (void)state;
    reload("\"unix:@/a.sock\"", 1);
    assert_true(plan("\"unix:@/b.sock\",\"unix:/nowhere/at/all.sock\"", 1) < 0);
    assert_non_null(strstr(err.text, "/nowhere/at/all.sock"));
    assert_int_equal(m.socket_count, 1);
    assert_int_equal(access(at("b.sock"), F_OK), -1);
}

static void one_that_leaves_is_forgotten_and_its_path_is_gone(void **state) {
    char want[200];
    (void)state;
    reload("\"unix:@/a.sock\"", 1);
    int n = snprintf(want, sizeof want, "  + listen unix:%s\n", at("b.sock"));
    snprintf(want + n, sizeof want - (size_t)n, "  - listen unix:%s\n", at("a.sock"));
    assert_string_equal(reload("\"unix:@/b.sock\"", 1), want);
    assert_text("socket 2 forget 1 ", mg_buf_str(&heard));
    assert_int_equal(access(at("a.sock"), F_OK), -1);
    assert_true(can_connect(at("b.sock")));
}

static void more_workers_bring_more_sockets_and_fewer_take_none(void **state) {
    (void)state;
    reload("\"127.0.0.1:0\"", 2);
    assert_string_equal(reload("\"127.0.0.1:0\"", 3), ""); // the address is told once
    assert_int_equal(m.socket_count, 3);
    assert_text("socket 3 ", mg_buf_str(&heard));
    assert_string_equal(reload("\"127.0.0.1:0\"", 1), "");
    assert_int_equal(m.socket_count, 3); // whoever waits there would be reset
}

static void other_settings_keep_the_socket(void **state) {
    char want[100];
    (void)state;
    reload("\"unix:@/a.sock\"", 1);
    int fd = m.sockets[0].fd;
    snprintf(want, sizeof want, "  ~ listen unix:%s\n", at("a.sock"));
    assert_string_equal(reload("{\"address\":\"unix:@/a.sock\",\"mode\":\"0600\"}", 1), want);
    assert_text("endpoint 1 ", mg_buf_str(&heard));
    assert_int_equal(m.sockets[0].fd, fd);
}

static void a_new_worker_is_told_what_listens(void **state) {
    (void)state;
    reload("\"unix:@/a.sock\",\"127.0.0.1:0\"", 2);
    assert_int_equal(plan("\"unix:@/a.sock\",\"127.0.0.1:0\",\"unix:@/b.sock\"", 2), MG_OK);
    mg_buf_clear(&heard);
    mg_sockets_tell(&m, &place);
    for (int i = 0; i < 3; i++) {
        mg_loop_turn(loop, false, false, 0);
    }
    assert_text("socket 1 socket 2 socket 3 ", mg_buf_str(&heard)); // not what is planned only
    mg_sockets_abandon(&m);
}

static void paths_stay_where_another_one_has_taken_over(void **state) {
    (void)state;
    reload("\"unix:@/a.sock\"", 1);
    mg_sockets_close(&m, false);
    assert_int_equal(m.socket_count, 0);
    assert_int_equal(access(at("a.sock"), F_OK), 0);
    unlink(at("a.sock"));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_worker_has_a_socket_of_an_address),
        TEST(a_unix_path_has_one_for_all),
        TEST(what_is_planned_is_there_when_it_is_committed),
        TEST(what_is_abandoned_never_was),
        TEST(one_that_cannot_be_bound_opens_nothing),
        TEST(one_that_leaves_is_forgotten_and_its_path_is_gone),
        TEST(more_workers_bring_more_sockets_and_fewer_take_none),
        TEST(other_settings_keep_the_socket),
        TEST(a_new_worker_is_told_what_listens),
        TEST(paths_stay_where_another_one_has_taken_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
