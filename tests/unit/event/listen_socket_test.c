#include "event/listener.h"

#include "wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/wait.h>

static mg_error err;

static mg_address parsed(const char *text) {
    mg_address a;
    assert_int_equal(mg_address_parse(text, &a, &err), 0);
    return a;
}

static int option(int fd, int level, int name) {
    int value = -1;
    socklen_t n = sizeof value;
    assert_int_equal(getsockopt(fd, level, name, &value, &n), 0);
    return value;
}

static void a_listening_socket_has_the_promised_options(void **state) {
    (void)state;
    mg_address a = parsed("127.0.0.1:0");
    int fd = mg_listen_socket(&a, true, &err);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(option(fd, SOL_SOCKET, SO_REUSEADDR));
    assert_true(option(fd, SOL_SOCKET, SO_REUSEPORT));
    assert_true(option(fd, IPPROTO_TCP, TCP_NODELAY));
    assert_true(option(fd, SOL_SOCKET, SO_ACCEPTCONN));
    close(fd);
}

static void v6_does_not_take_the_v4_port(void **state) {
    (void)state;
    mg_address a = parsed("[::1]:0");
    int fd = mg_listen_socket(&a, false, &err);
    if (fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT) {
        skip(); // a machine without IPv6
    }
    assert_true(fd >= 0);
    assert_true(option(fd, IPPROTO_IPV6, IPV6_V6ONLY));
    close(fd);
}

static void an_address_in_use_is_refused_and_the_holder_named(void **state) {
    (void)state;
    mg_address a;
    char pid[32];
    int fd = listen_on("127.0.0.1:0");
    assert_int_equal(mg_address_of_socket(fd, &a), 0);
    assert_int_equal(mg_listen_socket(&a, false, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, a.text));
    snprintf(pid, sizeof pid, "process %d", getpid());
    assert_non_null(strstr(err.text, pid));
    close(fd);
}

// Runs `f` in a child; its descriptors are closed there first, so that nothing is the child's own.
static int in_stranger(const mg_address *a, int own_fd, const char *text) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(own_fd);
        int fd = mg_listen_socket(a, true, &err);
        _exit(fd == -EADDRINUSE && strstr(err.text, text) != NULL ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return status;
}

static void a_group_grows_for_its_own_process_only(void **state) {
    (void)state;
    mg_address a = parsed("127.0.0.1:0");
    int first = mg_listen_socket(&a, true, &err);
    assert_true(first >= 0);
    mg_address_of_socket(first, &a);
    int second = mg_listen_socket(&a, true, &err);
    assert_true(second >= 0);
    close(second);
    char pid[32];
    snprintf(pid, sizeof pid, "process %d", getpid());
    assert_int_equal(in_stranger(&a, first, pid), 0);
    close(first);
}

static void a_stranger_on_all_addresses_is_found_too(void **state) {
    (void)state;
    mg_address all = parsed("0.0.0.0:0");
    int fd = mg_listen_socket(&all, true, &err);
    assert_true(fd >= 0);
    mg_address_of_socket(fd, &all);
    mg_address one = all;
    ((struct sockaddr_in *)&one.sa)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    char pid[32];
    snprintf(pid, sizeof pid, "process %d", getpid());
    assert_int_equal(in_stranger(&one, fd, pid), 0);
    close(fd);
}

static void an_address_that_is_not_ours_is_refused_with_its_text(void **state) {
    (void)state;
    mg_address a = parsed("192.0.2.1:8080");
    assert_int_equal(mg_listen_socket(&a, true, &err), -EADDRNOTAVAIL);
    assert_non_null(strstr(err.text, "192.0.2.1:8080: "));
}

static void a_dead_unix_path_is_replaced_and_a_living_one_refused(void **state) {
    (void)state;
    char *folder = new_folder();
    char text[128];
    char pid[32];
    snprintf(text, sizeof text, "unix:%s/s", folder);
    snprintf(pid, sizeof pid, "process %d", getpid());
    mg_address a = parsed(text);
    int fd = mg_listen_socket(&a, false, &err);
    assert_true(fd >= 0);
    assert_int_equal(mg_listen_socket(&a, false, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, pid));
    close(fd);
    fd = mg_listen_socket(&a, true, &err);
    assert_true(fd >= 0);
    close(fd);
    remove_folder(folder);
}

static void a_file_in_the_way_of_a_unix_path_is_kept(void **state) {
    (void)state;
    char *folder = new_folder();
    char text[128];
    snprintf(text, sizeof text, "unix:%s/s", folder);
    mg_address a = parsed(text);
    int fd = open(text + 5, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(fd);
    assert_int_equal(mg_listen_socket(&a, false, &err), -EEXIST);
    assert_int_equal(access(text + 5, F_OK), 0);
    snprintf(text, sizeof text, "unix:%s/none/s", folder);
    a = parsed(text);
    assert_int_equal(mg_listen_socket(&a, false, &err), -ENOENT);
    remove_folder(folder);
}

int main(void) {
    alarm(30);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listening_socket_has_the_promised_options),
        cmocka_unit_test(v6_does_not_take_the_v4_port),
        cmocka_unit_test(an_address_in_use_is_refused_and_the_holder_named),
        cmocka_unit_test(a_group_grows_for_its_own_process_only),
        cmocka_unit_test(a_stranger_on_all_addresses_is_found_too),
        cmocka_unit_test(an_address_that_is_not_ours_is_refused_with_its_text),
        cmocka_unit_test(a_dead_unix_path_is_replaced_and_a_living_one_refused),
        cmocka_unit_test(a_file_in_the_way_of_a_unix_path_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
