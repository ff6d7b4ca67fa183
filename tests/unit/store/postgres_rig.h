// store/postgres_rig.h: a PostgreSQL server of the test's own, and a pool of connections to it.
#pragma once

#include "database_answers.h"
#include "store/postgres.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <unistd.h>

static char server_folder[64];
static int server_port;

static inline void server_does(const char *command, const char *more) {
    char line[256];
    snprintf(line, sizeof line, "tests/setup/postgres.sh %s %s %s", command, server_folder, more);
    if (system(line) != 0) {
        fail_msg("%s", line);
    }
}

static inline void start_server(void) {
    char port[16];
    snprintf(port, sizeof port, "%d", server_port);
    server_does("start", port);
}

static inline int free_port(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&a, n) == 0 &&
                getsockname(fd, (struct sockaddr *)&a, &n) == 0);
    close(fd);
    return ntohs(a.sin_port);
}

// A socket that takes connections and never says a word.
static inline int open_silent(int *port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&at, n) == 0 && listen(fd, 8) == 0 &&
                getsockname(fd, (struct sockaddr *)&at, &n) == 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static inline int set_up_server(void **state) {
    (void)state;
    alarm(300);
    snprintf(server_folder, sizeof server_folder, "/tmp/mg-postgres-XXXXXX");
    assert_non_null(mkdtemp(server_folder));
    server_port = free_port();
    start_server();
    return 0;
}

static inline int tear_down_server(void **state) {
    (void)state;
    char line[128];
    server_does("stop", "");
    snprintf(line, sizeof line, "rm -rf %s", server_folder);
    return system(line);
}

// A pool on the server: `options` as "?pool=2", or "".
static inline mg_database *open_pool(const char *options) {
    char url[256];
    mg_error err = {""};
    mg_database *d = NULL;
    snprintf(url, sizeof url, "postgres://moongate@127.0.0.1:%d/postgres%s", server_port, options);
    int rc = mg_postgres_open(&d, loop, &(mg_postgres_options){.url = url}, &err);
    if (rc != MG_OK) {
        fail_msg("%d: %s", rc, err.text);
    }
    return d;
}

static inline void reopen(const char *options) {
    mg_database_free(db);
    db = open_pool(options);
}

static inline int set_up(void **state) {
    (void)state;
    answered = 0;
    assert_int_equal(mg_loop_new(&loop, NULL), 0);
    db = open_pool("");
    do_sql("DROP SCHEMA public CASCADE");
    do_sql("CREATE SCHEMA public");
    return 0;
}

static inline int tear_down(void **state) {
    (void)state;
    mg_database_free(db);
    db = NULL;
    return mg_loop_free(loop);
}
