#include "http/guard.h"

#include "unit.h"

static const mg_guard_limits limits = {.first_line_bytes = 10, .bytes = 20, .lines = 2};

// Whole and byte by byte: the status of the refusal, 0 for the end of the section, 1 for more.
static void scans(const char *text, int want) {
    size_t n = strlen(text);
    for (size_t step = 1; step <= n; step += n > 1 ? n - 1 : 1) {
        mg_guard g = {0};
        mg_guard_verdict verdict = MG_GUARD_MORE;
        for (size_t seen = step; verdict == MG_GUARD_MORE && seen <= n; seen += step) {
            verdict = mg_guard_scan(&g, &limits, text, seen);
        }
        int got = verdict == MG_GUARD_MORE ? 1 : g.refusal.status;
        assert_int_equal(got, want);
        if (verdict == MG_GUARD_END) {
            assert_int_equal(g.at, n);
        }
    }
}

static void finds_the_end_of_a_section(void **state) {
    (void)state;
    scans("GET /\r\n\r\n", 0);
    scans("GET /\r\nA: b\r\nC: d\r\n\r\n", 0);
    scans("GET /\r\nA: b\r\n", 1);
}

static void lets_a_few_empty_lines_pass_before_the_first(void **state) {
    (void)state;
    scans("\r\n\r\nGET /\r\n\r\n", 0);
    scans("\r\n\r\n\r\n\r\n\r\n", 400);
}

static void refuses_line_ends_that_others_let_through(void **state) {
    (void)state;
    scans("GET /\nA", 400);
    scans("GET /\r\nA: b\n\r\n", 400);
    scans("GET /\r\nA: b\rc\r\n", 400);
    scans("GET /\r\n\rA", 400);
}

static void refuses_folded_and_nameless_lines(void **state) {
    (void)state;
    scans("GET /\r\n A: b\r\n", 400);
    scans("GET /\r\nA: b\r\n\tc\r\n", 400);
    scans("GET /\r\n: b\r\n", 400);
    scans(" GET /\r\n", 400);
}

static void counts_bytes_and_lines(void **state) {
    (void)state;
    scans("GET /1234567\r\n", 414);
    scans("GET /12345678", 414);
    scans("GET /\r\nA: bbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n\r\n", 431);
    scans("GET /\r\nA: b\r\nC: d\r\nE: f\r\n", 431);
}

static void limits_are_exact(void **state) {
    (void)state;
    scans("GET /67890\r\n\r\n", 0);
    scans("\r\nGET /67890\r\n\r\n", 0);
    scans("GET /67890x\r\n\r\n", 414);
    scans("G\r\nA: 4567890123456789\r\n\r\n", 431);
    scans("G\r\nA: 4567890123456789", 1);
    scans("G\r\nA: 45678901234567890", 1);
    scans("G\r\nA: 456789012345678901", 431);
    scans("G\r\nA: 4567\r\nB: 5678901\r\n\r\n", 431);
    scans("G\r\nA: 456789012345678\r\nB", 431);
    scans("G\r\nA: 456789012345678\r\n\rB", 400);
    scans("G\r\nA: 456789012345678\r\n\r\n", 0);
    scans("G\r\nA: 4567\r\nB: 56\r\n\r\n", 0);
}

static void a_section_without_a_first_line_may_be_empty(void **state) {
    (void)state;
    mg_guard_limits trailers = {.bytes = 20, .lines = 1};
    mg_guard g = {0};
    assert_int_equal(mg_guard_scan(&g, &trailers, "\r\nx", 3), MG_GUARD_END);
    assert_int_equal(g.at, 2);
    g = (mg_guard){0};
    assert_int_equal(mg_guard_scan(&g, &trailers, "A: b\r\n\r\n", 8), MG_GUARD_END);
    assert_int_equal(g.lines, 1);
    g = (mg_guard){0};
    assert_int_equal(mg_guard_scan(&g, &trailers, "A: b\r\nC: d\r\n\r\n", 14), MG_GUARD_BAD);
    assert_int_equal(g.refusal.status, 431);
}

static void the_first_fault_counts(void **state) {
    (void)state;
    scans("GET /1234567890\rX\r\n", 414);
    scans("GET /\rX34567890123\r\n", 400);
}

// Behind `before` bytes that are next to CR and LF, but none.
static int status_behind(size_t before, const char *end) {
    static const mg_guard_limits wide = {.first_line_bytes = 100, .bytes = 100, .lines = 2};
    static const char near[] = {'\x8d', '\x8a', '\x0c', '\x0b', '\x0e', '\x09', 'a'};
    char text[64];
    mg_guard g = {0};
    for (size_t i = 0; i < before; i++) {
        text[i] = near[(i + 6) % sizeof near];
    }
    size_t n = before + strlen(end);
    memcpy(text + before, end, strlen(end));
    mg_guard_verdict verdict = mg_guard_scan(&g, &wide, text, n);
    assert_true(verdict != MG_GUARD_END || g.at == n);
    return verdict == MG_GUARD_MORE ? 1 : g.refusal.status;
}

static void finds_line_ends_wherever_they_lie(void **state) {
    (void)state;
    for (size_t before = 1; before < 40; before++) {
        assert_int_equal(status_behind(before, ""), 1);
        assert_int_equal(status_behind(before, "\r"), 1);
        assert_int_equal(status_behind(before, "\r\n"), 1);
        assert_int_equal(status_behind(before, "\r\n\r\n"), 0);
        assert_int_equal(status_behind(before, "\n"), 400);
        assert_int_equal(status_behind(before, "\rb"), 400);
        assert_int_equal(status_behind(before, "\r\nb\n"), 400);
        assert_int_equal(status_behind(before, "\r\nb\r\r\n"), 400);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_end_of_a_section),
        cmocka_unit_test(finds_line_ends_wherever_they_lie),
        cmocka_unit_test(lets_a_few_empty_lines_pass_before_the_first),
        cmocka_unit_test(refuses_line_ends_that_others_let_through),
        cmocka_unit_test(refuses_folded_and_nameless_lines),
        cmocka_unit_test(counts_bytes_and_lines),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(a_section_without_a_first_line_may_be_empty),
        cmocka_unit_test(the_first_fault_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
