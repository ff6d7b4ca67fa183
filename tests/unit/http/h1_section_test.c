#include "http/h1_section.h"

#include "base/buf.h"
#include "base/mem.h"
#include "unit.h"

static const mg_guard_limits limits = {.first_line_bytes = 64, .bytes = 2000, .lines = 100};

typedef struct rig {
    mg_arena arena;
    mg_h1_section section;
    size_t used; // of the last piece
    const char *p;
} rig;

static void rig_open(rig *r) {
    *r = (rig){0};
    mg_h1_section_init(&r->section, &r->arena, &limits);
}

// A piece of its own, so that a read beyond it, or later, is seen.
static mg_guard_verdict rig_take(rig *r, mg_str piece) {
    char *copy = mg_malloc(piece.n + 1);
    memcpy(copy, piece.p, piece.n);
    mg_guard_verdict verdict = mg_h1_section_take(&r->section, copy, piece.n, &r->used, &r->p);
    mg_free(copy);
    return verdict;
}

#define HEAD "first line\r\nA: b\r\nCc:\t d e \t\r\n\r\n"

static void check_head(rig *r) {
    mg_fields fields;
    assert_text("first line", mg_h1_section_line(&r->section, r->section.bytes));
    assert_ptr_equal(r->p, r->section.bytes);
    assert_null(mg_h1_section_fields(&r->section, &fields));
    assert_int_equal(fields.count, 2);
    assert_text("A", fields.at[0].name);
    assert_text("b", fields.at[0].value);
    assert_text("Cc", fields.at[1].name);
    assert_text("d e", fields.at[1].value);
}

static void gathers_a_section_however_it_is_split(void **state) {
    (void)state;
    mg_str input = MG_STR(HEAD "rest");
    size_t head = input.n - 4;
    for (size_t cut = 0; cut <= input.n; cut++) {
        rig r;
        rig_open(&r);
        mg_guard_verdict verdict = rig_take(&r, (mg_str){input.p, cut});
        assert_int_equal(verdict, cut < head ? MG_GUARD_MORE : MG_GUARD_END);
        assert_int_equal(r.used, cut < head ? cut : head);
        if (verdict == MG_GUARD_MORE) {
            assert_int_equal(rig_take(&r, (mg_str){input.p + cut, input.n - cut}), MG_GUARD_END);
            assert_int_equal(r.used, head - cut);
        }
        assert_int_equal(r.section.n, head);
        check_head(&r);
        mg_arena_deinit(&r.arena);
    }
}

static void gathers_a_section_byte_by_byte(void **state) {
    (void)state;
    mg_str input = MG_STR("\r\n" HEAD);
    rig r;
    rig_open(&r);
    for (size_t i = 0; i < input.n; i++) {
        mg_guard_verdict verdict = rig_take(&r, (mg_str){input.p + i, 1});
        assert_int_equal(verdict, i + 1 < input.n ? MG_GUARD_MORE : MG_GUARD_END);
        assert_int_equal(r.used, 1);
    }
    check_head(&r);
    mg_arena_deinit(&r.arena);
}

static void the_first_line_is_there_before_the_rest(void **state) {
    (void)state;
    rig r;
    rig_open(&r);
    assert_int_equal(rig_take(&r, MG_STR("first ")), MG_GUARD_MORE);
    assert_int_equal(r.section.guard.first_end, 0);
    assert_int_equal(rig_take(&r, MG_STR("line\r\nA")), MG_GUARD_MORE);
    assert_text("first line", mg_h1_section_line(&r.section, r.p));
    mg_arena_deinit(&r.arena);
}

static void the_first_line_is_there_behind_a_fault_too(void **state) {
    (void)state;
    rig r;
    rig_open(&r);
    char text[] = "first line\r\nA\nB";
    assert_int_equal(mg_h1_section_take(&r.section, text, sizeof text - 1, &r.used, &r.p),
                     MG_GUARD_BAD);
    assert_int_equal(r.section.guard.refusal.status, 400);
    assert_text("first line", mg_h1_section_line(&r.section, r.p));
    mg_arena_deinit(&r.arena);
}

// Blocks have 4 KiB; a growth by what came would have taken 500 KB here.
static void drops_take_little_memory(void **state) {
    (void)state;
    rig r;
    rig_open(&r);
    assert_int_equal(rig_take(&r, MG_STR("first line\r\nA: ")), MG_GUARD_MORE);
    size_t copies = 0;
    const char *before = r.section.bytes;
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(rig_take(&r, MG_STR("x")), MG_GUARD_MORE);
        copies += r.section.bytes != before;
        before = r.section.bytes;
    }
    assert_true(copies <= 8);
    assert_true(r.section.cap <= 2 * r.section.n);
    mg_arena_deinit(&r.arena);
}

// Nobody's bytes beyond the limits are copied, however many come at once.
static void what_is_too_much_is_not_gathered(void **state) {
    (void)state;
    rig r;
    rig_open(&r);
    char *flood = mg_malloc(1000000);
    memset(flood, 'a', 1000000);
    assert_int_equal(rig_take(&r, MG_STR("first line\r\nA: ")), MG_GUARD_MORE);
    assert_int_equal(rig_take(&r, (mg_str){flood, 1000000}), MG_GUARD_BAD);
    assert_int_equal(r.section.guard.refusal.status, 431);
    assert_true(r.section.cap < 2 * (limits.first_line_bytes + limits.bytes + 64 + 1));
    mg_free(flood);
    mg_arena_deinit(&r.arena);
}

static const char *fault_of(const char *lines, uint32_t *count) {
    rig r;
    rig_open(&r);
    mg_buf text = {0};
    mg_buf_printf(&text, "x\r\n%s\r\n", lines);
    assert_int_equal(rig_take(&r, mg_buf_str(&text)), MG_GUARD_END);
    mg_fields fields;
    const char *fault = mg_h1_section_fields(&r.section, &fields);
    *count = fields.count;
    mg_arena_deinit(&r.arena);
    mg_buf_deinit(&text);
    return fault;
}

static void fields_are_judged_without_the_first_line(void **state) {
    (void)state;
    uint32_t n;
    assert_null(fault_of("", &n));
    assert_int_equal(n, 0);
    assert_null(fault_of("A:\r\nB: \r\nA: \xe9\xff\r\n!#$%&'*+-.^_`|~: x\r\n", &n));
    assert_int_equal(n, 4);
    assert_null(fault_of("Upgrade: x\r\nConnection: upgrade\r\nContent-Length: 5\r\n", &n));
    assert_int_equal(n, 3);
    assert_string_equal(fault_of("A: b\r\nA : b\r\n", &n), "a header field is malformed");
    assert_int_equal(n, 1);
    assert_string_equal(fault_of("A\r\n", &n), "a header field is malformed");
    assert_string_equal(fault_of("\x80: b\r\n", &n), "a header field is malformed");
    assert_string_equal(fault_of("Content-Length: 1\r\nContent-Length: 1\r\n", &n),
                        "Content-Length is repeated, or comes with Transfer-Encoding");
    assert_string_equal(fault_of("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", &n),
                        "Content-Length is repeated, or comes with Transfer-Encoding");
    assert_null(fault_of("Content-Length:\t007 \r\nContent-Type: a\r\n", &n));
    assert_int_equal(n, 2);
    static const char *const lengths[] = {"+1", "-1", "1 1", "1,1", "0x1", "99999999999999999999"};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char line[64];
        snprintf(line, sizeof line, "Content-Length: %s\r\n", lengths[i]);
        assert_string_equal(fault_of(line, &n), "a header field is malformed");
    }
    assert_string_equal(fault_of("Transfer-Encoding: chunked, x\r\n", &n),
                        "chunked is not the last transfer coding, or comes twice");
}

static void take_drops(rig *r, mg_str text) {
    for (size_t i = 0; i < text.n; i++) {
        (void)rig_take(r, (mg_str){text.p + i, 1});
    }
}

// Whole and plain it takes one pass, in drops the guard's.
static void check_same_in_drops(const char *lines) {
    rig whole, drops;
    mg_buf text = {0};
    mg_fields a, b;
    rig_open(&whole);
    rig_open(&drops);
    mg_buf_printf(&text, "first line\r\n%s\r\n", lines);
    assert_int_equal(rig_take(&whole, mg_buf_str(&text)), MG_GUARD_END);
    take_drops(&drops, mg_buf_str(&text));
    assert_null(mg_h1_section_fields(&whole.section, &a));
    assert_null(mg_h1_section_fields(&drops.section, &b));
    assert_int_equal(whole.section.n, drops.section.n);
    assert_memory_equal(&whole.section.guard, &drops.section.guard, sizeof(mg_guard));
    assert_int_equal(a.count, b.count);
    assert_int_equal(a.bytes, b.bytes);
    assert_int_equal(a.ids, b.ids);
    for (uint32_t i = 0; i < a.count; i++) {
        assert_int_equal(a.at[i].id, b.at[i].id);
        assert_true(mg_str_eq(a.at[i].name, b.at[i].name));
        assert_true(mg_str_eq(a.at[i].value, b.at[i].value));
    }
    mg_arena_deinit(&whole.arena);
    mg_arena_deinit(&drops.arena);
    mg_buf_deinit(&text);
}

static void a_plain_head_is_the_same_in_one_pass(void **state) {
    (void)state;
    mg_buf many = {0};
    check_same_in_drops("");
    check_same_in_drops("Host: a\r\n");
    check_same_in_drops("Host:a\r\nX-Own:\r\nAccept: \r\nCookie:  a=b; c \t\r\nHost: \xe9\r\n");
    check_same_in_drops("Content-Length: 5\r\nConnection: close\r\n");
    check_same_in_drops("Transfer-Encoding: chunked\r\n");
    for (int i = 0; i < 40; i++) { // more than the one pass takes from some number on
        mg_buf_printf(&many, "X-%d: %d\r\n", i, i);
        mg_buf_append_char(&many, '\0');
        check_same_in_drops(many.p);
        many.n--;
    }
    mg_buf_deinit(&many);
}

static void limits_hold_in_one_pass(void **state) {
    (void)state;
    static const mg_guard_limits narrow = {.first_line_bytes = 10, .bytes = 12, .lines = 2};
    static const struct {
        const char *text;
        int status; // 0: good
    } cases[] = {
        {"first line\r\nA: b\r\nC: d\r\n\r\n", 0},
        {"first lines\r\n\r\n", 414},
        {"x\r\nA: b\r\nC: de\r\n\r\n", 431},
        {"x\r\nA:\r\nB:\r\nC:\r\n\r\n", 431},
        {"x\r\nA: b\rc\r\n\r\n", 400},
        {"x\r\nA: b\n\r\n", 400},
        {"x\ry\r\n\r\n", 400},
        {" x\r\n\r\n", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig r = {0};
        mg_h1_section_init(&r.section, &r.arena, &narrow);
        mg_guard_verdict verdict = rig_take(&r, mg_str_of(cases[i].text));
        assert_int_equal(verdict, cases[i].status == 0 ? MG_GUARD_END : MG_GUARD_BAD);
        assert_int_equal(r.section.guard.refusal.status, cases[i].status);
        mg_arena_deinit(&r.arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gathers_a_section_however_it_is_split),
        cmocka_unit_test(gathers_a_section_byte_by_byte),
        cmocka_unit_test(the_first_line_is_there_before_the_rest),
        cmocka_unit_test(the_first_line_is_there_behind_a_fault_too),
        cmocka_unit_test(drops_take_little_memory),
        cmocka_unit_test(what_is_too_much_is_not_gathered),
        cmocka_unit_test(fields_are_judged_without_the_first_line),
        cmocka_unit_test(a_plain_head_is_the_same_in_one_pass),
        cmocka_unit_test(limits_hold_in_one_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
