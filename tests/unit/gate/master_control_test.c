#include "gate/master_inside.h"

#include "unit.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static mg_loop *loop;
static mg_master m;
static mg_cli cli;
static mg_place places[5];
static mg_master_socket sockets[3];
static char folder[40];
static char path[64];

static int set_up(void **state) {
    mg_error err;
    (void)state;
    strcpy(folder, "/tmp/moongate_test.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/control", folder);
    cli = (mg_cli){.conf = "conf/moongate.lua"};
    assert_int_equal(mg_loop_new(&loop, &(mg_loop_options){.virtual_clock = true}), MG_OK);
    mg_loop_set_now(loop, 10000);
    m = (mg_master){.cli = &cli, .loop = loop, .generation = 2, .started_ms = 1000};
    assert_int_equal(mg_shm_new(&m.shm, 0, &err), MG_OK);
    assert_int_equal(mg_log_open(&m.logs.error, &(mg_log_options){.target = "/dev/null"}, &err),
                     MG_OK);
    mg_master_open_control(&m, path);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_control_close(m.control);
    mg_dev_close(m.dev);
    mg_shm_free(m.shm);
    mg_logs_close(&m.logs);
    assert_int_equal(mg_loop_free(loop), 0);
    return rmdir(folder);
}

static void turn(void) {
    for (int i = 0; i < 20; i++) {
        mg_loop_turn(loop, false, true, mg_loop_now_ms(loop));
    }
}

static const char *ask(const char *line) {
    static char text[4000];
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    strcpy(a.sun_path, path);
    assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(send(fd, line, strlen(line), MSG_NOSIGNAL), strlen(line));
    turn();
    ssize_t n = read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    close(fd);
    turn();
    return text;
}

static void put(uint32_t slot, mg_place_life life) {
    places[slot] = (mg_place){.master = &m, .slot = slot, .life = life};
    m.places[slot] = &places[slot];
    mg_shm_cell(m.shm, slot)->pid = (uint32_t)getpid();
}

static void status_names_the_state_of_each_worker(void **state) {
    (void)state;
    put(0, (mg_place_life){.state = MG_PLACE_SERVING, .since_ms = 4000});
    put(1, (mg_place_life){.state = MG_PLACE_SERVING, .stuck = true, .since_ms = 4000});
    put(2, (mg_place_life){.state = MG_PLACE_WAITING, .restarts = 3});
    put(3, (mg_place_life){.state = MG_PLACE_EMPTY});
    put(4, (mg_place_life){.state = MG_PLACE_STOPPING});
    const char *text = ask("{\"command\":\"status\"}\n");
    assert_non_null(strstr(text, "\"uptime\":9.0,\"generation\":2,\"stopping\":false"));
    assert_non_null(strstr(text, "\"state\":\"serving\",\"uptime\":6.0"));
    assert_non_null(strstr(text, "\"state\":\"stuck\",\"uptime\":6.0"));
    assert_non_null(strstr(text, "\"state\":\"backing off\",\"uptime\":0.0"));
    assert_non_null(strstr(text, "\"restarts\":3"));
    assert_non_null(strstr(text, "\"worker\":5"));
    assert_null(strstr(text, "\"worker\":4")); // nobody is there
}

static void status_names_an_address_once(void **state) {
    (void)state;
    sockets[0] = (mg_master_socket){.slot = 0, .shown = "127.0.0.1:80"};
    sockets[1] = (mg_master_socket){.slot = 1, .shown = "127.0.0.1:80"};
    sockets[2] = (mg_master_socket){.slot = MG_SLOT_ALL, .shown = "unix:/a.sock"};
    m.sockets = sockets;
    m.socket_count = 3;
    assert_non_null(strstr(ask("{\"command\":\"status\"}\n"),
                           "\"listen\":[\"127.0.0.1:80\",\"unix:/a.sock\"]"));
}

static void a_server_that_stops_reloads_no_more(void **state) {
    (void)state;
    m.stopping = true;
    assert_string_equal(ask("{\"command\":\"reload\"}\n"),
                        "{\"ok\":false,\"text\":\"the server is stopping\"}\n");
}

static void without_a_place_for_it_there_is_no_control_socket(void **state) {
    (void)state;
    mg_control_close(m.control);
    mg_master_open_control(&m, "/nowhere/at/all");
    assert_null(m.control); // a server without one still obeys signals
}

static void what_cannot_be_watched_is_no_failure(void **state) {
    (void)state;
    m.config.root = "/nowhere/at/all";
    mg_master_watch_scripts(&m);
    assert_null(m.dev);
    m.config.root = folder;
    mg_master_watch_scripts(&m);
    assert_non_null(m.dev);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(status_names_the_state_of_each_worker),
        TEST(status_names_an_address_once),
        TEST(a_server_that_stops_reloads_no_more),
        TEST(without_a_place_for_it_there_is_no_control_socket),
        TEST(what_cannot_be_watched_is_no_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
