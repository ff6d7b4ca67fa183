#include "reads.h"

#define LINE(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

static void reads_heads_in_a_row(void **state) {
    (void)state;
    reads("GET /a HTTP/1.1\r\nHost: x\r\nA:  b \t\r\nE:\r\n\r\nHEAD /b HTTP/1.0\r\n\r\n",
          "GET /a 1.1 keep\nHost=x\nA=b\nE=\nend\nHEAD /b 1.0 close\nend\n");
    reads("\r\nOPTIONS * HTTP/1.1\r\nHost:\r\n\r\n", "OPTIONS * 1.1 keep\nHost=\nend\n");
    reads("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT  1.1 keep\nHost=a\nend\n");
}

static void reads_upgrades_as_ordinary_requests(void **state) {
    (void)state;
    reads("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" LINE("/next"),
          "GET / 1.1 keep\nHost=a\nUpgrade=x\nConnection=upgrade\nend\nGET /next 1.1 "
          "keep\nHost=a\nend\n");
}

static void refuses_request_lines(void **state) {
    (void)state;
    reads("GET\r\n", "refused 400\n");
    reads("GET /\r\n", "refused 400\n");
    reads("GET  / HTTP/1.1\r\n", "refused 400\n");
    reads("GET / HTTP/1.1 \r\n", "refused 400\n");
    reads("GET / HTTP/2.0\r\n", "refused 505\n");
    reads("GET / http/1.1\r\n", "refused 400\n");
    reads("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "BREW / 1.1 keep\nHost=a\nend\n");
    reads("get / HTTP/1.1\r\nHost: a\r\n\r\n", "get / 1.1 keep\nHost=a\nend\n");
    reads("BREW * HTTP/1.1\r\n", "refused 400\n");
    reads("G(T / HTTP/1.1\r\n", "refused 400\n");
    reads("GET a HTTP/1.1\r\n", "refused 400\n");
}

static void refuses_tls_before_a_line_ends(void **state) {
    (void)state;
    reads_n("\x16\x03\x01\x02\x00\x01\x00", 7, "refused 400\n");
    reads("\x16", "refused 400\n");
}

static void refuses_fields(void **state) {
    (void)state;
    reads("GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n", "refused 400\n");
    reads("GET / HTTP/1.1\r\nHost: a\r\nA\r\n\r\n", "refused 400\n");
    reads("GET / HTTP/1.1\r\nHost: a\r\nA(: b\r\n\r\n", "refused 400\n");
    reads("GET / HTTP/1.1\r\nHost: a\r\nA: \x01\r\n\r\n", "refused 400\n");
    reads_n("GET / HTTP/1.1\r\nHost: a\r\nA: \0\r\n\r\n", 33, "refused 400\n");
}

static void a_wrong_request_line_is_refused_before_the_rest(void **state) {
    (void)state;
    reads("BREW / HTTP/1.2\r\n", "refused 505\n");
    reads("BREW / HTTP/1.2\r\nA: b\n", "refused 505\n");
    reads("GET / HTTP/3.0\r\n folded\r\n", "refused 505\n");
    reads("GET /\x80 HTTP/1.1\r\nA : b\r\n\r\n", "refused 400\n");
}

static void a_refused_request_still_has_a_name(void **state) {
    (void)state;
    mg_arena arena = {0};
    mg_h1_reader r;
    mg_head head;
    size_t used;
    mg_h1_reader_init(&r, &arena, &rig_head_limits);
    assert_int_equal(mg_h1_read(&r, "BREW /po", 8, &used, &head), MG_H1_MORE);
    assert_int_equal(used, 8);
    assert_int_equal(mg_h1_read(&r, "t HTTP/1.2\r\nA", 13, &used, &head), MG_H1_BAD);
    assert_text("BREW", r.method_text);
    assert_text("/pot", r.target_text);
    mg_arena_deinit(&arena);
}

typedef struct telling {
    mg_arena arena;
    mg_h1_reader r;
    mg_head head;
} telling;

// Reads a request that is refused with `status`, the input being lent for that alone.
static void tells(telling *t, const char *text, int status) {
    mg_buf lent = {0};
    size_t used;
    *t = (telling){0};
    mg_buf_append(&lent, text, strlen(text));
    mg_h1_reader_init(&t->r, &t->arena, &rig_head_limits);
    assert_int_equal(mg_h1_read(&t->r, lent.p, lent.n, &used, &t->head), MG_H1_BAD);
    assert_int_equal(t->r.refusal.status, status);
    memset(lent.p, 'x', lent.n);
    mg_buf_deinit(&lent);
}

static void a_head_that_is_too_large_is_told_as_far_as_it_came(void **state) {
    (void)state;
    telling t;
    char text[2000];
    snprintf(text, sizeof text, "GET /a HTTP/1.1\r\nHost: h\r\nOrigin: o\r\nA: %01500d\r\nB: c", 0);
    tells(&t, text, 431);
    assert_true(t.r.told);
    assert_text("/a", t.head.target.path);
    assert_text("h", t.head.host);
    assert_int_equal(t.head.fields.count, 2);
    assert_text("o", mg_fields_find(&t.head.fields, MG_FIELD_ORIGIN)->value);
    mg_arena_deinit(&t.arena);
}

static void a_head_is_not_told_that_lacks_its_host_or_has_another_fault(void **state) {
    (void)state;
    telling t;
    char text[2000];
    snprintf(text, sizeof text, "GET /a HTTP/1.1\r\nA: %01500d\r\nHost: h", 0);
    tells(&t, text, 431);
    assert_false(t.r.told);
    mg_arena_deinit(&t.arena);
    snprintf(text, sizeof text, "GET /a HTTP/1.1\r\nHost: h\r\nB(: c\r\nA: %01500d", 0);
    tells(&t, text, 431);
    assert_false(t.r.told);
    mg_arena_deinit(&t.arena);
    tells(&t, "GET /a HTTP/1.1\r\nHost: h\r\nA: b\n", 400);
    assert_false(t.r.told);
    mg_arena_deinit(&t.arena);
}

static void an_expectation_that_is_refused_is_told(void **state) {
    (void)state;
    telling t;
    tells(&t, "POST /a HTTP/1.1\r\nHost: h\r\nExpect: tea\r\nContent-Length: 3\r\n\r\n", 417);
    assert_true(t.r.told);
    assert_int_equal(t.head.length, 3);
    mg_arena_deinit(&t.arena);
}

// The head must not point into the input, which is only lent.
static void a_head_outlives_its_input(void **state) {
    (void)state;
    mg_arena arena = {0};
    mg_h1_reader r;
    mg_head head;
    size_t used;
    char text[] = "POST http://h/a/../b?c HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\nrest";
    mg_h1_reader_init(&r, &arena, &rig_head_limits);
    assert_int_equal(mg_h1_read(&r, text, sizeof text - 1, &used, &head), MG_H1_HEAD);
    assert_int_equal(used, sizeof text - 5);
    memset(text, '#', sizeof text);
    assert_int_equal(head.method, MG_METHOD_POST);
    assert_text("POST", head.method_text);
    assert_text("http://h/a/../b?c", head.target_text);
    assert_text("/b", head.target.path);
    assert_text("c", head.target.query);
    assert_text("h", head.host);
    assert_text("b", mg_fields_find_name(&head.fields, MG_STR("a"))->value);
    mg_arena_deinit(&arena);
}

static void refuses_what_is_too_large(void **state) {
    (void)state;
    char input[2048];
    memset(input, 'a', sizeof input);
    memcpy(input, "GET /", 5);
    reads_n(input, 300, "refused 414\n");
    memcpy(input, "GET / HTTP/1.1\r\nA: ", 19);
    reads_n(input, 1500, "refused 431\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_heads_in_a_row),
        cmocka_unit_test(reads_upgrades_as_ordinary_requests),
        cmocka_unit_test(refuses_request_lines),
        cmocka_unit_test(refuses_tls_before_a_line_ends),
        cmocka_unit_test(refuses_fields),
        cmocka_unit_test(a_wrong_request_line_is_refused_before_the_rest),
        cmocka_unit_test(a_refused_request_still_has_a_name),
        cmocka_unit_test(a_head_outlives_its_input),
        cmocka_unit_test(a_head_that_is_too_large_is_told_as_far_as_it_came),
        cmocka_unit_test(a_head_is_not_told_that_lacks_its_host_or_has_another_fault),
        cmocka_unit_test(an_expectation_that_is_refused_is_told),
        cmocka_unit_test(refuses_what_is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
