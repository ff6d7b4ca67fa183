#include "store/postgres_settings.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static mg_pg_settings s;

static void read_url(const char *url) {
    mg_error err = {""};
    memset(&s, 0, sizeof s);
    if (mg_pg_settings_read(&s, mg_str_of(url), &err) != MG_OK) {
        fail_msg("%s", err.text);
    }
}

static const char *option(const char *key) {
    for (uint32_t i = 0; i < s.option_count; i++) {
        if (strcmp(s.keys[i], key) == 0) {
            return s.values[i];
        }
    }
    return "";
}

static void options_of_the_pool_are_ours_and_the_rest_is_libpqs(void **state) {
    (void)state;
    read_url("postgres://u:p%40ss@h:6000/d?pool=4&sslmode=require&idle=7&prepare=false");
    assert_int_equal(s.pool, 4);
    assert_int_equal(s.idle_ms, 7000);
    assert_int_equal(s.prepared, 0);
    assert_int_equal(s.host_count, 1);
    assert_string_equal(s.hosts[0], "h");
    assert_string_equal(s.ports[0], "6000");
    assert_string_equal(option("password"), "p@ss");
    assert_string_equal(option("sslmode"), "require");
    assert_string_equal(option("dbname"), "d");
    assert_string_equal(s.name, "postgres://h:6000/d");
    mg_pg_settings_deinit(&s);
}

static void hosts_are_many(void **state) {
    (void)state;
    read_url("postgresql://a,b:7,[::1]:8/d?target_session_attrs=read-write");
    assert_int_equal(s.host_count, 3);
    assert_string_equal(s.ports[0], "5432");
    assert_string_equal(s.ports[1], "7");
    assert_string_equal(s.hosts[2], "::1");
    mg_pg_settings_deinit(&s);
    read_url("postgres:///d?host=/run/pg&pool=1");
    assert_string_equal(s.hosts[0], "/run/pg");
    mg_pg_settings_deinit(&s);
    read_url("postgres://h/d?hostaddr=127.0.0.1");
    assert_true(s.resolved);
    assert_string_equal(option("hostaddr"), "127.0.0.1");
    assert_string_equal(option("host"), "h");
    mg_pg_settings_deinit(&s);
    read_url("postgres:///d");
    assert_int_equal(s.host_count, 0);
    assert_int_equal(s.pool, 16);
    mg_pg_settings_deinit(&s);
}

static void refuses(const char *url, const char *text) {
    mg_error err = {""};
    memset(&s, 0, sizeof s);
    assert_int_equal(mg_pg_settings_read(&s, mg_str_of(url), &err), MG_ECONFIG);
    assert_string_equal(err.text, text);
    assert_null(strstr(err.text, "secret"));
    mg_pg_settings_deinit(&s);
}

static void what_is_wrong_is_told_without_the_password(void **state) {
    (void)state;
    refuses("postgres://u:secret@h/d?pool=0", "pool=0: a whole number from 1 to 1000 is allowed");
    refuses("postgres://u:secret@h/d?idle=x",
            "idle=x: a whole number from 1 to 86400 is allowed (seconds)");
    refuses("postgres://u:secret@h/d?prepare=yes", "prepare=yes: true or false is allowed");
    refuses("postgres://u:secret@h/d?min=5&pool=4", "min=5 is more than pool=4");
    refuses("postgres://u:secret@h/d?password_file=x",
            "password_file: an absolute path is allowed");
#define ALLOWED                                                                                    \
    ": there is no such option, allowed: pool, min, idle, max_age, wait, queue, connect_timeout, " \
    "statements, prepare, password_file and those of libpq"
    refuses("postgres://u:secret@h/d?zzzzzzzzzzzzz=1", "zzzzzzzzzzzzz" ALLOWED);
    refuses("postgres://u:secret@h/d?sslmod=require",
            "sslmod" ALLOWED " (did you mean \"sslmode\"?)");
    refuses("postgres://u:secret@h/d?pol=4", "pol" ALLOWED " (did you mean \"pool\"?)");
    refuses("postgres://u:secret@h:x:y:z%/d", "no URL of PostgreSQL, which has the form "
                                              "postgres://user:password@host:port/name");
    refuses("postgres://u:secret@a,b,c/d?port=1,2", "3 hosts, but 2 ports");
}

static void what_libpq_would_refuse_later_is_told_at_once(void **state) {
    (void)state;
    refuses("postgres://u:secret@h/d?sslmode=requir",
            "sslmode=requir: allowed: disable allow prefer require verify-ca verify-full (did you "
            "mean \"require\"?)");
    refuses("postgres://u:secret@h/d?target_session_attrs=master",
            "target_session_attrs=master: allowed: any read-write read-only primary standby "
            "prefer-standby");
    refuses("postgres://u:secret@h:x/d", "the port x is no number from 1 to 65535");
    refuses("postgres://u:secret@a:1,b:65536/d", "the port 65536 is no number from 1 to 65535");
    refuses("postgres://h/d?hostaddr=127.0.0.1&port=0", "the port 0 is no number from 1 to 65535");
    refuses("postgres://a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q/d", "17 hosts, at most 16 are allowed");
    read_url("postgres://a:1,b/d?sslmode=&sslsni=0");
    assert_string_equal(s.ports[1], "5432");
    mg_pg_settings_deinit(&s);
}

static void a_password_that_was_not_encoded_shows_nothing_of_itself(void **state) {
    (void)state;
#define ENCODED "in user and password an @ is written as %40, a / as %2F and a ? as %3F"
    refuses("postgres://u:half@secret@h:7/d", ENCODED);
    refuses("postgres://u:half/secret@h:7/d", ENCODED);
    refuses("postgres://u:secret?half@h:7/d?pool=1", ENCODED);
    refuses("postgres://u:secret?x=y&half@h:7/d?pool=1", ENCODED);
    read_url("postgres://u@%40socket/d%40e?application_name=a@b");
    assert_string_equal(s.hosts[0], "@socket");
    assert_string_equal(option("dbname"), "d@e");
    mg_pg_settings_deinit(&s);
}

static void a_password_may_lie_in_a_file(void **state) {
    (void)state;
    char path[] = "/tmp/mg-password-XXXXXX";
    char url[96];
    char password[64] = "";
    mg_error err;
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "from a file\nnot this\n", 21), 21);
    close(fd);
    snprintf(url, sizeof url, "postgres://u@h/d?password_file=%s", path);
    read_url(url);
    assert_int_equal(mg_pg_password(&s, password, sizeof password, &err), MG_OK);
    assert_string_equal(password, "from a file");
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(mg_pg_password(&s, password, sizeof password, &err), MG_ECONFIG);
    assert_non_null(strstr(err.text, ": it is empty"));
    unlink(path);
    assert_int_equal(mg_pg_password(&s, password, sizeof password, &err), MG_ECONFIG);
    assert_non_null(strstr(err.text, ": No such file or directory"));
    assert_string_equal(password, "");
    mg_pg_settings_deinit(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_of_the_pool_are_ours_and_the_rest_is_libpqs),
        cmocka_unit_test(hosts_are_many),
        cmocka_unit_test(what_is_wrong_is_told_without_the_password),
        cmocka_unit_test(what_libpq_would_refuse_later_is_told_at_once),
        cmocka_unit_test(a_password_that_was_not_encoded_shows_nothing_of_itself),
        cmocka_unit_test(a_password_may_lie_in_a_file),
    };
    return cmocka_run_group_tests_name("store/postgres_settings", tests, NULL, NULL);
}
