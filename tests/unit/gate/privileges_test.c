#include "gate/privileges.h"

#include "unit.h"

#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static mg_ids ids;
static mg_error err;

static void refused(const char *user, const char *text) {
    assert_int_equal(mg_privileges_find(user, &ids, &err), MG_ECONFIG);
    assert_string_equal(err.text, text);
}

// --- finding ---

static void a_user_is_found_with_the_group_of_its_own(void **state) {
    (void)state;
    const struct passwd *p = getpwnam("nobody");
    assert_non_null(p);
    assert_int_equal(mg_privileges_find("nobody", &ids, &err), MG_OK);
    assert_int_equal(ids.uid, p->pw_uid);
    assert_int_equal(ids.gid, p->pw_gid);
    assert_false(ids.has_group);
    assert_string_equal(ids.name, "nobody");
}

static void a_group_can_be_named(void **state) {
    (void)state;
    const struct passwd *p = getpwnam("nobody");
    assert_non_null(p);
    assert_int_equal(mg_privileges_find("nobody:root", &ids, &err), MG_OK);
    assert_int_equal(ids.uid, p->pw_uid);
    assert_int_equal(ids.gid, 0);
    assert_true(ids.has_group);
    assert_string_equal(ids.name, "nobody");
}

static void unknown_names_are_refused(void **state) {
    (void)state;
    refused("no-such-user", "user: this system knows no user \"no-such-user\"");
    refused("no-such-user:root", "user: this system knows no user \"no-such-user\"");
    refused("nobody:no-such-group", "user: this system knows no group \"no-such-group\"");
    refused("nobody:", "user: this system knows no group \"\"");
    refused("nobody:root:root", "user: this system knows no group \"root:root\"");
}

static void what_is_no_name_is_refused(void **state) {
    (void)state;
    char user[65];
    memset(user, 'x', 64);
    user[64] = '\0';
    refused("", "user: \"\" is no user's name");
    refused(":root", "user: \":root\" is no user's name");
    assert_int_equal(mg_privileges_find(user, &ids, &err), MG_ECONFIG);
    assert_non_null(strstr(err.text, "is no user's name"));
    user[63] = '\0';
    assert_int_equal(mg_privileges_find(user, &ids, &err), MG_ECONFIG);
    assert_non_null(strstr(err.text, "knows no user"));
}

// --- dropping, in a child: there is no way back ---

typedef bool check(void);

static void in_child(check *is_good) {
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        bool good = is_good();
        if (!good) {
            fprintf(stderr, "in the child: %s\n", err.text);
        }
        _exit(good ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void in_child_of_root(check *is_good) {
    if (geteuid() != 0) {
        skip();
    }
    in_child(is_good);
}

static bool become(const char *user) {
    err.text[0] = '\0';
    return mg_privileges_find(user, &ids, &err) == MG_OK && mg_privileges_drop(&ids, &err) == MG_OK;
}

static bool may_not_become(const char *user, const char *text) {
    return mg_privileges_find(user, &ids, &err) == MG_OK &&
           mg_privileges_drop(&ids, &err) == MG_ECONFIG && strcmp(err.text, text) == 0;
}

static bool is_all_of(uid_t uid, gid_t gid) {
    uid_t u[3];
    gid_t g[3];
    if (getresuid(&u[0], &u[1], &u[2]) != 0 || getresgid(&g[0], &g[1], &g[2]) != 0) {
        return false;
    }
    return u[0] == uid && u[1] == uid && u[2] == uid && g[0] == gid && g[1] == gid && g[2] == gid;
}

static bool is_in_group(gid_t gid) {
    gid_t groups[64];
    int n = getgroups(64, groups);
    for (int i = 0; i < n; i++) {
        if (groups[i] == gid) {
            return true;
        }
    }
    return n < 0;
}

static bool nobody_is_nobody(void) {
    const gid_t before[] = {0, 4242};
    return setgroups(2, before) == 0 && become("nobody") && is_all_of(ids.uid, ids.gid) &&
           !is_in_group(0) && !is_in_group(4242);
}

static void root_becomes_the_user_and_keeps_no_group(void **state) {
    (void)state;
    in_child_of_root(nobody_is_nobody);
}

static bool nobody_stays_nobody(void) {
    return become("nobody") && setuid(0) != 0 && seteuid(0) != 0 && setgid(0) != 0 &&
           setegid(0) != 0 && setgroups(0, NULL) != 0 && is_all_of(ids.uid, ids.gid);
}

static void there_is_no_way_back(void **state) {
    (void)state;
    in_child_of_root(nobody_stays_nobody);
}

static bool group_is_as_named(void) {
    return become("nobody:daemon") && is_all_of(getpwnam("nobody")->pw_uid, ids.gid) &&
           ids.gid == getgrnam("daemon")->gr_gid && is_in_group(ids.gid);
}

static void the_named_group_is_taken(void **state) {
    (void)state;
    if (getgrnam("daemon") == NULL) {
        skip();
    }
    in_child_of_root(group_is_as_named);
}

static bool nobody_is_nobody_already(void) {
    return become("nobody") && become("nobody") && is_all_of(ids.uid, ids.gid);
}

static void who_is_that_user_already_has_nothing_to_do(void **state) {
    (void)state;
    in_child_of_root(nobody_is_nobody_already);
}

static bool nobody_may_not(void) {
    return become("nobody") &&
           may_not_become("root", "user: only root can become \"root\"; start as root or as that "
                                  "user") &&
           may_not_become("nobody:root", "user: only root can become \"nobody\" with that group; "
                                         "start as root or as that user");
}

static void nobody_but_root_becomes_somebody_else(void **state) {
    (void)state;
    in_child_of_root(nobody_may_not);
}

static bool root_stays(void) {
    return become("root") && is_all_of(0, ids.gid);
}

static void root_may_stay_root(void **state) {
    (void)state;
    in_child_of_root(root_stays);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_is_found_with_the_group_of_its_own),
        cmocka_unit_test(a_group_can_be_named),
        cmocka_unit_test(unknown_names_are_refused),
        cmocka_unit_test(what_is_no_name_is_refused),
        cmocka_unit_test(root_becomes_the_user_and_keeps_no_group),
        cmocka_unit_test(there_is_no_way_back),
        cmocka_unit_test(the_named_group_is_taken),
        cmocka_unit_test(who_is_that_user_already_has_nothing_to_do),
        cmocka_unit_test(nobody_but_root_becomes_somebody_else),
        cmocka_unit_test(root_may_stay_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
