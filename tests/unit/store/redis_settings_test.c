#include "store/redis_settings.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static mg_redis_settings s;

static void read_url(const char *url) {
    mg_error err = {""};
    mg_redis_settings_deinit(&s);
    if (mg_redis_settings_read(&s, mg_str_of(url), &err) != MG_OK) {
        fail_msg("%s", err.text);
    }
}

static void a_server_with_all_that_is_said_of_it(void **state) {
    (void)state;
    read_url("redis://bob:p%40ss@cache.internal:7000/3?timeout=0.25&connections=4&prefix=a%3A&"
             "max_reply=1M&queue=10&resp=2&client_name=x");
    assert_int_equal(s.kind, MG_REDIS_SINGLE);
    assert_string_equal(s.user, "bob");
    assert_string_equal(s.password, "p@ss");
    assert_string_equal(s.hosts[0].name, "cache.internal");
    assert_int_equal(s.hosts[0].port, 7000);
    assert_int_equal(s.database, 3);
    assert_int_equal(s.timeout_ms, 250);
    assert_int_equal(s.connections, 4);
    assert_string_equal(s.prefix, "a:");
    assert_int_equal(s.reply_bytes, 1 << 20);
    assert_int_equal(s.queue, 10);
    assert_int_equal(s.resp, 2);
    assert_string_equal(s.client_name, "x");
    assert_string_equal(s.name, "redis://cache.internal:7000/3");
}

static void what_is_not_said_has_a_default(void **state) {
    (void)state;
    read_url("redis://");
    assert_string_equal(s.name, "redis://127.0.0.1:6379");
    assert_int_equal(s.resp, 3);
    assert_int_equal(s.timeout_ms, 1000);
    assert_null(s.user);
    assert_null(s.password);
    read_url("redis://:secret@[::1]");
    assert_null(s.user);
    assert_string_equal(s.password, "secret");
    assert_string_equal(s.name, "redis://[::1]:6379");
    read_url("redis://h?db=5");
    assert_int_equal(s.database, 5);
}

static void sentinels_clusters_sockets_and_tls(void **state) {
    (void)state;
    read_url("redis+sentinel://a,b:7,c/mymaster/2?sentinel_password=x");
    assert_int_equal(s.kind, MG_REDIS_SENTINEL);
    assert_int_equal(s.host_count, 3);
    assert_int_equal(s.hosts[0].port, 26379);
    assert_int_equal(s.hosts[1].port, 7);
    assert_string_equal(s.service, "mymaster");
    assert_int_equal(s.database, 2);
    assert_string_equal(s.name, "redis+sentinel://a:26379,b:7,c:26379/mymaster/2");
    read_url("rediss+cluster://a,b?replicas=true&near=64M&ca=/etc/ca.pem");
    assert_int_equal(s.kind, MG_REDIS_CLUSTER);
    assert_true(s.tls);
    assert_true(s.replicas);
    assert_int_equal(s.near_bytes, 64 << 20);
    read_url("redis+unix:///run/redis.sock?db=1");
    assert_string_equal(s.unix_path, "/run/redis.sock");
    assert_string_equal(s.name, "redis+unix:///run/redis.sock/1");
    assert_true(mg_redis_is_url(MG_STR("redis+sentinel://a/b")));
    assert_false(mg_redis_is_url(MG_STR("memory:64M")));
}

static void refuses(const char *url, const char *text) {
    mg_error err = {""};
    mg_redis_settings_deinit(&s);
    assert_int_equal(mg_redis_settings_read(&s, mg_str_of(url), &err), MG_ECONFIG);
    if (strstr(err.text, text) == NULL) {
        fail_msg("%s: %s", url, err.text);
    }
    assert_null(strstr(err.text, "secret"));
    assert_null(strstr(s.name != NULL ? s.name : "", "secret"));
}

static void what_is_wrong_is_told_without_the_password(void **state) {
    (void)state;
    refuses("redis:h", "no URL of Redis; the form is redis://user:password@host:port");
    refuses("redis://u:secret@h/x", "the database is a number");
    refuses("redis://u:secret@h:0", "the port is no number from 1 to 65535");
    refuses("redis://u:secret@h:99999", "the port is no number");
    refuses("redis://u:secret@h?timeout=0", "timeout=0: allowed: seconds from 0.01 to 600");
    refuses("redis://u:secret@h?timout=1", "no option \"timout\" (did you mean \"timeout\"?)");
    refuses("redis://u:secret@h?connections=100",
            "connections=100: allowed: a whole number from 1 to 64");
    refuses("redis://u:secret@h?max_reply=x", "a size such as 64M");
    refuses("redis://u:secret@h?insecure=yes", "insecure=yes: allowed: true or false");
    refuses("redis://u:secret@h?replicas=true", "there is no option \"replicas\"");
    refuses("redis://u:12?secret@h", "in user and password a ? is written as %3F");
    refuses("redis://u:secret@h?ca=/x", "options of TLS, but the scheme is not rediss://");
    refuses("rediss://u:secret@h?cert=/x", "cert and key belong together");
    refuses("rediss://u:secret@h?ca=x", "ca=x: allowed: an absolute path");
    refuses("redis://u:secret@h?password_file=/x", "one of them");
    refuses("redis://u:secret%zz@h", "wrong percent code (an @ is %40");
    refuses("redis://a,b", "several hosts: those of a cluster");
    refuses("redis+sentinel://a", "the service that the sentinels watch is missing");
    refuses("redis+cluster://a/1", "a cluster has no databases but 0");
    refuses("redis+unix://run", "redis+unix:///path");
    refuses("redis://h?near=64M&resp=2", "a near cache needs resp=3");
    refuses("redis+sentinel://h/s?sentinel_password_file=secret",
            "sentinel_password_file=...: allowed: an absolute path");
}

static void a_password_may_lie_in_a_file(void **state) {
    (void)state;
    char path[] = "/tmp/mg-password-XXXXXX";
    char url[96];
    mg_buf password = {0};
    mg_error err;
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "from a file\nnot this\n", 21), 21);
    close(fd);
    snprintf(url, sizeof url, "redis://h?password_file=%s", path);
    read_url(url);
    assert_int_equal(mg_redis_settings_password(&s, false, &password, &err), MG_OK);
    assert_string_equal(password.p, "from a file");
    mg_buf_deinit(&password);
    unlink(path);
    assert_int_equal(mg_redis_settings_password(&s, false, &password, &err), MG_ECONFIG);
    read_url("redis://u:secret@h");
    assert_int_equal(mg_redis_settings_password(&s, false, &password, &err), MG_OK);
    assert_string_equal(password.p, "secret");
    mg_buf_clear(&password);
    assert_int_equal(mg_redis_settings_password(&s, true, &password, &err), MG_OK);
    assert_int_equal(password.n, 0);
    mg_buf_deinit(&password);
}

static int forget(void **state) {
    (void)state;
    mg_redis_settings_deinit(&s);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_with_all_that_is_said_of_it),
        cmocka_unit_test(what_is_not_said_has_a_default),
        cmocka_unit_test(sentinels_clusters_sockets_and_tls),
        cmocka_unit_test(what_is_wrong_is_told_without_the_password),
        cmocka_unit_test(a_password_may_lie_in_a_file),
    };
    return cmocka_run_group_tests_name("store/redis_settings", tests, NULL, forget);
}
