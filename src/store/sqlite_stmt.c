#include "store/sqlite_stmt.h"

#include "base/mem.h"

#include <assert.h>
#include <inttypes.h>

enum { KEPT_SQL_MAX = 16 << 10 };

static mg_sqlite_stmt *find(mg_sqlite_conn *c, mg_str sql, uint64_t hash);
static mg_sqlite_stmt *make(mg_sqlite_conn *c, mg_str sql, uint64_t hash, mg_sqlite_result *r);
static bool map_parameters(mg_sqlite_stmt *s, mg_sqlite_result *r);
static void unlink_kept(mg_sqlite_conn *c, mg_sqlite_stmt *s);
static void free_statement(mg_sqlite_stmt *s);

static uint64_t hash_of(mg_str s) {
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < s.n; i++) {
        h = (h ^ (uint8_t)s.p[i]) * 1099511628211u;
    }
    return h ^ h >> 32;
}

static mg_str skip(mg_str s, size_t n) {
    return (mg_str){s.p + n, s.n - n};
}

static size_t comment_length(mg_str s) {
    if (mg_str_starts(s, MG_STR("--"))) {
        const char *end = memchr(s.p, '\n', s.n);
        return end == NULL ? s.n : (size_t)(end - s.p) + 1;
    }
    if (mg_str_starts(s, MG_STR("/*"))) {
        const char *end = s.n < 4 ? NULL : memmem(s.p + 2, s.n - 2, "*/", 2);
        return end == NULL ? s.n : (size_t)(end - s.p) + 2;
    }
    return 0;
}

mg_str mg_sqlite_skip_blank(mg_str s) {
    while (s.n > 0) {
        bool blank = strchr(" \t\r\n\f;", s.p[0]) != NULL;
        size_t n = blank ? 1 : comment_length(s);
        if (n == 0) {
            break;
        }
        s = skip(s, n);
    }
    return s;
}

// --- prepared ones -----------------------------------------------------------

mg_sqlite_stmt *mg_sqlite_prepare(mg_sqlite_conn *c, mg_str sql, mg_sqlite_result *r) {
    uint64_t hash = hash_of(sql);
    mg_sqlite_stmt *s = find(c, sql, hash);
    if (s != NULL) {
        assert(!mg_link_alone(&s->recent)); // one thing at a time on a connection
        mg_link_remove(&s->recent);
        return s;
    }
    return make(c, sql, hash, r);
}

static mg_sqlite_stmt *find(mg_sqlite_conn *c, mg_str sql, uint64_t hash) {
    mg_sqlite_stmt *s = c->buckets[hash % MG_SQLITE_BUCKETS];
    while (s != NULL && (s->hash != hash || !mg_str_eq(s->sql, sql))) {
        s = s->next;
    }
    return s;
}

static bool fail_prepare(mg_sqlite_conn *c, int rc, mg_sqlite_result *r) {
    if (c->refused != NULL) {
        return mg_sqlite_result_fail(r, "error", rc, "%s", c->refused);
    }
    if ((rc & 0xff) != SQLITE_ERROR) {
        return mg_sqlite_result_fail_by(r, c->db, rc);
    }
#if SQLITE_VERSION_NUMBER >= 3038000
    int offset = sqlite3_error_offset(c->db);
    if (offset >= 0) {
        return mg_sqlite_result_fail(r, "syntax", rc, "%s (at byte %d)", sqlite3_errmsg(c->db),
                                     offset + 1);
    }
#endif
    return mg_sqlite_result_fail(r, "syntax", rc, "%s", sqlite3_errmsg(c->db));
}

static sqlite3_stmt *compile(mg_sqlite_conn *c, mg_str sql, unsigned flags, mg_sqlite_result *r) {
    sqlite3_stmt *stmt = NULL;
    const char *tail = NULL;
    c->refused = NULL;
    c->judging = true;
    int rc = sqlite3_prepare_v3(c->db, sql.p, (int)sql.n, flags, &stmt, &tail);
    c->judging = false;
    if (rc != SQLITE_OK) {
        fail_prepare(c, rc, r);
        return NULL;
    }
    bool more = mg_sqlite_skip_blank(skip(sql, (size_t)(tail - sql.p))).n > 0;
    if (stmt != NULL && !more) {
        return stmt;
    }
    sqlite3_finalize(stmt);
    mg_sqlite_result_fail(r, "syntax", SQLITE_ERROR,
                          more ? "one statement at a time" : "the statement is empty");
    return NULL;
}

static void keep(mg_sqlite_conn *c, mg_sqlite_stmt *s) {
    if (c->kept >= c->settings->statements) {
        mg_link *oldest = c->recent.next;
        if (oldest == &c->recent) {
            return;
        }
        mg_sqlite_stmt *old = MG_OF(oldest, mg_sqlite_stmt, recent);
        unlink_kept(c, old);
        free_statement(old);
    }
    mg_sqlite_stmt **bucket = &c->buckets[s->hash % MG_SQLITE_BUCKETS];
    s->next = *bucket;
    *bucket = s;
    s->kept = true;
    c->kept++;
}

// Insert, update, delete, replace, with.
static bool writes_rows(mg_str sql) {
    return strchr("IUDRWiudrw", mg_sqlite_skip_blank(sql).p[0]) != NULL;
}

static mg_sqlite_stmt *make(mg_sqlite_conn *c, mg_str sql, uint64_t hash, mg_sqlite_result *r) {
    bool worth = sql.n <= KEPT_SQL_MAX;
    sqlite3_stmt *stmt = compile(c, sql, worth ? SQLITE_PREPARE_PERSISTENT : 0, r);
    if (stmt == NULL) {
        return NULL;
    }
    mg_sqlite_stmt *s = mg_calloc(1, sizeof *s);
    mg_link_init(&s->recent);
    s->hash = hash;
    s->stmt = stmt;
    s->readonly = sqlite3_stmt_readonly(stmt) != 0;
    // A PRAGMA shows something too.
    s->returns = !s->readonly && sqlite3_column_count(stmt) > 0 && writes_rows(sql);
    if (!map_parameters(s, r)) {
        free_statement(s);
        return NULL;
    }
    if (worth) {
        s->sql = (mg_str){mg_strndup(sql.p, sql.n), sql.n};
        keep(c, s);
    }
    return s;
}

void mg_sqlite_release(mg_sqlite_conn *c, mg_sqlite_stmt *s) {
    if (s == NULL) {
        return;
    }
    if (!s->kept) {
        free_statement(s);
        return;
    }
    sqlite3_reset(s->stmt);
    if (s->wants > 0) {
        sqlite3_clear_bindings(s->stmt);
    }
    mg_link_append(&c->recent, &s->recent);
}

static void unlink_kept(mg_sqlite_conn *c, mg_sqlite_stmt *s) {
    mg_sqlite_stmt **at = &c->buckets[s->hash % MG_SQLITE_BUCKETS];
    while (*at != s) {
        at = &(*at)->next;
    }
    *at = s->next;
    mg_link_remove(&s->recent);
    c->kept--;
}

static void free_statement(mg_sqlite_stmt *s) {
    sqlite3_finalize(s->stmt);
    mg_free((char *)s->sql.p);
    mg_free(s->places);
    mg_free(s->booleans);
    mg_free(s);
}

void mg_sqlite_forget_statements(mg_sqlite_conn *c) {
    mg_link *l;
    while ((l = mg_link_shift(&c->recent)) != NULL) {
        mg_sqlite_stmt *s = MG_OF(l, mg_sqlite_stmt, recent);
        unlink_kept(c, s);
        free_statement(s);
    }
}

// --- parameters --------------------------------------------------------------

// To SQLite `$2` is a name that it numbers in the order of appearance; here it is the second value.
static bool number_of(sqlite3_stmt *stmt, int i, uint32_t *out, mg_sqlite_result *r) {
    const char *name = sqlite3_bind_parameter_name(stmt, i);
    uint64_t n = (uint64_t)i;
    bool good =
        name == NULL || ((name[0] == '$' || name[0] == '?') &&
                         mg_str_to_u64(mg_str_of(name + 1), MG_DB_PARAMETERS_MAX, &n) && n > 0);
    *out = (uint32_t)n;
    return good || mg_sqlite_result_fail(r, "syntax", SQLITE_RANGE,
                                         "parameters are written $1, $2 ..., not %.60s", name);
}

static bool map_parameters(mg_sqlite_stmt *s, mg_sqlite_result *r) {
    int count = sqlite3_bind_parameter_count(s->stmt);
    bool plain = true;
    s->places = count == 0 ? NULL : mg_malloc((size_t)count * sizeof *s->places);
    for (int i = 0; i < count; i++) {
        uint32_t n;
        if (!number_of(s->stmt, i + 1, &n, r)) {
            return false;
        }
        s->places[i] = (uint16_t)(n - 1);
        s->wants = n > s->wants ? n : s->wants;
        plain = plain && n == (uint32_t)i + 1;
    }
    if (plain) {
        mg_free(s->places);
        s->places = NULL;
    }
    return true;
}

static int bind_one(sqlite3_stmt *stmt, int i, const mg_db_value *v, bool copy) {
    // SQLite takes a NULL address for NULL.
    const char *text = v->text.p == NULL ? "" : v->text.p;
    void (*keep_text)(void *) = copy ? SQLITE_TRANSIENT : SQLITE_STATIC;
    switch (v->kind) {
    case MG_DB_BOOL:
    case MG_DB_I64:
        return sqlite3_bind_int64(stmt, i, v->i64);
    case MG_DB_DOUBLE:
        return sqlite3_bind_double(stmt, i, v->number);
    case MG_DB_TEXT:
    case MG_DB_JSON:
        return sqlite3_bind_text64(stmt, i, text, v->text.n, keep_text, SQLITE_UTF8);
    case MG_DB_BLOB:
        return sqlite3_bind_blob64(stmt, i, text, v->text.n, keep_text);
    case MG_DB_NULL:
        break;
    }
    return sqlite3_bind_null(stmt, i);
}

bool mg_sqlite_bind(mg_sqlite_conn *c, mg_sqlite_stmt *s, const mg_db_statement *values, bool copy,
                    mg_sqlite_result *r) {
    if (values->count != s->wants) {
        return mg_sqlite_result_fail(
            r, "syntax", SQLITE_RANGE,
            "the statement wants %" PRIu32 " parameter%s, %" PRIu32 " %s given", s->wants,
            s->wants == 1 ? "" : "s", values->count, values->count == 1 ? "was" : "were");
    }
    int count = s->wants == 0 ? 0 : sqlite3_bind_parameter_count(s->stmt);
    for (int i = 0; i < count; i++) {
        const mg_db_value *v = &values->values[s->places == NULL ? i : s->places[i]];
        int rc = bind_one(s->stmt, i + 1, v, copy);
        if (rc != SQLITE_OK) {
            return mg_sqlite_result_fail_by(r, c->db, rc);
        }
    }
    return true;
}

// --- rows --------------------------------------------------------------------

static bool declared_boolean(sqlite3_stmt *stmt, int column) {
    const char *type = sqlite3_column_decltype(stmt, column);
    return type != NULL &&
           (sqlite3_stricmp(type, "BOOLEAN") == 0 || sqlite3_stricmp(type, "BOOL") == 0);
}

// After a change of the schema SQLite prepares anew, and the columns may be others.
static void learn_columns(mg_sqlite_stmt *s) {
    int prepared = sqlite3_stmt_status(s->stmt, SQLITE_STMTSTATUS_REPREPARE, 0);
    if (s->booleans != NULL && s->prepared == prepared) {
        return;
    }
    int n = sqlite3_column_count(s->stmt);
    s->booleans = mg_realloc(s->booleans, (size_t)n + 1);
    for (int i = 0; i < n; i++) {
        s->booleans[i] = declared_boolean(s->stmt, i);
    }
    s->prepared = prepared;
}

static bool take_row(mg_sqlite_stmt *s, const mg_sqlite_piece *piece, mg_sqlite_result *r) {
    if (r->rows.rows == 0) {
        learn_columns(s);
        mg_sqlite_result_add_names(r, s->stmt);
    }
    return mg_sqlite_result_add_row(r, s->stmt, s->booleans, piece->max_bytes) ||
           mg_sqlite_result_fail(r, "limit", SQLITE_TOOBIG,
                                 "the result is larger than %" PRIu64 " bytes", piece->max_bytes);
}

static bool step_rows(mg_sqlite_conn *c, mg_sqlite_stmt *s, const mg_sqlite_piece *piece,
                      mg_sqlite_result *r) {
    int rc = SQLITE_ROW;
    c->refused = NULL;
    while (r->rows.rows < piece->max_rows && r->bytes < piece->enough_bytes) {
        bool stop = atomic_load_explicit(&c->stop, memory_order_relaxed);
        rc = stop ? SQLITE_INTERRUPT : sqlite3_step(s->stmt);
        if (rc != SQLITE_ROW) {
            break;
        }
        if (!take_row(s, piece, r)) {
            return false;
        }
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        return c->refused != NULL ? mg_sqlite_result_fail(r, "error", rc, "%s", c->refused)
                                  : mg_sqlite_result_fail_by(r, c->db, rc);
    }
    if (r->rows.names == NULL) {
        mg_sqlite_result_add_names(r, s->stmt);
    }
    r->rows.more = rc == SQLITE_ROW;
    return true;
}

bool mg_sqlite_run(mg_sqlite_conn *c, mg_sqlite_stmt *s, const mg_sqlite_piece *piece,
                   mg_sqlite_result *r) {
    if (s->readonly) {
        return step_rows(c, s, piece, r);
    }
    int64_t before = sqlite3_total_changes64(c->db);
    sqlite3_set_last_insert_rowid(c->db, 0);
    if (!step_rows(c, s, piece, r)) {
        return false;
    }
    // What no INSERT, UPDATE or DELETE touched keeps the count of the last one that did.
    r->rows.affected = sqlite3_total_changes64(c->db) == before ? 0 : sqlite3_changes64(c->db);
    r->rows.last_id = sqlite3_last_insert_rowid(c->db);
    return true;
}
