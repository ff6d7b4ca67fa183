#include "gate/notify.h"

#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[64];
static char path[108];
static int manager = -1; // whom the service tells

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/moongate-notify-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/s", folder);
    manager = -1;
    return unsetenv("NOTIFY_SOCKET");
}

static int tear_down(void **state) {
    (void)state;
    if (manager >= 0) {
        close(manager);
    }
    unlink(path);
    return rmdir(folder);
}

// `name` begins with '@' for the abstract name space.
static void listen_at(const char *name) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = strlen(name);
    memcpy(a.sun_path, name, n);
    if (name[0] == '@') {
        a.sun_path[0] = '\0';
    }
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(manager, (struct sockaddr *)&a, length), 0);
    setenv("NOTIFY_SOCKET", name, 1);
}

static void is_told(const char *want) {
    char got[256];
    ssize_t n = recv(manager, got, sizeof got, 0);
    assert_true(n >= 0);
    assert_text(want, ((mg_str){got, (size_t)n}));
}

static void is_told_no_more(void) {
    char got[16];
    assert_int_equal(recv(manager, got, sizeof got, 0), -1);
    assert_int_equal(errno, EAGAIN);
}

static void each_state_is_one_datagram(void **state) {
    (void)state;
    listen_at(path);
    mg_notify("READY=1");
    mg_notify("RELOADING=1\nMONOTONIC_USEC=12");
    is_told("READY=1");
    is_told("RELOADING=1\nMONOTONIC_USEC=12");
    is_told_no_more();
}

static void an_abstract_socket_is_reached(void **state) {
    (void)state;
    char name[64];
    snprintf(name, sizeof name, "@moongate-notify-%d", (int)getpid());
    listen_at(name);
    mg_notify("STOPPING=1");
    is_told("STOPPING=1");
}

static void the_longest_path_is_reached(void **state) {
    (void)state;
    size_t n = strlen(folder) + 1;
    memset(path + n, 'x', sizeof path - 1 - n);
    path[sizeof path - 1] = '\0';
    listen_at(path);
    mg_notify("READY=1");
    is_told("READY=1");
}

static void nobody_to_tell_is_no_fault(void **state) {
    (void)state;
    char too_long[200];
    memset(too_long, 'x', sizeof too_long);
    too_long[0] = '/';
    too_long[sizeof too_long - 1] = '\0';
    const char *const names[] = {"", "@", path, "/", "not/there", too_long};
    mg_notify("READY=1");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        mg_notify("READY=1");
    }
}

static void a_manager_that_does_not_read_holds_nothing_up(void **state) {
    (void)state;
    listen_at(path);
    alarm(20);
    for (int i = 0; i < 5000; i++) {
        mg_notify("STATUS=more than the socket's queue takes");
    }
    alarm(0);
    is_told("STATUS=more than the socket's queue takes");
}

static void no_descriptor_stays_open(void **state) {
    (void)state;
    int before = dup(0);
    close(before);
    mg_notify("READY=1");
    setenv("NOTIFY_SOCKET", path, 1); // nobody there
    mg_notify("READY=1");
    listen_at(path);
    mg_notify("READY=1");
    assert_int_equal(manager, before);
    int after = dup(0);
    close(after);
    assert_int_equal(after, before + 1);
}

int main(void) {
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(each_state_is_one_datagram),
        T(an_abstract_socket_is_reached),
        T(the_longest_path_is_reached),
        T(nobody_to_tell_is_no_fault),
        T(a_manager_that_does_not_read_holds_nothing_up),
        T(no_descriptor_stays_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
