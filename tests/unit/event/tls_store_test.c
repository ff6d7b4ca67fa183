// A store is filled from files and read again; what the calendar says of it.
#include "event/tls_store.h"

#include "event/tls_store_inside.h"
#include "tls_certificates.h"
#include "tls_server.h"

#include <sys/stat.h>
#include <time.h>

static mg_tls_store *store;
static mg_buf warnings;
static mg_error err;

static int fill(const mg_tls_wanted *wanted, size_t n, const mg_tls_store *before) {
    mg_buf_clear(&warnings);
    err.text[0] = '\0';
    int fd = mg_snapshot_memfd();
    int rc = mg_tls_store_write(fd, wanted, n, before, &warnings, &err);
    if (rc != MG_OK) {
        close(fd);
        store = NULL;
        return rc;
    }
    return mg_tls_store_open(&store, fd, &err);
}

static int fill_one(const mg_tls_settings *s) {
    return fill(&(mg_tls_wanted){":1", "conf: listen[1].tls", s}, 1, NULL);
}

static int tear_down_store(void **state) {
    (void)state;
    mg_tls_store_unref(store);
    store = NULL;
    mg_buf_deinit(&warnings);
    return 0;
}

static uint32_t source_of(const char *address) {
    mg_tls_section section;
    assert_true(mg_tls_store_section(store, address, &section));
    return section.source;
}

// The file of the first certificate for a name; "": none.
static const char *file_for(const char *name) {
    static char shown[200];
    mg_tls_choice choice;
    mg_tls_about about;
    mg_str file;
    if (!mg_tls_store_find(store, source_of(":1"), mg_str_of(name), &choice)) {
        return "";
    }
    assert_true(choice.n >= 1);
    mg_tls_store_about(store, choice.ids[0], &about, &file);
    snprintf(shown, sizeof shown, "%.*s", (int)file.n, file.p);
    return strrchr(shown, '/') + 1;
}

// Of the last few calls.
static mg_tls_files pair(const char *name) {
    static char paths[16][2][200];
    static int turn;
    char(*p)[200] = paths[turn++ % 16];
    snprintf(p[0], sizeof p[0], "%s/%s.pem", folder, name);
    snprintf(p[1], sizeof p[1], "%s/%s.key", folder, name);
    return (mg_tls_files){p[0], p[1]};
}

static void a_name_finds_its_certificate(void **state) {
    (void)state;
    const mg_tls_files files[] = {pair("many"), pair("good")};
    assert_int_equal(fill_one(&(mg_tls_settings){.files = files, .file_count = 2}), MG_OK);
    assert_int_equal(mg_tls_store_count(store), 2);
    assert_string_equal(file_for("good.test"), "good.pem");
    assert_string_equal(file_for("x.wild.test"), "good.pem");
    assert_string_equal(file_for("127.0.0.1"), "good.pem");
    assert_string_equal(file_for("g"), "many.pem");
    static const char *const nobody[] = {"",           "wild.test",  "a.b.wild.test", "*.wild.test",
                                         ".wild.test", "other.test", "x@y.z"};
    for (size_t i = 0; i < sizeof nobody / sizeof *nobody; i++) {
        assert_string_equal(file_for(nobody[i]), "");
    }
    mg_tls_choice standard;
    mg_tls_store_default(store, source_of(":1"), &standard);
    assert_int_equal(standard.n, 1);
    assert_int_equal(standard.ids[0], 0);
    assert_non_null(mg_tls_store_pair(store, 1));
    assert_null(mg_tls_store_pair(store, 2));
}

static void a_folder_holds_pairs(void **state) {
    (void)state;
    char sub[200];
    snprintf(sub, sizeof sub, "%s", path_of("sub"));
    assert_int_equal(mkdir(sub, 0700), 0);
    assert_int_equal(fill_one(&(mg_tls_settings){.folder = sub}), MG_ECONFIG);
    assert_non_null(strstr(err.text, "holds no certificate"));
    make("sub/b", "DNS:b.test", NULL, 30);
    make("sub/a", "DNS:a.test", NULL, 30);
    make("sub/default", "DNS:d.test", NULL, 30);
    assert_int_equal(fill_one(&(mg_tls_settings){.folder = sub}), MG_OK);
    assert_int_equal(mg_tls_store_count(store), 3);
    assert_string_equal(file_for("a.test"), "a.pem");
    mg_tls_choice standard;
    mg_tls_about about;
    mg_str file;
    mg_tls_store_default(store, source_of(":1"), &standard);
    mg_tls_store_about(store, standard.ids[0], &about, &file);
    assert_non_null(strstr(file.p, "/default.pem"));
    tear_down_store(NULL);
    assert_int_equal(unlink(path_of("sub/b.key")), 0);
    assert_int_equal(fill_one(&(mg_tls_settings){.folder = sub}), MG_ECONFIG);
    assert_non_null(strstr(err.text, "/sub/b.key: No such file"));
}

static void of_many_each_is_found(void **state) {
    (void)state;
    enum { MANY = 300 };
    char place[64];
    char names[64];
    assert_int_equal(mkdir(path_of("lots"), 0700), 0);
    for (int i = 0; i < MANY; i++) {
        snprintf(place, sizeof place, "lots/%d", i);
        snprintf(names, sizeof names, "DNS:site%d.test,DNS:*.site%d.test", i, i);
        make(place, names, NULL, 30);
    }
    char lots[200];
    snprintf(lots, sizeof lots, "%s", path_of("lots"));
    assert_int_equal(fill_one(&(mg_tls_settings){.folder = lots}), MG_OK);
    assert_int_equal(mg_tls_store_count(store), MANY);
    for (int i = 0; i < MANY; i++) {
        mg_tls_choice choice;
        snprintf(names, sizeof names, i % 2 == 0 ? "site%d.test" : "www.site%d.test", i);
        assert_true(mg_tls_store_find(store, source_of(":1"), mg_str_of(names), &choice));
        const mg_tls_pair *p = mg_tls_store_pair(store, choice.ids[0]);
        assert_int_equal(X509_check_host(p->leaf, names, 0, 0, NULL), 1);
    }
    assert_string_equal(file_for("site300.test"), "");
}

static void refuses(const mg_tls_files *files, const char *file, const char *why) {
    assert_int_equal(fill_one(&(mg_tls_settings){.files = files, .file_count = 1}), MG_ECONFIG);
    assert_memory_equal(err.text, "conf: listen[1].tls: /", 22);
    if (strstr(err.text, file) == NULL || strstr(err.text, why) == NULL) {
        fail_msg("%s", err.text);
    }
}

static void what_does_not_fit_names_the_file(void **state) {
    (void)state;
    mg_tls_files files = pair("good");
    files.key = path_of("many.key");
    refuses(&files, "many.key", "does not fit the certificate in ");
    files = pair("good");
    files.cert = path_of("good.key");
    refuses(&files, "good.key", "a certificate chain in PEM form");
    files = pair("good");
    files.key = path_of("none.key");
    refuses(&files, "none.key", "No such file");
    files.key = path_of("ca.pem");
    refuses(&files, "ca.pem", "private key in PEM form");
}

static void both_kinds_of_keys_stand_side_by_side(void **state) {
    (void)state;
    identity rsa = {X509_new(), EVP_RSA_gen(2048)};
    X509_set_version(rsa.certificate, 2);
    X509_gmtime_adj(X509_getm_notBefore(rsa.certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(rsa.certificate), 30 * 86400L);
    X509_set_pubkey(rsa.certificate, rsa.key);
    add_extension(rsa.certificate, NID_subject_alt_name, "DNS:good.test");
    assert_true(X509_sign(rsa.certificate, rsa.key, EVP_sha256()) > 0);
    save(&rsa, "rsa.pem", "rsa.key");
    drop_identity(&rsa);
    const mg_tls_files files[] = {pair("good"), pair("rsa"), pair("strange")};
    assert_int_equal(fill_one(&(mg_tls_settings){.files = files, .file_count = 3}), MG_OK);
    mg_tls_choice choice;
    assert_true(mg_tls_store_find(store, source_of(":1"), MG_STR("good.test"), &choice));
    assert_int_equal(choice.n, 2);
    assert_int_equal(choice.ids[1], 1);
    mg_tls_store_default(store, source_of(":1"), &choice);
    assert_int_equal(choice.n, 2);
    mg_buf_append_char(&warnings, '\0');
    assert_non_null(strstr(warnings.p, "several certificates are for good.test"));
}

static void what_has_not_changed_is_not_read_again(void **state) {
    (void)state;
    const mg_tls_files files[] = {pair("good"), pair("many")};
    const mg_tls_settings s = {.files = files, .file_count = 2};
    const mg_tls_wanted wanted = {":1", "here", &s};
    assert_int_equal(fill(&wanted, 1, NULL), MG_OK);
    mg_tls_store *first = store;
    assert_int_equal(fill(&wanted, 1, first), MG_OK);
    assert_true(mg_tls_store_same(first, store));
    mg_tls_store_unref(store);
    make("many", "DNS:new.test", NULL, 30);
    assert_int_equal(fill(&wanted, 1, first), MG_OK);
    assert_false(mg_tls_store_same(first, store));
    assert_string_equal(file_for("new.test"), "many.pem");
    assert_string_equal(file_for("good.test"), "good.pem");
    mg_tls_store_unref(first);
}

static void endpoints_may_share_their_certificates(void **state) {
    (void)state;
    const mg_tls_files good = pair("good");
    const mg_tls_files many = pair("many");
    const mg_tls_settings a = {.files = &good, .file_count = 1};
    const mg_tls_settings b = {.files = &good,
                               .file_count = 1,
                               .minimum = MG_TLS_1_3,
                               .client = MG_TLS_CLIENT_REQUEST,
                               .client_ca = path_of("ca.pem")};
    const mg_tls_settings other = {.files = &many, .file_count = 1};
    const mg_tls_wanted wanted[] = {{":1", "a", &a}, {":2", "b", &b}, {":3", "c", &other}};
    assert_int_equal(fill(wanted, 3, NULL), MG_OK);
    assert_int_equal(mg_tls_store_count(store), 2);
    assert_int_equal(source_of(":1"), source_of(":2"));
    assert_int_not_equal(source_of(":1"), source_of(":3"));
    mg_tls_section section;
    assert_true(mg_tls_store_section(store, ":2", &section));
    assert_int_equal(section.minimum, MG_TLS_1_3);
    assert_int_equal(section.client, MG_TLS_CLIENT_REQUEST);
    assert_true(section.client_ca.n > 0);
    assert_false(mg_tls_store_section(store, ":4", &section));
}

static void few_are_loaded_at_a_time(void **state) {
    (void)state;
    enum { COUNT = MG_TLS_LOADED + 3 };
    static mg_tls_files files[COUNT];
    const mg_tls_files good = pair("good");
    for (size_t i = 0; i < COUNT; i++) {
        files[i] = good;
    }
    assert_int_equal(fill_one(&(mg_tls_settings){.files = files, .file_count = COUNT}), MG_OK);
    for (uint32_t id = 0; id < COUNT; id++) {
        assert_non_null(mg_tls_store_pair(store, id));
        assert_non_null(mg_tls_store_pair(store, 0)); // asked for all the time: it stays
    }
}

static void a_hidden_store_has_no_descriptor(void **state) {
    (void)state;
    const mg_tls_files files = pair("good");
    assert_int_equal(fill_one(&(mg_tls_settings){.files = &files, .file_count = 1}), MG_OK);
    int fd = mg_tls_store_fd(store);
    mg_tls_store_hide(store);
    assert_int_equal(mg_tls_store_fd(store), -1);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_non_null(mg_tls_store_pair(store, 0));
}

// --- the calendar ---

static void judged(const mg_tls_store *before, bool starts, const char *faults, const char *errors,
                   const char *soon) {
    mg_tls_verdict v;
    mg_tls_judge(store, before, starts, (int64_t)time(NULL), &v);
    const char *const want[] = {faults, errors, soon};
    mg_buf *const got[] = {&v.faults, &v.errors, &v.warnings};
    for (size_t i = 0; i < 3; i++) {
        mg_buf_append_char(got[i], '\0');
        if (want[i] == NULL ? got[i]->n > 1 : strstr(got[i]->p, want[i]) == NULL) {
            fail_msg("%zu: %s", i, got[i]->p);
        }
    }
    mg_tls_verdict_deinit(&v);
}

static void an_expired_one_is_refused_unless_it_is_served_already(void **state) {
    (void)state;
    const mg_tls_files files = pair("expired");
    const mg_tls_settings s = {.files = &files, .file_count = 1};
    assert_int_equal(fill_one(&s), MG_OK);
    judged(NULL, false, "expired.pem: the certificate has expired, on ", NULL, NULL);
    judged(NULL, true, NULL, "expired.pem: the certificate has expired", NULL);
    judged(store, false, NULL, "expired.pem: the certificate has expired", NULL);
}

static void the_one_that_ends_first_is_known(void **state) {
    (void)state;
    make("soon", "DNS:soon.test", NULL, 10);
    const mg_tls_files files[] = {pair("good"), pair("soon"), pair("many")};
    assert_int_equal(fill_one(&(mg_tls_settings){.files = files, .file_count = 3}), MG_OK);
    mg_str file;
    int64_t days = (mg_tls_first_end(store, &file) - (int64_t)time(NULL) + 60) / 86400;
    assert_int_equal(days, 10);
    assert_true(file.n > 9 && memcmp(file.p + file.n - 9, "/soon.pem", 9) == 0);
}

static void one_that_ends_soon_is_a_warning(void **state) {
    (void)state;
    make("soon", "DNS:soon.test", NULL, 13);
    make("later", "DNS:later.test", NULL, 15);
    const mg_tls_files files[] = {pair("soon"), pair("later")};
    assert_int_equal(fill_one(&(mg_tls_settings){.files = files, .file_count = 2}), MG_OK);
    judged(NULL, false, NULL, NULL, "soon.pem: the certificate expires in 1");
    mg_tls_verdict v;
    mg_tls_judge(store, NULL, false, (int64_t)time(NULL) - 60 * 86400, &v);
    mg_buf_append_char(&v.faults, '\0');
    assert_non_null(strstr(v.faults.p, "later.pem: the certificate is not valid before "));
    mg_tls_verdict_deinit(&v);
}

static void a_broken_chain_is_named(void **state) {
    (void)state;
    identity stranger = new_identity("Nobody's CA", NULL, NULL, 30);
    FILE *f = fopen(path_of("chained.pem"), "w");
    identity id = new_identity("someone", "DNS:chained.test", &stranger, 30);
    identity wrong = new_identity("Another CA", NULL, NULL, 30);
    PEM_write_X509(f, id.certificate);
    PEM_write_X509(f, stranger.certificate);
    fclose(f);
    f = fopen(path_of("chained.key"), "w");
    PEM_write_PrivateKey(f, id.key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    mg_tls_files files = pair("chained");
    const mg_tls_settings s = {.files = &files, .file_count = 1};
    assert_int_equal(fill_one(&s), MG_OK);
    judged(NULL, false, NULL, NULL, NULL);
    mg_tls_store_unref(store);
    f = fopen(path_of("chained.pem"), "a");
    PEM_write_X509(f, wrong.certificate);
    fclose(f);
    assert_int_equal(fill_one(&s), MG_OK);
    judged(NULL, false, "chained.pem: certificate 3 of the file has not issued the one before",
           NULL, NULL);
    drop_identity(&stranger);
    drop_identity(&id);
    drop_identity(&wrong);
}

// --- what a directory issues ---

static mg_tls_about about_of(uint32_t id) {
    mg_tls_about about;
    mg_str file;
    mg_tls_store_about(store, id, &about, &file);
    return about;
}

static void a_stand_in_is_served_until_one_is_issued(void **state) {
    (void)state;
    static const char *const domains[] = {"new.test", "good.test"};
    char place[200];
    snprintf(place, sizeof place, "%s", path_of("issued"));
    const mg_tls_settings s = {.acme = {.on = true, .domains = {domains, 2}, .place = place}};
    const mg_tls_wanted wanted = {":1", "conf: listen[1].tls", &s};
    assert_int_equal(fill(&wanted, 1, NULL), MG_OK); // there is not even a folder
    mg_buf_append_char(&warnings, '\0');
    assert_non_null(strstr(warnings.p, "conf: listen[1].tls: new.test: no certificate yet, a "
                                       "self-signed one is served"));
    assert_int_equal(mg_tls_store_count(store), 2);
    assert_true(about_of(0).issued);
    const mg_tls_pair *p = mg_tls_store_pair(store, 0);
    assert_int_equal(X509_check_host(p->leaf, "new.test", 0, 0, NULL), 1);
    mg_tls_store *first = store;
    assert_int_equal(fill(&wanted, 1, first), MG_OK);
    assert_true(mg_tls_store_same(first, store)); // the same one
    mg_tls_store_unref(store);

    assert_int_equal(mkdir(place, 0700), 0);
    identity id = new_identity("someone", "DNS:good.test", NULL, 3);
    save(&id, "issued/good.test.pem", NULL);
    FILE *f = fopen(path_of("issued/good.test.pem"), "a");
    PEM_write_PrivateKey(f, id.key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    f = fopen(path_of("issued/new.test.pem"), "w");
    fputs("half of it", f);
    fclose(f);
    assert_int_equal(fill(&wanted, 1, first), MG_OK);
    assert_string_equal(file_for("good.test"), "good.test.pem");
    mg_buf_append_char(&warnings, '\0');
    assert_non_null(strstr(warnings.p, ": new.test: no certificate yet"));
    assert_null(strstr(warnings.p, ": good.test: no certificate yet"));
    assert_non_null(strstr(warnings.p, "issued/new.test.pem: "));
    assert_null(strstr(warnings.p, "good.test: no certificate yet"));
    mg_tls_store_unref(first);
    drop_identity(&id);
}

static void who_renews_it_is_not_warned(void **state) {
    (void)state;
    static const char *const domains[] = {"late.test"};
    char place[200];
    snprintf(place, sizeof place, "%s", path_of("late"));
    const mg_tls_settings s = {.acme = {.on = true, .domains = {domains, 1}, .place = place}};
    assert_int_equal(mkdir(place, 0700), 0);
    identity id = new_identity("someone", "DNS:late.test", NULL, 3);
    save(&id, "late/late.test.pem", NULL);
    FILE *f = fopen(path_of("late/late.test.pem"), "a");
    PEM_write_PrivateKey(f, id.key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    assert_int_equal(fill_one(&s), MG_OK);
    judged(NULL, false, NULL, NULL, NULL);
    mg_tls_verdict v; // nor refused when it is too late: it is an error until it is renewed
    mg_tls_judge(store, NULL, false, (int64_t)time(NULL) + 4 * 86400, &v);
    assert_int_equal(v.faults.n, 0);
    assert_true(v.errors.n > 0);
    mg_tls_verdict_deinit(&v);
    drop_identity(&id);
}

#define ONE(f) cmocka_unit_test_teardown(f, tear_down_store)

int main(void) {
    const struct CMUnitTest tests[] = {
        ONE(a_name_finds_its_certificate),
        ONE(a_folder_holds_pairs),
        ONE(of_many_each_is_found),
        ONE(what_does_not_fit_names_the_file),
        ONE(both_kinds_of_keys_stand_side_by_side),
        ONE(what_has_not_changed_is_not_read_again),
        ONE(endpoints_may_share_their_certificates),
        ONE(few_are_loaded_at_a_time),
        ONE(a_hidden_store_has_no_descriptor),
        ONE(an_expired_one_is_refused_unless_it_is_served_already),
        ONE(one_that_ends_soon_is_a_warning),
        ONE(the_one_that_ends_first_is_known),
        ONE(a_broken_chain_is_named),
        ONE(a_stand_in_is_served_until_one_is_issued),
        ONE(who_renews_it_is_not_warned),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
