#include "config/part.h"

#include "unit.h"

#include <stdlib.h>
#include <unistd.h>

static const char *const keys[] = {"http", "limits.body", NULL};

static mg_config whole, part;
static mg_buf signature;

static void load(const char *json) {
    mg_buf faults = {0};
    if (mg_config_init(&whole, "/nowhere/conf/f", mg_str_of(json), &faults) != MG_OK) {
        fail_msg("%.*s", (int)faults.n, faults.p);
    }
    mg_buf_deinit(&faults);
}

static void unload(void) {
    mg_config_deinit(&whole);
    mg_buf_deinit(&signature);
}

static bool tells_from_the_defaults(const char *json) {
    mg_buf usual = {0};
    load("{}");
    mg_config_part(&part, &whole, keys, &usual);
    mg_config_deinit(&whole);
    load(json);
    mg_config_part(&part, &whole, keys, &signature);
    bool differ = !mg_str_eq(mg_buf_str(&usual), mg_buf_str(&signature));
    mg_buf_deinit(&usual);
    unload();
    return differ;
}

static void has_what_is_named_and_nothing_else(void **state) {
    (void)state;
    load("{\"http\":{\"connections\":7,\"deny\":[\"private\"]},\"limits\":{\"body\":9}}");
    mg_config_part(&part, &whole, keys, &signature);
    assert_int_equal(part.http.connections, 7);
    assert_int_equal(part.http.deny.n, 1);
    assert_int_equal(part.limits.body, 9);
    assert_int_equal(part.limits.header_bytes, 0);
    assert_null(part.app);
    assert_int_equal(part.listen.n, 0);
    assert_string_equal(part.file, whole.file);
    unload();
}

static void a_change_of_what_is_named_shows(void **state) {
    (void)state;
    assert_true(tells_from_the_defaults("{\"http\":{\"waiting\":7}}"));
    assert_true(tells_from_the_defaults("{\"http\":{\"allow\":[\"loopback\"]}}"));
    assert_true(tells_from_the_defaults("{\"limits\":{\"body\":7}}"));
}

static void a_change_of_something_else_does_not(void **state) {
    (void)state;
    assert_false(tells_from_the_defaults("{\"database\":\"sqlite:x.db\",\"workers\":9,"
                                         "\"limits\":{\"trailers\":7},\"listen\":[\"1\"]}"));
}

static void what_lies_in_a_file_counts(void **state) {
    (void)state;
    mg_buf one = {0};
    mg_buf two = {0};
    load("{\"http\":{\"ca\":\"/ca.pem\"}}");
    whole.http.ca.text = MG_STR("one");
    mg_config_part(&part, &whole, keys, &one);
    assert_true(mg_str_eq(part.http.ca.text, MG_STR("one")));
    whole.http.ca.text = MG_STR("two");
    mg_config_part(&part, &whole, keys, &two);
    assert_false(mg_str_eq(mg_buf_str(&one), mg_buf_str(&two)));
    mg_buf_deinit(&one);
    mg_buf_deinit(&two);
    unload();
}

// A folder is not read by whoever collects the scripts.
static void a_folder_is_known_by_its_last_change(void **state) {
    (void)state;
    char folder[] = "/tmp/moongate_test.XXXXXX";
    char file[64];
    mg_buf one = {0};
    mg_buf two = {0};
    assert_non_null(mkdtemp(folder));
    load("{}");
    whole.http.ca.path = folder;
    mg_config_part(&part, &whole, keys, &one);
    snprintf(file, sizeof file, "%s/XXXXXX", folder);
    assert_non_null(mkdtemp(file)); // its time may be that of before, its size is not
    mg_config_part(&part, &whole, keys, &two);
    assert_false(mg_str_eq(mg_buf_str(&one), mg_buf_str(&two)));
    rmdir(file);
    rmdir(folder);
    mg_buf_deinit(&one);
    mg_buf_deinit(&two);
    unload();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_what_is_named_and_nothing_else),
        cmocka_unit_test(a_change_of_what_is_named_shows),
        cmocka_unit_test(a_change_of_something_else_does_not),
        cmocka_unit_test(what_lies_in_a_file_counts),
        cmocka_unit_test(a_folder_is_known_by_its_last_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
