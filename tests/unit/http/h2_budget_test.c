#include "h2_rig.h"
#include "http/h2_budget.h"

#include <stdlib.h>

// Each kind of nothing, as a peer sends it when it means harm, and as a browser at its worst.
typedef struct nothing {
    mg_h2_budget kind;
    void (*put)(rig *r, mg_buf *b, uint32_t i); // the i-th one
    uint32_t honest;                            // as many at once are good
} nothing;

static uint32_t id_of(uint32_t i) {
    return i * 2 + 3;
}

static void put_cancelled(rig *r, mg_buf *b, uint32_t i) {
    put_headers(r, b, RIG_ENDS, id_of(i), rig_get);
    put_u32_frame(b, MG_H2_RST_STREAM_FRAME, id_of(i), MG_H2_CANCEL);
}

static void put_malformed(rig *r, mg_buf *b, uint32_t i) {
    put_headers(r, b, MG_H2_FLAG_END_HEADERS, id_of(i), rig_post);
    put_u32_frame(b, MG_H2_WINDOW_UPDATE_FRAME, id_of(i), 0); // MadeYouReset
}

static void put_settings(rig *r, mg_buf *b, uint32_t i) {
    (void)r;
    put_setting(b, MG_H2_INITIAL_WINDOW_SIZE, 65535 + i);
}

static void put_ping(rig *r, mg_buf *b, uint32_t i) {
    (void)r;
    (void)i;
    put_frame(b, MG_H2_PING_FRAME, 0, 0, MG_STR("12345678"));
}

static void put_priority(rig *r, mg_buf *b, uint32_t i) {
    (void)r;
    if (i % 2 == 0) {
        put_frame(b, MG_H2_PRIORITY_FRAME, 0, 1, MG_STR("\0\0\0\0\x10"));
    } else {
        put_frame(b, MG_H2_PRIORITY_UPDATE_FRAME, 0, 0, MG_STR("\0\0\0\1u=5, i"));
    }
}

static void put_empty(rig *r, mg_buf *b, uint32_t i) {
    (void)r;
    put_frame(b, i % 2 == 0 ? MG_H2_DATA_FRAME : 0xbb, 0, 1, MG_STR(""));
}

static void put_window(rig *r, mg_buf *b, uint32_t i) {
    (void)r;
    put_u32_frame(b, MG_H2_WINDOW_UPDATE_FRAME, i % 2, 1);
}

// What a browser does: a page of 1,000 pictures is left while none has come; an extension that
// breaks 100 requests; settings once or twice; a ping a second, or for each round trip; each of the
// pictures gets another priority, twice; a slow reader gives windows for each piece of 1 MB.
static const nothing nothings[] = {
    {MG_H2_BUDGET_RESETS, put_cancelled, 1000},    {MG_H2_BUDGET_PROVOKED, put_malformed, 100},
    {MG_H2_BUDGET_SETTINGS, put_settings, 20},     {MG_H2_BUDGET_PINGS, put_ping, 300},
    {MG_H2_BUDGET_PRIORITIES, put_priority, 2000}, {MG_H2_BUDGET_EMPTY, put_empty, 300},
    {MG_H2_BUDGET_WINDOWS, put_window, 5000},
};

static void play(rig *r, const nothing *n, uint32_t from, uint32_t count) {
    for (uint32_t i = from; i < from + count && !r->h.over; i++) {
        mg_buf b = {0};
        n->put(r, &b, i);
        rig_take(r, &b);
        mg_buf_clear(&r->out); // all of it is read
        mg_h2_drained(&r->h);
    }
}

static rig *serve(void) {
    rig *r = malloc(sizeof *r);
    rig_serve(r, NULL);
    mg_buf b = {0};
    put_headers(r, &b, MG_H2_FLAG_END_HEADERS, 1, rig_post);
    rig_take(r, &b);
    mg_buf_clear(&r->log);
    return r;
}

static void a_browser_at_its_worst_is_served(void **state) {
    (void)state;
    for (size_t i = 0; i < MG_H2_BUDGETS; i++) {
        rig *r = serve();
        for (uint32_t round = 0; round < 5; round++) { // each ten seconds again
            play(r, &nothings[i], round * nothings[i].honest, nothings[i].honest);
            r->now_ms += 10000;
        }
        if (r->h.over) {
            fail_msg("%zu: %.*s", i, (int)r->log.n, r->log.p);
        }
        rig_close(r);
        free(r);
    }
}

static void an_emptied_budget_ends_the_connection(void **state) {
    (void)state;
    for (size_t i = 0; i < MG_H2_BUDGETS; i++) {
        const nothing *n = &nothings[i];
        assert_int_equal(i, n->kind);
        rig *r = serve();
        uint32_t burst = r->limits.budgets[n->kind];
        play(r, n, 0, burst - 2); // greeting took one or two of its kind
        assert_false(r->h.over);
        play(r, n, burst - 2, 3 + burst / 100);
        assert_true(r->h.over);
        assert_non_null(memmem(r->log.p, r->log.n, "closed 11: too many", 19));
        rig_close(r);
        free(r);
    }
}

static void time_fills_a_bucket_again_but_not_beyond(void **state) {
    (void)state;
    rig *r = serve();
    const nothing *n = &nothings[MG_H2_BUDGET_PINGS];
    uint32_t burst = r->limits.budgets[n->kind];
    play(r, n, 0, burst);
    r->now_ms += 1000;
    play(r, n, 0, burst / 10);
    assert_false(r->h.over);
    r->now_ms += 3600000;
    play(r, n, 0, burst);
    assert_false(r->h.over);
    play(r, n, 0, 1);
    assert_true(r->h.over);
    rig_close(r);
    free(r);
}

// Who takes content at all gives windows for it: 64 KiB frame by frame cost nothing.
static void windows_for_content_that_was_sent_cost_nothing(void **state) {
    (void)state;
    rig *r = serve();
    r->limits.budgets[MG_H2_BUDGET_WINDOWS] = 10;
    mg_fields none = {0};
    mg_h2_send_answer(&r->h, r->stream, &r->out, &(mg_answer_head){.status = 200, .fields = &none},
                      false);
    for (int i = 0; i < 10000; i++) {
        mg_h2_send_data(&r->h, r->stream, &r->out, MG_STR("a"), false);
        mg_buf b = {0};
        put_u32_frame(&b, MG_H2_WINDOW_UPDATE_FRAME, 0, 1);
        put_u32_frame(&b, MG_H2_WINDOW_UPDATE_FRAME, 1, 1);
        rig_take(r, &b);
        mg_buf_clear(&r->out);
    }
    assert_false(r->h.over);
    rig_close(r);
    free(r);
}

// Acknowledgements that nobody reads are not gathered without end.
static void what_is_provoked_and_not_taken_has_a_limit(void **state) {
    (void)state;
    rig *r = serve();
    r->limits.budgets[MG_H2_BUDGET_PINGS] = 1000000;
    mg_h2_earn(&r->h, MG_H2_BUDGET_PINGS, 1000000);
    mg_buf b = {0};
    for (int i = 0; i < 5000; i++) {
        put_ping(r, &b, 0);
    }
    rig_take(r, &b);
    assert_told("closed 11: what you ask for is not read\n", r);
    assert_true(r->out.n < 70000);
    rig_close(r);
    free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_browser_at_its_worst_is_served),
        cmocka_unit_test(an_emptied_budget_ends_the_connection),
        cmocka_unit_test(time_fills_a_bucket_again_but_not_beyond),
        cmocka_unit_test(windows_for_content_that_was_sent_cost_nothing),
        cmocka_unit_test(what_is_provoked_and_not_taken_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
