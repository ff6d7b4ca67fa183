// What is read once, and what is read again.
#include "event/tls_cache.h"

#include "tls_rig.h"

static mg_tls_cache *cache;
static char ca_pem[160], good_pem[160], good_key[160];

typedef struct asked {
    mg_tls_wait wait;
    mg_tls_context *context;
    char fault[1024];
    bool told;
} asked;

static void on_context(mg_tls_wait *w, mg_tls_context *context, const char *fault) {
    asked *a = MG_OF(w, asked, wait);
    a->told = true;
    a->context = context;
    snprintf(a->fault, sizeof a->fault, "%s", fault);
}

static int ask(const mg_tls_demands *d, asked *a) {
    mg_error err;
    *a = (asked){.wait.on_context = on_context};
    mg_link_init(&a->wait.link);
    int rc = mg_tls_cache_get(cache, d, &a->wait, &a->context, &err);
    assert_false(a->told); // never inside
    return rc;
}

static void wait_for(const asked *a) {
    while (!a->told) {
        mg_loop_turn(loop, true, true, UINT64_MAX);
    }
}

static mg_tls_context *get(const mg_tls_demands *d, asked *a) {
    if (ask(d, a) == MG_EAGAIN) {
        wait_for(a);
    }
    return a->context;
}

static void new_cache(const char *ca, mg_str text) {
    mg_tls_cache_free(cache);
    cache = mg_tls_cache_new(loop, ca, text);
}

static int set_up_cache(void **state) {
    set_up(state);
    new_cache(NULL, (mg_str){0});
    snprintf(ca_pem, sizeof ca_pem, "%s", path_of("ca.pem"));
    snprintf(good_pem, sizeof good_pem, "%s", path_of("good.pem"));
    snprintf(good_key, sizeof good_key, "%s", path_of("good.key"));
    return 0;
}

static int tear_down_cache(void **state) {
    mg_tls_cache_free(cache);
    cache = NULL;
    return tear_down(state);
}

static void what_cannot_be_read_takes_the_place_of_nothing(void **state) {
    (void)state;
    asked a;
    const mg_tls_demands blind = {.insecure = true};
    mg_tls_context *good = get(&blind, &a);
    assert_non_null(good);
    for (int i = 0; i < 2 * MG_TLS_CACHED; i++) {
        assert_null(get(&(mg_tls_demands){.ca = "/nowhere/ca.pem"}, &a));
        assert_non_null(strstr(a.fault, "/nowhere/ca.pem"));
    }
    assert_int_equal(ask(&blind, &a), MG_OK);
    assert_ptr_equal(a.context, good);
}

static void each_demand_has_a_context_of_its_own(void **state) {
    (void)state;
    const mg_tls_demands all[] = {
        {.ca = ca_pem},
        {.ca = ca_pem, .alpn = "h2"},
        {.ca = ca_pem, .alpn = "http/1.1"},
        {.insecure = true},
        {.insecure = true, .cert = good_pem, .key = good_key},
    };
    enum { N = sizeof all / sizeof *all };
    mg_tls_context *first[N];
    asked a;
    for (size_t i = 0; i < N; i++) {
        first[i] = get(&all[i], &a);
        assert_non_null(first[i]);
    }
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(ask(&all[i], &a), MG_OK);
        for (size_t j = 0; j < N; j++) {
            assert_int_equal(a.context == first[j], i == j);
        }
    }
}

static void the_one_that_came_first_makes_room(void **state) {
    (void)state;
    asked a;
    char names[MG_TLS_CACHED + 1][16];
    for (int i = 0; i <= MG_TLS_CACHED; i++) {
        snprintf(names[i], sizeof names[i], "p%d", i);
        assert_non_null(get(&(mg_tls_demands){.insecure = true, .alpn = names[i]}, &a));
    }
    assert_int_equal(ask(&(mg_tls_demands){.insecure = true, .alpn = names[1]}, &a), MG_OK);
    assert_int_equal(ask(&(mg_tls_demands){.insecure = true, .alpn = names[0]}, &a), MG_EAGAIN);
    wait_for(&a);
}

// The same content in another file.
static void replace(const char *name) {
    char command[400];
    snprintf(command, sizeof command, "cd '%s' && cp '%s' fresh && mv fresh '%s'", folder, name,
             name);
    assert_int_equal(system(command), 0);
}

static void a_file_that_has_changed_is_read_again(void **state) {
    (void)state;
    asked a;
    const mg_tls_demands d = {.ca = ca_pem, .cert = good_pem, .key = good_key};
    static const char *const files[] = {"ca.pem", "good.pem", "good.key"};
    for (size_t i = 0; i < 3; i++) {
        mg_tls_context *first = mg_tls_ref(get(&d, &a)); // so that its place in memory is not taken
        assert_int_equal(ask(&d, &a), MG_OK);
        assert_ptr_equal(a.context, first);
        replace(files[i]);
        assert_int_equal(ask(&d, &a), MG_EAGAIN);
        wait_for(&a);
        assert_non_null(a.context);
        assert_ptr_not_equal(a.context, first);
        mg_tls_unref(first);
    }
    mg_tls_demands gone = d;
    gone.ca = "/nowhere/ca.pem";
    assert_null(get(&gone, &a));
}

static void a_key_that_does_not_fit_is_named(void **state) {
    (void)state;
    asked a;
    const mg_tls_demands d = {
        .insecure = true, .cert = path_of("good.pem"), .key = path_of("strange.key")};
    assert_null(get(&d, &a));
    assert_non_null(strstr(a.fault, "strange.key"));
}

static void what_was_read_already_is_trusted_as_it_was(void **state) {
    (void)state;
    asked a;
    const mg_tls_demands own = {0};
    new_cache("/nowhere/ca.pem", MG_STR("no PEM"));
    assert_null(get(&own, &a));
    assert_non_null(strstr(a.fault, "/nowhere/ca.pem: "));
    static char pem[8192];
    FILE *f = fopen(path_of("ca.pem"), "r");
    size_t n = fread(pem, 1, sizeof pem, f);
    fclose(f);
    new_cache("/nowhere/ca.pem", (mg_str){pem, n});
    assert_non_null(get(&own, &a));
}

static void a_store_is_read_once_for_all_who_wait(void **state) {
    (void)state;
    asked a[3];
    const mg_tls_demands system = {0};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask(&system, &a[i]), MG_EAGAIN);
    }
    mg_link_remove(&a[1].wait.link); // waits no more
    wait_for(&a[0]);
    wait_for(&a[2]);
    assert_false(a[1].told);
    assert_non_null(a[0].context);
    assert_ptr_equal(a[0].context, a[2].context);
    assert_int_equal(ask(&system, &a[1]), MG_OK);
    assert_ptr_equal(a[1].context, a[0].context);
}

// The loop waits for the thread at its end.
static void a_cache_may_go_while_a_store_is_read(void **state) {
    (void)state;
    asked a;
    assert_int_equal(ask(&(mg_tls_demands){0}, &a), MG_EAGAIN);
    mg_tls_cache_free(cache);
    cache = NULL;
    assert_true(mg_link_alone(&a.wait.link));
    turn_times(loop, 1);
    assert_false(a.told);
    mg_tls_cache_free(NULL);
}

#undef EACH
#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up_cache, tear_down_cache)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(what_cannot_be_read_takes_the_place_of_nothing),
        EACH(each_demand_has_a_context_of_its_own),
        EACH(the_one_that_came_first_makes_room),
        EACH(a_file_that_has_changed_is_read_again),
        EACH(a_key_that_does_not_fit_is_named),
        EACH(what_was_read_already_is_trusted_as_it_was),
        EACH(a_store_is_read_once_for_all_who_wait),
        EACH(a_cache_may_go_while_a_store_is_read),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
