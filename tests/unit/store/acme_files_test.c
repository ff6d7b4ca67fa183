// What an ACME client keeps: whole files that nobody else can read, one key for each order.
#include "store/acme_files.h"

#include "event/tls.h"
#include "event/tls_acme.h"
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], place[80];
static mg_error err;

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/acme_files_XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(place, sizeof place, "%s/var/acme/ca", folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static mode_t mode_of(const char *path) {
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static const char *file(const char *name) {
    static char path[160];
    snprintf(path, sizeof path, "%s/%s", place, name);
    return path;
}

static void a_note_is_read_again(void **state) {
    (void)state;
    mg_buf text = {0};
    mg_acme_note(place, "a.test", &text);
    assert_int_equal(text.n, 0);
    assert_int_equal(mg_acme_set_note(place, "a.test", MG_STR("{\"a\":1}"), &err), MG_OK);
    assert_int_equal(mg_acme_set_note(place, "a.test", MG_STR("{}"), &err), MG_OK);
    mg_acme_note(place, "a.test", &text);
    assert_text("{}", mg_buf_str(&text));
    assert_int_equal(mode_of(file("a.test.json")), 0600);
    assert_int_equal(mode_of(place), 0700);
    assert_int_equal(access(file("a.test.new"), F_OK), -1);
    mg_buf_deinit(&text);
}

static void the_account_has_one_key(void **state) {
    (void)state;
    mg_buf jwk[2] = {{0}};
    mg_buf thumbprint = {0};
    mg_buf jws = {0};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mg_acme_account(place, &jwk[i], &thumbprint, &err), MG_OK);
    }
    assert_true(mg_str_eq(mg_buf_str(&jwk[0]), mg_buf_str(&jwk[1])));
    assert_int_equal(mode_of(file("_account.pem")), 0600);
    assert_int_equal(mg_acme_account_sign(place, MG_STR("{}"), MG_STR(""), &jws, &err), MG_OK);
    assert_true(jws.n > 0);
    FILE *f = fopen(file("_account.pem"), "w"); // an account would be lost with it
    fputs("no key", f);
    fclose(f);
    assert_int_equal(mg_acme_account_sign(place, MG_STR("{}"), MG_STR(""), &jws, &err), MG_ECONFIG);
    assert_non_null(strstr(err.text, "_account.pem: expected: an ECDSA key"));
    mg_buf_deinit(&jwk[0]);
    mg_buf_deinit(&jwk[1]);
    mg_buf_deinit(&thumbprint);
    mg_buf_deinit(&jws);
}

// What an issuer would make of it: signed by itself, with the key of the order.
static mg_buf issued_with(const char *key_file, const char *domain) {
    char command[400];
    mg_buf pem = {0};
    snprintf(command, sizeof command,
             "openssl req -x509 -new -key %s -days 9 -subj /CN=x -addext subjectAltName=DNS:%s",
             key_file, domain);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    size_t n;
    while ((n = fread(mg_buf_reserve(&pem, 4096), 1, 4096, f)) > 0) {
        pem.n += n;
    }
    assert_int_equal(pclose(f), 0);
    return pem;
}

static void what_is_issued_is_kept_with_its_key(void **state) {
    (void)state;
    int64_t from, to;
    mg_buf request[2] = {{0}};
    mg_buf id = {0};
    assert_int_equal(mg_acme_order_request(place, "a.test", &request[0], &err), MG_OK);
    mg_buf pem = issued_with(file("a.test.next"), "a.test");
    assert_false(mg_acme_kept(place, "a.test", &from, &to, &id));
    assert_int_equal(mg_acme_keep(place, "a.test", mg_buf_str(&pem), &err), MG_OK);
    assert_int_equal(mode_of(file("a.test.pem")), 0600);
    assert_int_equal(access(file("a.test.next"), F_OK), -1);
    assert_true(mg_acme_kept(place, "a.test", &from, &to, &id));
    assert_int_equal(to - from, 9 * 86400);
    assert_true(id.n > 20); // openssl names the issuer's key
    mg_buf_deinit(&pem);
    mg_buf_deinit(&request[0]);
    mg_buf_deinit(&id);
}

static void what_does_not_fit_is_not_kept(void **state) {
    (void)state;
    int64_t from, to;
    mg_buf request = {0};
    mg_buf id = {0};
    assert_int_equal(mg_acme_order_request(place, "a.test", &request, &err), MG_OK);
    mg_buf other = issued_with(file("a.test.next"), "b.test");
    assert_int_equal(mg_acme_keep(place, "a.test", mg_buf_str(&other), &err), MG_ECONFIG);
    assert_non_null(strstr(err.text, "is not for a.test"));
    mg_buf_deinit(&other);
    assert_int_equal(mg_acme_order_request(place, "c.test", &request, &err), MG_OK);
    mg_buf foreign = issued_with(file("c.test.next"), "a.test");
    assert_int_equal(mg_acme_keep(place, "a.test", mg_buf_str(&foreign), &err), MG_ECONFIG);
    assert_non_null(strstr(err.text, "does not fit"));
    assert_int_equal(mg_acme_keep(place, "a.test", MG_STR("nothing"), &err), MG_ECONFIG);
    assert_false(mg_acme_kept(place, "a.test", &from, &to, &id));
    assert_int_equal(access(file("a.test.next"), F_OK), 0); // the order goes on with it
    mg_buf_deinit(&foreign);
    mg_buf_deinit(&request);
}

static void one_process_has_the_lease(void **state) {
    (void)state;
    char base[100];
    int status;
    snprintf(base, sizeof base, "%s/var/acme", folder);
    pid_t child = fork();
    if (child == 0) {
        _exit(mg_acme_lease(base, &err) == MG_OK && mg_acme_lease(base, &err) == MG_OK ? 0 : 1);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(mg_acme_lease(base, &err), MG_OK); // the other one has ended
    child = fork();
    if (child == 0) {
        char again[110];
        snprintf(again, sizeof again, "%s/.", base); // not by the name that is held here
        _exit(mg_acme_lease(again, &err) == MG_EAGAIN ? 0 : 1);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
}

static void a_folder_of_others_is_refused(void **state) {
    (void)state;
    char open[80];
    snprintf(open, sizeof open, "%s/open", folder);
    assert_int_equal(mkdir(open, 0700), 0);
    assert_int_equal(chmod(open, 0777), 0);
    assert_int_equal(mg_acme_lease(open, &err), MG_ECONFIG);
    assert_non_null(strstr(err.text, "/open: private keys are kept there"));
    assert_int_equal(mg_acme_set_note(open, "a.test", MG_STR("{}"), &err), MG_ECONFIG);
}

#define ONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        ONE(a_note_is_read_again),
        ONE(the_account_has_one_key),
        ONE(what_is_issued_is_kept_with_its_key),
        ONE(what_does_not_fit_is_not_kept),
        ONE(one_process_has_the_lease),
        ONE(a_folder_of_others_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
