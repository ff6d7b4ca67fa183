#include "gate/access_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const mg_access_record ordinary = {
    .method = {"GET", 3},
    .target = {"/users/7?full=1", 15},
    .host = {"example.org", 11},
    .referer = {"http://a/", 9},
    .user_agent = {"curl/7.88", 9},
    .request_id = {"r-1", 3},
    .route = {"/users/:id", 10},
    .client_ip = {"::1", 3},
    .protocol = {"HTTP/1.1", 8},
    .status = 200,
    .body_bytes_out = 12345,
    .duration_us = 1002003,
    .wall_ms = 1709210096007u,
};

static mg_texts chosen; // fields of the JSON form; none: all

// Writes the records through a log in a file and compares the whole of it.
static void check(bool json, const mg_access_record *records, size_t n, const char *expected) {
    char path[] = "/tmp/moongate-access-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    mg_log *log = NULL;
    assert_int_equal(mg_log_open(&log, &(mg_log_options){.target = path}, NULL), MG_OK);
    mg_access_log a;
    mg_access_log_init(&a, log, json);
    mg_access_log_choose(&a, &chosen);
    for (size_t i = 0; i < n; i++) {
        mg_access_log_write(&a, &records[i]);
    }
    mg_access_log_deinit(&a);
    assert_int_equal(mg_log_close(log, 60000), MG_OK);

    char text[4096];
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    unlink(path);
    assert_true(got >= 0);
    text[got] = '\0';
    assert_string_equal(text, expected);
}

static void combined_is_apaches(void **state) {
    (void)state;
    check(false, &ordinary, 1,
          "::1 - - [29/Feb/2024:12:34:56 +0000] \"GET /users/7?full=1 HTTP/1.1\" 200 12345 "
          "\"http://a/\" \"curl/7.88\"\n");
}

static void combined_shows_what_is_absent_as_a_dash(void **state) {
    (void)state;
    mg_access_record empty = {.status = 400};
    check(false, &empty, 1, "- - - [01/Jan/1970:00:00:00 +0000] \"-\" 400 0 \"-\" \"-\"\n");
}

static void combined_escapes_like_nginx(void **state) {
    (void)state;
    mg_access_record r = ordinary;
    r.target = MG_STR("/a\"b\\c\r\n\xff");
    r.user_agent = MG_STR("\x1b[31m\x7f");
    r.referer = MG_STR("\xc3\xa9");
    r.client_ip = MG_STR("1.2.3.4");
    check(false, &r, 1,
          "1.2.3.4 - - [29/Feb/2024:12:34:56 +0000] \"GET /a\\x22b\\x5Cc\\x0D\\x0A\\xFF HTTP/1.1\" "
          "200 12345 \"\\xC3\\xA9\" \"\\x1B[31m\\x7F\"\n");
}

static void a_peer_that_left_early_is_499(void **state) {
    (void)state;
    mg_access_record r = {.protocol = MG_STR("HTTP/1.0"),
                          .method = MG_STR("POST"),
                          .target = MG_STR("/"),
                          .client_ip = MG_STR("::1"),
                          .aborted = true};
    check(false, &r, 1,
          "::1 - - [01/Jan/1970:00:00:00 +0000] \"POST / HTTP/1.0\" 499 0 \"-\" \"-\"\n");
}

static void the_date_moves_with_the_second(void **state) {
    (void)state;
    mg_access_record r[3] = {{.status = 200, .wall_ms = 999},
                             {.status = 200, .wall_ms = 1000},
                             {.status = 200, .wall_ms = 999}};
    check(false, r, 3,
          "- - - [01/Jan/1970:00:00:00 +0000] \"-\" 200 0 \"-\" \"-\"\n"
          "- - - [01/Jan/1970:00:00:01 +0000] \"-\" 200 0 \"-\" \"-\"\n"
          "- - - [01/Jan/1970:00:00:00 +0000] \"-\" 200 0 \"-\" \"-\"\n");
}

static void json_has_all_keys(void **state) {
    (void)state;
    check(true, &ordinary, 1,
          "{\"time\":\"2024-02-29T12:34:56.007Z\",\"client_ip\":\"::1\",\"method\":\"GET\","
          "\"target\":\"/users/7?full=1\",\"host\":\"example.org\",\"status\":200,\"bytes\":12345,"
          "\"duration\":1.002003,\"referer\":\"http://a/\",\"user_agent\":\"curl/7.88\","
          "\"request_id\":\"r-1\",\"route\":\"/users/:id\",\"aborted\":false}\n");
}

static void json_is_valid_whatever_comes(void **state) {
    (void)state;
    mg_access_record r = {.target = MG_STR("\"\r\n\xff"), .wall_ms = 5, .aborted = true};
    check(true, &r, 1,
          "{\"time\":\"1970-01-01T00:00:00.005Z\",\"client_ip\":null,\"method\":null,"
          "\"target\":\"\\\"\\r\\n\\ufffd\",\"host\":null,\"status\":0,\"bytes\":0,"
          "\"duration\":0.000000,\"referer\":null,\"user_agent\":null,\"request_id\":null,"
          "\"route\":null,\"aborted\":true}\n");
}

static void json_tells_of_the_upstream(void **state) {
    (void)state;
    const mg_relayed relayed = {
        .upstream = MG_STR("shop"),
        .server = MG_STR("127.0.0.1:9001"),
        .tries = 2,
        .status = 502,
        .first_byte_us = 2003,
        .total_us = 3000004,
        .bytes_in = 7,
        .bytes_out = 8,
    };
    mg_access_record r = {.status = 502, .relayed = &relayed};
    check(true, &r, 1,
          "{\"time\":\"1970-01-01T00:00:00.000Z\",\"client_ip\":null,\"method\":null,"
          "\"target\":null,\"host\":null,\"status\":502,\"bytes\":0,"
          "\"duration\":0.000000,\"referer\":null,\"user_agent\":null,\"request_id\":null,"
          "\"route\":null,\"upstream\":\"shop\",\"server\":\"127.0.0.1:9001\",\"tries\":2,"
          "\"upstream_status\":502,\"connect\":null,\"first_byte\":0.002003,\"total\":3.000004,"
          "\"bytes_received\":7,\"bytes_sent\":8,\"aborted\":false}\n");
    const mg_relayed nobody = {.upstream = MG_STR("shop")};
    r.relayed = &nobody;
    check(true, &r, 1,
          "{\"time\":\"1970-01-01T00:00:00.000Z\",\"client_ip\":null,\"method\":null,"
          "\"target\":null,\"host\":null,\"status\":502,\"bytes\":0,"
          "\"duration\":0.000000,\"referer\":null,\"user_agent\":null,\"request_id\":null,"
          "\"route\":null,\"upstream\":\"shop\",\"server\":null,\"tries\":0,"
          "\"upstream_status\":null,\"connect\":null,\"first_byte\":null,\"total\":null,"
          "\"bytes_received\":0,\"bytes_sent\":0,\"aborted\":false}\n");
}

// What scripts note: in the arena, which the caller ends.
static mg_access_record with_notes(mg_arena *arena, mg_fields *noted) {
    mg_fields_init(noted, arena);
    mg_fields_add(noted, MG_STR("user"), MG_STR("7"));
    mg_fields_add(noted, MG_STR("tags"), MG_STR("[\"a\"]"));
    mg_fields_add(noted, MG_STR("status"), MG_STR("1"));
    mg_access_record r = ordinary;
    r.noted = noted;
    return r;
}

static void json_ends_with_what_scripts_note(void **state) {
    (void)state;
    mg_arena arena = {0};
    mg_fields noted;
    mg_access_record r = with_notes(&arena, &noted);
    check(true, &r, 1,
          "{\"time\":\"2024-02-29T12:34:56.007Z\",\"client_ip\":\"::1\",\"method\":\"GET\","
          "\"target\":\"/users/7?full=1\",\"host\":\"example.org\",\"status\":200,\"bytes\":12345,"
          "\"duration\":1.002003,\"referer\":\"http://a/\",\"user_agent\":\"curl/7.88\","
          "\"request_id\":\"r-1\",\"route\":\"/users/:id\",\"aborted\":false,\"user\":7,"
          "\"tags\":[\"a\"]}\n");
    check(false, &r, 1,
          "::1 - - [29/Feb/2024:12:34:56 +0000] \"GET /users/7?full=1 HTTP/1.1\" 200 12345 "
          "\"http://a/\" \"curl/7.88\"\n");
    mg_arena_deinit(&arena);
}

static void json_has_the_fields_that_are_chosen(void **state) {
    (void)state;
    static const char *const names[] = {"none", "user", "status", "route"};
    mg_arena arena = {0};
    mg_fields noted;
    mg_access_record r[] = {with_notes(&arena, &noted), ordinary};
    chosen = (mg_texts){names, 4};
    check(true, r, 2,
          "{\"user\":7,\"status\":200,\"route\":\"/users/:id\"}\n"
          "{\"status\":200,\"route\":\"/users/:id\"}\n");
    chosen = (mg_texts){names, 1};
    check(true, r, 1, "{}\n");
    chosen = (mg_texts){0};
    mg_arena_deinit(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(combined_is_apaches),
        cmocka_unit_test(combined_shows_what_is_absent_as_a_dash),
        cmocka_unit_test(combined_escapes_like_nginx),
        cmocka_unit_test(a_peer_that_left_early_is_499),
        cmocka_unit_test(json_tells_of_the_upstream),
        cmocka_unit_test(the_date_moves_with_the_second),
        cmocka_unit_test(json_has_all_keys),
        cmocka_unit_test(json_is_valid_whatever_comes),
        cmocka_unit_test(json_ends_with_what_scripts_note),
        cmocka_unit_test(json_has_the_fields_that_are_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
