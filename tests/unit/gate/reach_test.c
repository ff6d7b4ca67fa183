#include "gate/reach.h"

#include "unit.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/mg-reach-XXXXXX";

static int set_up(void **state) {
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **state) {
    (void)state;
    char line[64];
    snprintf(line, sizeof line, "rm -rf %s", folder);
    return system(line);
}

// What is said of a configuration; returns how many fail.
static size_t reach(const char *json, mg_buf *lines) {
    mg_config config = {0};
    mg_buf faults = {0};
    char conf[64];
    snprintf(conf, sizeof conf, "%s/conf/moongate.lua", folder);
    if (mg_config_init(&config, conf, mg_str_of(json), &faults) != MG_OK) {
        fail_msg("%.*s", (int)faults.n, faults.p);
    }
    size_t failed = mg_reach_all(&config, lines);
    mg_buf_append_char(lines, '\0');
    mg_config_deinit(&config);
    return failed;
}

static int listen_at(char url[64]) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&a, n) == 0 && listen(fd, 8) == 0 &&
                getsockname(fd, (struct sockaddr *)&a, &n) == 0);
    snprintf(url, 64, "http://127.0.0.1:%d", ntohs(a.sin_port));
    return fd;
}

static void nothing_named_is_nothing_that_fails(void **state) {
    (void)state;
    mg_buf lines = {0};
    assert_int_equal(reach("{\"database\": false}", &lines), 0);
    assert_string_equal(lines.p, "");
    mg_buf_deinit(&lines);
}

static void servers_of_upstreams_are_dialled(void **state) {
    (void)state;
    mg_buf lines = {0};
    char good[64];
    char json[256];
    int fd = listen_at(good);
    snprintf(json, sizeof json,
             "{\"database\": false, \"upstreams\": {\"users\": [\"http://127.0.0.1:1\", \"%s\"]}}",
             good);
    assert_int_equal(reach(json, &lines), 1);
    char want[96];
    snprintf(want, sizeof want, "upstream users: %s works (", good);
    assert_ptr_equal(strstr(lines.p, want), lines.p); // what fails stands last
    assert_non_null(strstr(lines.p, "\nupstream users: http://127.0.0.1:1 fails: connect: "));
    mg_buf_deinit(&lines);
    close(fd);
}

static void a_redis_that_is_not_there_is_told_without_its_password(void **state) {
    (void)state;
    mg_buf lines = {0};
    assert_int_equal(reach("{\"database\": false, \"cache\": \"redis://:secret@127.0.0.1:1\","
                           " \"redis\": {\"other\": \"redis://127.0.0.1:1/3\"}}",
                           &lines),
                     2);
    assert_non_null(strstr(lines.p, "cache: redis://127.0.0.1:1 fails: "));
    assert_non_null(strstr(lines.p, "redis other: redis://127.0.0.1:1/3 fails: "));
    assert_null(strstr(lines.p, "secret"));
    mg_buf_deinit(&lines);
}

static void a_file_of_sqlite_is_read_and_none_is_made(void **state) {
    (void)state;
    mg_buf lines = {0};
    char path[64];
    struct stat st;
    assert_int_equal(reach("{\"database\": \"sqlite:var/new.db\"}", &lines), 0);
    snprintf(path, sizeof path, "%s/var", folder);
    assert_int_equal(stat(path, &st), -1);
    mg_buf_clear(&lines);

    snprintf(path, sizeof path, "%s/broken.db", folder);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    for (int i = 0; i < 1000; i++) {
        fputs("this is no database ", f);
    }
    fclose(f);
    assert_int_equal(reach("{\"database\": {\"one\": \"sqlite:broken.db\"}}", &lines), 1);
    assert_non_null(strstr(lines.p, "database one: sqlite:"));
    assert_non_null(strstr(lines.p, "broken.db fails: "));
    mg_buf_deinit(&lines);
}

static void a_server_that_is_not_there_is_told_at_once_and_without_the_password(void **state) {
    (void)state;
    mg_buf lines = {0};
    assert_int_equal(reach("{\"database\": \"postgres://u:s3cret@127.0.0.1:1/d\"}", &lines), 1);
    assert_non_null(strstr(lines.p, "database default: postgres://127.0.0.1:1/d fails: "));
    assert_non_null(strstr(lines.p, "Connection refused"));
    assert_null(strstr(lines.p, "s3cret"));
    mg_buf_deinit(&lines);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_named_is_nothing_that_fails),
        cmocka_unit_test(servers_of_upstreams_are_dialled),
        cmocka_unit_test(a_redis_that_is_not_there_is_told_without_its_password),
        cmocka_unit_test(a_file_of_sqlite_is_read_and_none_is_made),
        cmocka_unit_test(a_server_that_is_not_there_is_told_at_once_and_without_the_password),
    };
    return cmocka_run_group_tests_name("gate/reach", tests, set_up, tear_down);
}
