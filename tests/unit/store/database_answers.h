// store/database_answers.h: answers that outlive their calls, and results as text.
#pragma once

#include "base/buf.h"
#include "event/timer.h"
#include "store/sqlite.h"
#include "unit.h"

#include <string.h>

// A result as text: a row is "(1, 'a', x'00ff', null, 1.5, true)".
typedef struct answer {
    int calls;
    bool failed;
    char code[16];
    int native;
    char fields[MG_DB_FIELDS][80];
    mg_buf message;
    mg_buf names;
    mg_buf rows;
    uint32_t count;
    int64_t affected, last_id;
    bool more;
    mg_db_call *call;
} answer;

static mg_loop *loop;
static mg_database *db;
static int answered;
static bool inside_start;

static inline void answer_free(answer *a) {
    mg_buf_deinit(&a->message);
    mg_buf_deinit(&a->names);
    mg_buf_deinit(&a->rows);
    *a = (answer){0};
}

static inline void put_value(mg_buf *b, const mg_db_value *v) {
    switch (v->kind) {
    case MG_DB_NULL:
        mg_buf_printf(b, "null");
        break;
    case MG_DB_I64:
        mg_buf_printf(b, "%lld", (long long)v->i64);
        break;
    case MG_DB_BOOL:
        mg_buf_printf(b, v->i64 != 0 ? "true" : "false");
        break;
    case MG_DB_DOUBLE:
        mg_buf_printf(b, "%.17g", v->number);
        break;
    case MG_DB_TEXT:
        mg_buf_printf(b, "'");
        mg_buf_append_str(b, v->text);
        mg_buf_printf(b, "'");
        break;
    case MG_DB_JSON:
        mg_buf_append_str(b, v->text);
        break;
    case MG_DB_BLOB:
        mg_buf_printf(b, "x'");
        for (size_t i = 0; i < v->text.n; i++) {
            mg_buf_printf(b, "%02x", (unsigned char)v->text.p[i]);
        }
        mg_buf_printf(b, "'");
        break;
    }
}

static inline void keep_rows(answer *a, const mg_db_rows *r) {
    for (uint32_t i = 0; i < r->columns; i++) {
        mg_buf_printf(&a->names, i == 0 ? "" : ", ");
        mg_buf_append_str(&a->names, r->names[i]);
    }
    for (uint32_t i = 0; i < r->rows; i++) {
        mg_buf_printf(&a->rows, "(");
        for (uint32_t k = 0; k < r->columns; k++) {
            mg_buf_printf(&a->rows, k == 0 ? "" : ", ");
            put_value(&a->rows, &r->values[(size_t)i * r->columns + k]);
        }
        mg_buf_printf(&a->rows, ")");
    }
    a->count = r->rows;
    a->affected = r->affected;
    a->last_id = r->last_id;
    a->more = r->more;
}

static inline void on_answer(void *arg, const mg_db_rows *rows, const mg_db_fault *fault) {
    answer *a = arg;
    assert_false(inside_start);
    assert_true((rows == NULL) != (fault == NULL));
    a->calls++;
    answered++;
    if (fault != NULL) {
        a->failed = true;
        snprintf(a->code, sizeof a->code, "%s", fault->code);
        a->native = fault->native;
        for (int i = 0; i < MG_DB_FIELDS; i++) {
            snprintf(a->fields[i], sizeof a->fields[i], "%s",
                     fault->fields[i] != NULL ? fault->fields[i] : "");
        }
        mg_buf_append_str(&a->message, mg_str_of(fault->message));
    } else {
        keep_rows(a, rows);
    }
}

static inline void on_guard(mg_timer *t) {
    (void)t;
    fail_msg("nothing came for 20 seconds");
}

// Turns until `a` has been answered.
static inline void await(answer *a) {
    mg_timer guard = {0};
    mg_timer_start(loop, &guard, 20000, 0, on_guard);
    while (a->calls == 0) {
        mg_loop_turn(loop, true, true, UINT64_MAX);
    }
    mg_timer_stop(&guard);
    assert_int_equal(a->calls, 1);
}

static inline void await_all(answer *a, int n) {
    for (int i = 0; i < n; i++) {
        await(&a[i]);
    }
}

static inline void start_in(mg_database *d, mg_db_session *session, answer *a, const char *sql,
                            const mg_db_value *values, uint32_t count) {
    *a = (answer){0};
    mg_db_statement s = {
        .sql = mg_str_of(sql), .values = values, .count = count, .session = session};
    inside_start = true;
    assert_int_equal(mg_database_query(&a->call, d, &s, on_answer, a), MG_OK);
    inside_start = false;
}

static inline void start(answer *a, const char *sql) {
    start_in(db, NULL, a, sql, NULL, 0);
}

static inline void contains(const mg_buf *text, const char *part) {
    if (text->n == 0 || memmem(text->p, text->n, part, strlen(part)) == NULL) {
        fail_msg("'%.*s' does not contain '%s'", (int)text->n, text->p, part);
    }
}

static inline void expect(mg_db_session *session, const char *sql, const char *rows) {
    answer a;
    start_in(db, session, &a, sql, NULL, 0);
    await(&a);
    if (a.failed) {
        fail_msg("%s: %s: %s", sql, a.code, a.message.p);
    }
    assert_text(rows, mg_buf_str(&a.rows));
    answer_free(&a);
}

// Runs it and wants no fault.
static inline void do_sql(const char *sql) {
    expect(NULL, sql, "");
}

static inline void expect_fault(mg_db_session *session, const char *sql, const char *code,
                                const char *part) {
    answer a;
    start_in(db, session, &a, sql, NULL, 0);
    await(&a);
    assert_true(a.failed);
    assert_string_equal(a.code, code);
    contains(&a.message, part);
    answer_free(&a);
}

static inline mg_db_session *begin(bool write) {
    answer a = {0};
    mg_db_session *s = NULL;
    assert_int_equal(mg_database_begin(&a.call, db, write, &s, on_answer, &a), MG_OK);
    await(&a);
    assert_false(a.failed);
    answer_free(&a);
    return s;
}

static inline void end(mg_db_session *s, bool commit) {
    answer a = {0};
    assert_int_equal(mg_database_end(&a.call, s, commit, on_answer, &a), MG_OK);
    await(&a);
    assert_false(a.failed);
    answer_free(&a);
}

static inline void turn_until_busy(uint32_t n) {
    mg_database_stats stats;
    do {
        mg_loop_turn(loop, false, false, 0);
        mg_database_read_stats(db, &stats);
    } while (stats.busy < n || stats.queued > 0);
}

static inline void turn_until_quiet(void) {
    mg_database_stats stats;
    do {
        mg_loop_turn(loop, false, false, 0);
        mg_database_read_stats(db, &stats);
    } while (stats.busy > 0 || stats.queued > 0 || stats.sessions > 0);
}

static inline uint32_t connections(void) {
    mg_database_stats stats;
    mg_database_read_stats(db, &stats);
    return stats.connections;
}

static inline void expect_failed_commit(mg_db_session *s, const char *code, const char *part) {
    answer a = {0};
    assert_int_equal(mg_database_end(&a.call, s, true, on_answer, &a), MG_OK);
    await(&a);
    assert_true(a.failed);
    assert_string_equal(a.code, code);
    contains(&a.message, part);
    answer_free(&a);
}
