#include "gate/control_path.h"

#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[64];  // of this test alone
static char runtime[96]; // $XDG_RUNTIME_DIR in it
static char conf[96];    // a configuration in it
static char path[160];
static mg_error err;

static int run(const char *command, const char *argument) {
    char line[256];
    snprintf(line, sizeof line, "%s %s", command, argument);
    return system(line);
}

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/moongate-path-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(runtime, sizeof runtime, "%s/run", folder);
    snprintf(conf, sizeof conf, "%s/a.lua", folder);
    assert_int_equal(mkdir(runtime, 0700), 0);
    assert_int_equal(run("touch", conf), 0);
    err.text[0] = '\0';
    return setenv("XDG_RUNTIME_DIR", runtime, 1);
}

static int tear_down(void **state) {
    (void)state;
    return run("rm -rf", folder);
}

// Below the folder of this test.
static const char *below(const char *name) {
    static char out[128];
    snprintf(out, sizeof out, "%s/%s", folder, name);
    return out;
}

static void ask(const char *of, bool make_folder) {
    assert_int_equal(mg_control_path(of, NULL, make_folder, path, sizeof path, &err), MG_OK);
}

static void refused(const char *part) {
    assert_int_equal(mg_control_path(conf, NULL, true, path, sizeof path, &err), MG_ECONFIG);
    if (strstr(err.text, part) == NULL) {
        fail_msg("%s: not in: %s", part, err.text);
    }
}

static void listen_at(const char *at) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, at, strlen(at));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    close(fd);
}

static void a_configured_path_is_taken_as_it_stands(void **state) {
    (void)state;
    assert_int_equal(mg_control_path(conf, "/x/y.sock", true, path, sizeof path, &err), MG_OK);
    assert_string_equal(path, "/x/y.sock");
    assert_int_equal(access(below("run/moongate"), F_OK), -1);
}

static void the_name_is_made_of_16_digits(void **state) {
    (void)state;
    ask(conf, false);
    size_t n = strlen(runtime);
    assert_memory_equal(path, runtime, n);
    assert_memory_equal(path + n, "/moongate/", 10);
    assert_int_equal(strspn(path + n + 10, "0123456789abcdef"), 16);
    assert_string_equal(path + n + 26, ".sock");
}

static void one_configuration_has_one_path_however_it_is_named(void **state) {
    (void)state;
    char first[sizeof path];
    char here[256];
    assert_non_null(getcwd(here, sizeof here));
    ask(conf, false);
    memcpy(first, path, sizeof path);
    ask(below("run/..//./a.lua"), false);
    assert_string_equal(path, first);
    assert_int_equal(chdir(folder), 0);
    ask("a.lua", false);
    assert_int_equal(chdir(here), 0);
    assert_string_equal(path, first);
}

static void a_link_that_is_switched_names_the_same_server(void **state) {
    (void)state;
    char first[sizeof path];
    assert_int_equal(mkdir(below("1"), 0700) | mkdir(below("2"), 0700), 0);
    assert_int_equal(symlink("1", below("current")), 0);
    ask(below("current/a.lua"), false);
    memcpy(first, path, sizeof path);
    assert_int_equal(unlink(below("current")) | symlink("2", below("current")), 0);
    ask(below("current/a.lua"), false);
    assert_string_equal(path, first);
    char here[256];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(below("current")), 0);
    setenv("PWD", below("current"), 1); // as a shell does
    ask("a.lua", false);
    setenv("PWD", "/", 1); // somebody else's
    assert_int_equal(chdir(here), 0);
    assert_string_equal(path, first);
}

static void a_server_that_was_named_by_the_real_path_is_found_by_a_link(void **state) {
    (void)state;
    char first[sizeof path];
    ask(conf, true);
    memcpy(first, path, sizeof path);
    listen_at(first);
    assert_int_equal(symlink(conf, below("link.lua")), 0);
    ask(below("link.lua"), false);
    assert_string_equal(path, first);
}

static void two_configurations_have_two_paths(void **state) {
    (void)state;
    char first[sizeof path];
    ask(conf, false);
    memcpy(first, path, sizeof path);
    assert_int_equal(run("touch", below("b.lua")), 0);
    ask(below("b.lua"), false);
    assert_string_not_equal(path, first);
}

static void a_client_makes_nothing(void **state) {
    (void)state;
    ask(conf, false);
    assert_int_equal(access(below("run/moongate"), F_OK), -1);
}

static void a_server_makes_a_folder_for_its_user_alone(void **state) {
    (void)state;
    struct stat st;
    mode_t before = umask(0);
    ask(conf, true);
    umask(before);
    assert_int_equal(stat(below("run/moongate"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    ask(conf, true); // and uses it again
}

static void a_folder_that_others_may_write_to_is_refused(void **state) {
    (void)state;
    static const mode_t modes[] = {0720, 0702, 0777};
    assert_int_equal(mkdir(below("run/moongate"), 0700), 0);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        assert_int_equal(chmod(below("run/moongate"), modes[i]), 0);
        refused("is not a folder of this user alone (mode 0700); set `control`");
    }
}

static void a_link_is_refused(void **state) {
    (void)state;
    assert_int_equal(mkdir(below("elsewhere"), 0700), 0);
    assert_int_equal(symlink("../elsewhere", below("run/moongate")), 0);
    refused("/run/moongate is not a folder of this user alone");
}

static void a_file_is_refused(void **state) {
    (void)state;
    assert_int_equal(run("touch", below("run/moongate")), 0);
    refused("/run/moongate is not a folder of this user alone");
}

static void a_folder_of_somebody_else_is_refused(void **state) {
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(mkdir(below("run/moongate"), 0700), 0);
    assert_int_equal(chown(below("run/moongate"), 12345, 12345), 0);
    refused("/run/moongate is not a folder of this user alone");
}

static void a_folder_that_cannot_be_made_says_why(void **state) {
    (void)state;
    setenv("XDG_RUNTIME_DIR", below("no/such"), 1);
    refused("/no/such/moongate cannot be made: No such file or directory; set `control`");
}

static void a_runtime_folder_that_is_not_absolute_is_passed_over(void **state) {
    (void)state;
    char want[64];
    snprintf(want, sizeof want, geteuid() == 0 ? "/run/moongate/" : "/tmp/moongate-%u/",
             (unsigned)geteuid());
    setenv("XDG_RUNTIME_DIR", "run", 1);
    ask(conf, false);
    assert_memory_equal(path, want, strlen(want));
    setenv("XDG_RUNTIME_DIR", "", 1);
    ask(conf, false);
    assert_memory_equal(path, want, strlen(want));
    unsetenv("XDG_RUNTIME_DIR");
    ask(conf, false);
    assert_memory_equal(path, want, strlen(want));
}

static void a_server_that_was_started_without_a_runtime_folder_is_found(void **state) {
    (void)state;
    char system_path[sizeof path];
    char own_path[sizeof path];
    ask(conf, false);
    memcpy(own_path, path, sizeof path);
    unsetenv("XDG_RUNTIME_DIR");
    if (mg_control_path(conf, NULL, true, system_path, sizeof system_path, &err) != MG_OK) {
        skip();
    }
    listen_at(system_path);
    setenv("XDG_RUNTIME_DIR", runtime, 1);
    int rc = mg_control_path(conf, NULL, false, path, sizeof path, &err);
    assert_int_equal(unlink(system_path), 0);
    assert_int_equal(rc, MG_OK);
    assert_string_equal(path, system_path);
    ask(conf, false); // nobody anywhere: the first place is the one to name
    assert_string_equal(path, own_path);
}

static void the_runtime_folder_comes_first_if_servers_are_in_both(void **state) {
    (void)state;
    char system_path[sizeof path];
    char own_path[sizeof path];
    ask(conf, true);
    memcpy(own_path, path, sizeof path);
    listen_at(own_path);
    unsetenv("XDG_RUNTIME_DIR");
    if (mg_control_path(conf, NULL, true, system_path, sizeof system_path, &err) != MG_OK) {
        skip();
    }
    listen_at(system_path);
    setenv("XDG_RUNTIME_DIR", runtime, 1);
    int rc = mg_control_path(conf, NULL, false, path, sizeof path, &err);
    assert_int_equal(unlink(system_path), 0);
    assert_int_equal(rc, MG_OK);
    assert_string_equal(path, own_path);
}

static void a_path_longer_than_an_address_holds_is_refused(void **state) {
    (void)state;
    char longest[109];
    memset(longest, 'x', sizeof longest);
    longest[0] = '/';
    longest[107] = '\0';
    assert_int_equal(mg_control_path(conf, longest, true, path, sizeof path, &err), MG_OK);
    assert_string_equal(path, longest);
    longest[107] = 'x';
    longest[108] = '\0';
    assert_int_equal(mg_control_path(conf, longest, true, path, sizeof path, &err), MG_ECONFIG);
    assert_string_equal(err.text, "control: the path of the socket has 108 bytes, allowed are 107");
}

static void a_place_that_is_too_small_is_not_written_past(void **state) {
    (void)state;
    char small[8] = "sssssss";
    assert_int_equal(mg_control_path(conf, "/a/b/c", true, small, 6, &err), MG_ECONFIG);
    assert_int_equal(small[6], 's');
    assert_int_equal(mg_control_path(conf, "/a/b/c", true, small, 7, &err), MG_OK);
    assert_string_equal(small, "/a/b/c");
}

int main(void) {
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_configured_path_is_taken_as_it_stands),
        T(the_name_is_made_of_16_digits),
        T(one_configuration_has_one_path_however_it_is_named),
        T(a_link_that_is_switched_names_the_same_server),
        T(a_server_that_was_named_by_the_real_path_is_found_by_a_link),
        T(two_configurations_have_two_paths),
        T(a_client_makes_nothing),
        T(a_server_makes_a_folder_for_its_user_alone),
        T(a_folder_that_others_may_write_to_is_refused),
        T(a_link_is_refused),
        T(a_file_is_refused),
        T(a_folder_of_somebody_else_is_refused),
        T(a_folder_that_cannot_be_made_says_why),
        T(a_runtime_folder_that_is_not_absolute_is_passed_over),
        T(a_server_that_was_started_without_a_runtime_folder_is_found),
        T(the_runtime_folder_comes_first_if_servers_are_in_both),
        T(a_path_longer_than_an_address_holds_is_refused),
        T(a_place_that_is_too_small_is_not_written_past),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
