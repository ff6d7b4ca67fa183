#include "gate/services.h"

#include "unit.h"

#include <stdlib.h>
#include <unistd.h>

static mg_loop *loop;
static mg_shm *shm;
static mg_error err;

static int set_up(void **state) {
    (void)state;
    assert_int_equal(mg_loop_new(&loop, &(mg_loop_options){0}), 0);
    assert_int_equal(mg_shm_new(&shm, 1 << 20, &err), MG_OK);
    return mg_cache_prepare(shm, &err);
}

static int tear_down(void **state) {
    (void)state;
    mg_shm_free(shm);
    return mg_loop_free(loop);
}

static void on_warning(void *arg, const char *text) {
    (void)arg;
    (void)text;
}

static int open_set(mg_service_set **out, const char *json, mg_service_set *before) {
    mg_config c;
    mg_buf faults = {0};
    if (mg_config_init(&c, "f", mg_str_of(json), &faults) != MG_OK) {
        fail_msg("%.*s", (int)faults.n, faults.p);
    }
    const mg_service_options o = {
        .config = &c, .before = before, .shm = shm, .holder = 1, .on_warning = on_warning};
    int rc = mg_service_set_new(out, loop, &o, &err);
    mg_config_deinit(&c);
    mg_buf_deinit(&faults);
    return rc;
}

static mg_service_set *set_of(const char *json, mg_service_set *before) {
    mg_service_set *s = NULL;
    if (open_set(&s, json, before) != MG_OK) {
        fail_msg("%s", err.text);
    }
    return s;
}

static mg_database *database(const mg_service_set *s, const char *name) {
    const mg_services *lent = mg_service_set_lent(s);
    for (uint32_t i = 0; i < lent->database_count; i++) {
        if (strcmp(lent->databases[i].name, name) == 0) {
            return lent->databases[i].database;
        }
    }
    return NULL;
}

#define A_AND_B "\"database\":{\"a\":\"sqlite::memory:\",\"b\":\"sqlite::memory:\"}"

// The sets of two configurations, the second behind the first.
static mg_service_set *first, *second;

static void reload(const char *from, const char *to) {
    first = set_of(from, NULL);
    second = set_of(to, first);
}

static bool same_client(void) {
    return mg_service_set_lent(first)->client == mg_service_set_lent(second)->client;
}

static bool same_database(const char *name) {
    return database(first, name) == database(second, name);
}

static void end(void) {
    mg_service_set_unref(first);
    mg_service_set_unref(second);
}

static void all_is_lent(void **state) {
    (void)state;
    first = set_of("{" A_AND_B "}", NULL);
    const mg_services *lent = mg_service_set_lent(first);
    assert_non_null(lent->client);
    assert_non_null(lent->cache);
    assert_int_equal(lent->database_count, 2);
    assert_non_null(database(first, "a"));
    assert_ptr_not_equal(database(first, "a"), database(first, "b"));
    mg_service_set_unref(first);
}

static void what_does_not_change_is_shared(void **state) {
    (void)state;
    reload("{" A_AND_B "}", "{" A_AND_B ",\"workers\":3,\"limits\":{\"body\":7}}");
    assert_true(same_client());
    assert_true(same_database("a"));
    assert_true(same_database("b"));
    assert_ptr_equal(mg_service_set_lent(first)->cache, mg_service_set_lent(second)->cache);
    end();
}

static void a_changed_database_changes_nothing_else(void **state) {
    (void)state;
    char path[] = "/tmp/moongate_test.XXXXXX";
    char json[200];
    close(mkstemp(path));
    snprintf(json, sizeof json, "{\"database\":{\"a\":\"sqlite::memory:\",\"b\":\"sqlite:%s\"}}",
             path);
    reload("{" A_AND_B "}", json);
    assert_true(same_client());
    assert_true(same_database("a"));
    assert_false(same_database("b"));
    end();
    unlink(path);
}

static void a_database_is_known_by_its_name(void **state) {
    (void)state;
    reload("{" A_AND_B "}", "{\"database\":{\"c\":\"sqlite::memory:\"}}");
    assert_int_equal(mg_service_set_lent(second)->database_count, 1);
    assert_ptr_not_equal(database(second, "c"), database(first, "a"));
    assert_ptr_not_equal(database(second, "c"), database(first, "b"));
    end();
}

static void what_the_client_is_made_from_gives_another_one(void **state) {
    (void)state;
    static const char *const others[] = {
        "{" A_AND_B ",\"http\":{\"connections\":3}}",
        "{" A_AND_B ",\"http\":{\"idle\":3}}",
        "{" A_AND_B ",\"http\":{\"deny\":[\"private\"]}}",
        "{" A_AND_B ",\"limits\":{\"header_bytes\":4096}}",
        "{" A_AND_B ",\"limits\":{\"header_fields\":9}}",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        reload("{" A_AND_B "}", others[i]);
        assert_false(same_client());
        assert_true(same_database("a"));
        end();
    }
}

static void what_is_shared_outlives_the_set_before(void **state) {
    (void)state;
    reload("{" A_AND_B "}", "{" A_AND_B "}");
    mg_service_set_unref(first);
    mg_database_stats stats;
    mg_database_read_stats(database(second, "a"), &stats);
    assert_int_equal(stats.statements, 0);
    mg_service_set_unref(second);
}

static void a_database_that_cannot_be_opened_names_its_key(void **state) {
    (void)state;
    mg_service_set *s = NULL;
    first = set_of("{}", NULL);
    assert_int_not_equal(
        open_set(&s, "{\"database\":{\"a\":\"sqlite::memory:\",\"b\":\"sqlite:/dev/null/x\"}}",
                 first),
        MG_OK);
    assert_null(s);
    assert_memory_equal(err.text, "f: database: ", 13);
    mg_service_set_unref(first);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(all_is_lent),
        TEST(what_does_not_change_is_shared),
        TEST(a_changed_database_changes_nothing_else),
        TEST(a_database_is_known_by_its_name),
        TEST(what_the_client_is_made_from_gives_another_one),
        TEST(what_is_shared_outlives_the_set_before),
        TEST(a_database_that_cannot_be_opened_names_its_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
