#include "store/postgres_migrate.h"

#include "base/mem.h"
#include "store/libpq.h"
#include "store/postgres_scan.h"
#include "store/postgres_settings.h"

#include <stdio.h>
#include <stdlib.h>

// "moongate" as a number: the lock of all who migrate this database.
#define LOCK   "7885646474389255265"
#define MARKER "-- moongate: no transaction"

// --- the text of a file ---

size_t mg_postgres_statement_bytes(mg_str sql) {
    bool any = false;
    size_t at = 0;
    while (at < sql.n) {
        bool ends = any && sql.p[at] == ';';
        bool blank;
        at = mg_pg_scan_token(sql, at, &blank);
        if (ends) {
            return at;
        }
        any |= !blank;
    }
    return any ? sql.n : 0;
}

// --- the database ---

static int refused(const char *where, const char *why, mg_error *err) {
    return mg_error_set(err, MG_ESYNTAX, "%s: %.*s", where, (int)strcspn(why, "\n"), why);
}

static void ignore_notice(void *arg, const PGresult *r) {
    (void)arg;
    (void)r;
}

static int connect_to(PGconn **out, const mg_pg_settings *s, mg_error *err) {
    const char *keys[MG_PG_OPTIONS + 8];
    const char *values[MG_PG_OPTIONS + 8];
    mg_buf lists[2] = {{0}, {0}};
    char password[4096] = "";
    char seconds[16];
    size_t n = 0;
    snprintf(seconds, sizeof seconds, "%u", s->connect_ms / 1000);
    for (uint32_t i = 0; i < s->host_count; i++) {
        mg_buf_printf(&lists[0], "%s%s", i > 0 ? "," : "", s->hosts[i]);
        mg_buf_printf(&lists[1], "%s%s", i > 0 ? "," : "", s->ports[i]);
    }
    mg_buf_append_char(&lists[0], '\0');
    mg_buf_append_char(&lists[1], '\0');
    for (uint32_t i = 0; i < s->option_count; i++) {
        keys[n] = s->keys[i];
        values[n++] = s->values[i];
    }
    keys[n] = "application_name";
    values[n++] = "moongate migrate";
    keys[n] = "connect_timeout";
    values[n++] = seconds;
    if (s->host_count > 0) {
        keys[n] = "host";
        values[n++] = lists[0].p;
    }
    keys[n] = s->host_count > 0 || !s->resolved ? "port" : NULL;
    values[n] = s->host_count > 0 ? lists[1].p : s->ports[0];
    n += keys[n] != NULL;
    int rc = MG_OK;
    if (s->password_file != NULL) {
        rc = mg_pg_password(s, password, sizeof password, err);
        keys[n] = "password";
        values[n++] = password;
    }
    keys[n] = NULL;
    values[n] = NULL;
    if (rc == MG_OK) {
        *out = PQconnectdbParams(keys, values, 0);
        if (PQstatus(*out) != CONNECTION_OK) {
            rc = refused(s->name, PQerrorMessage(*out), err);
        }
        PQsetNoticeReceiver(*out, ignore_notice, NULL);
    }
    explicit_bzero(password, sizeof password);
    mg_buf_deinit(&lists[0]);
    mg_buf_deinit(&lists[1]);
    return rc;
}

// A statement of ours.
static int run(PGconn *pg, const char *where, const char *sql, mg_error *err) {
    PGresult *r = PQexec(pg, sql);
    ExecStatusType status = PQresultStatus(r);
    bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    PQclear(r);
    return good ? MG_OK : refused(where, PQerrorMessage(pg), err);
}

static int read_applied(PGconn *pg, const char *where, const mg_migrations *m, mg_buf *orphans,
                        mg_error *err) {
    PGresult *r = PQexec(pg, "SELECT to_regclass('moongate_migrations') IS NOT NULL");
    bool there = PQntuples(r) == 1 && PQgetvalue(r, 0, 0)[0] == 't';
    PQclear(r);
    if (!there) {
        return MG_OK;
    }
    r = PQexec(pg, "SELECT number, name, checksum, to_char(applied_at AT TIME ZONE 'UTC', "
                   "'YYYY-MM-DD HH24:MI:SS') FROM moongate_migrations ORDER BY number");
    int rc = PQresultStatus(r) == PGRES_TUPLES_OK ? MG_OK : refused(where, PQerrorMessage(pg), err);
    for (int i = 0; rc == MG_OK && i < PQntuples(r); i++) {
        mg_migration_note(m, strtoull(PQgetvalue(r, i, 0), NULL, 10), PQgetvalue(r, i, 1),
                          PQgetvalue(r, i, 2), PQgetvalue(r, i, 3), orphans);
    }
    PQclear(r);
    return rc;
}

// --- one file ---

// `at`: where in the file the text begins that the server saw.
static int statement_fault(const mg_migration *f, const PGresult *r, size_t at, mg_error *err) {
    const char *position = PQresultErrorField(r, PG_DIAG_STATEMENT_POSITION);
    const char *what = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL);
    if (position != NULL) {
        // In characters, from 1.
        for (long left = strtol(position, NULL, 10) - 1; at < f->text.n; at++) {
            left -= ((unsigned char)f->text.p[at] & 0xc0) != 0x80;
            if (left < 0) {
                break;
            }
        }
    } else {
        bool blank = true;
        while (blank && at < f->text.n) {
            size_t next = mg_pg_scan_token(f->text, at, &blank);
            at = blank ? next : at;
        }
    }
    return mg_error_set(err, MG_ESYNTAX, "%s:%u: %s%s%s", f->path, mg_migration_line(f->text, at),
                        what != NULL ? what : PQresultErrorMessage(r), detail != NULL ? ": " : "",
                        detail != NULL ? detail : "");
}

// One by one: the fault's line is known, and outside a transaction nothing else is possible.
static int run_statements(PGconn *pg, const mg_migration *f, bool alone, mg_error *err) {
    mg_str rest = f->text;
    int rc = MG_OK;
    if (memchr(rest.p, '\0', rest.n) != NULL) {
        return mg_error_set(err, MG_ESYNTAX, "%s: a NUL byte: this is no text", f->path);
    }
    size_t at = rest.n >= 3 && memcmp(rest.p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    for (;;) {
        rest = (mg_str){f->text.p + at, f->text.n - at};
        size_t n = mg_postgres_statement_bytes(rest);
        if (n == 0 || rc != MG_OK) {
            return rc;
        }
        char *sql = mg_strndup(rest.p, n);
        PGresult *r = PQexec(pg, sql);
        ExecStatusType status = PQresultStatus(r);
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
            rc = statement_fault(f, r, at, err);
        } else if (!alone && PQtransactionStatus(pg) != PQTRANS_INTRANS) {
            rc = mg_error_set(err, MG_ESYNTAX,
                              "%s:%u: COMMIT and ROLLBACK are not for migrations: each file is one "
                              "transaction already (unless it begins with \"" MARKER "\")",
                              f->path, mg_migration_line(f->text, at + n - 1));
        }
        PQclear(r);
        mg_free(sql);
        at += n;
    }
}

static int note_done(PGconn *pg, const mg_migration *f, mg_error *err) {
    char number[24];
    char checksum[MG_MIGRATION_CHECKSUM + 1] = "";
    snprintf(number, sizeof number, "%llu", (unsigned long long)f->number);
    mg_migration_checksum(f->text, checksum);
    const char *const values[] = {number, f->name, checksum};
    PGresult *r = PQexecParams(
        pg, "INSERT INTO moongate_migrations (number, name, checksum) VALUES ($1, $2, $3)", 3, NULL,
        values, NULL, NULL, 0);
    int rc =
        PQresultStatus(r) == PGRES_COMMAND_OK ? MG_OK : refused(f->path, PQerrorMessage(pg), err);
    PQclear(r);
    return rc;
}

static int apply(PGconn *pg, mg_migration *f, mg_error *err) {
    bool alone = mg_str_starts(f->text, MG_STR(MARKER));
    int rc = alone ? MG_OK : run(pg, f->path, "BEGIN", err);
    if (rc == MG_OK) {
        rc = run_statements(pg, f, alone, err);
    }
    if (rc == MG_OK) {
        rc = note_done(pg, f, err);
    }
    if (rc == MG_OK && !alone) {
        rc = run(pg, f->path, "COMMIT", err);
    }
    if (rc != MG_OK) {
        (void)run(pg, f->path, "ROLLBACK", NULL); // there may be nothing to roll back
        return rc;
    }
    f->state = MG_MIGRATION_DONE;
    return MG_OK;
}

// --- all of them ---

// The lock is that of a transaction in a connection of its own: behind a pooler a session's would
// stay in a connection of the pooler's. READ COMMITTED keeps no snapshot, for which a CREATE INDEX
// CONCURRENTLY would wait.
static int take_lock(PGconn **out, const mg_pg_settings *s, const mg_migrations *m, mg_error *err) {
    char sql[160];
    uint32_t wait_ms = m->busy_ms != 0 ? m->busy_ms : MG_MIGRATION_BUSY_MS;
    snprintf(sql, sizeof sql,
             "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = %u; "
             "SET LOCAL idle_in_transaction_session_timeout = 0",
             wait_ms);
    int rc = connect_to(out, s, err);
    if (rc == MG_OK) {
        rc = run(*out, s->name, sql, err);
    }
    if (rc == MG_OK && run(*out, s->name, "SELECT pg_advisory_xact_lock(" LOCK ")", err) != MG_OK) {
        rc = mg_error_set(err, MG_ESYNTAX, "%s: another process has been migrating for %u s",
                          s->name, wait_ms / 1000);
    }
    return rc;
}

static int apply_pending(PGconn *pg, const char *where, const mg_migrations *m, mg_error *err) {
    int rc = run(pg, where,
                 "CREATE TABLE IF NOT EXISTS moongate_migrations (number bigint PRIMARY KEY, "
                 "name text NOT NULL, checksum text NOT NULL, "
                 "applied_at timestamptz NOT NULL DEFAULT now())",
                 err);
    for (size_t i = 0; rc == MG_OK && i < m->n; i++) {
        if (m->items[i].state == MG_MIGRATION_PENDING) {
            rc = apply(pg, &m->items[i], err);
        }
    }
    return rc;
}

static int with_connection(const char *url, mg_error *err,
                           int (*work)(PGconn *pg, const mg_pg_settings *s, mg_migrations *m,
                                       mg_buf *orphans, mg_error *err),
                           mg_migrations *m, mg_buf *orphans) {
    mg_pg_settings s = {0};
    PGconn *pg = NULL;
    int rc = mg_pg_settings_read(&s, mg_str_of(url), err);
    if (rc == MG_OK) {
        rc = connect_to(&pg, &s, err);
    }
    if (rc == MG_OK) {
        rc = work(pg, &s, m, orphans, err);
    }
    PQfinish(pg); // accepts NULL
    mg_pg_settings_deinit(&s);
    return rc;
}

static int read_all(PGconn *pg, const mg_pg_settings *s, mg_migrations *m, mg_buf *orphans,
                    mg_error *err) {
    return read_applied(pg, s->name, m, orphans, err);
}

static int migrate(PGconn *pg, const mg_pg_settings *s, mg_migrations *m, mg_buf *orphans,
                   mg_error *err) {
    PGconn *lock = NULL;
    int rc = take_lock(&lock, s, m, err);
    if (rc == MG_OK) {
        rc = read_applied(pg, s->name, m, orphans, err);
    }
    if (rc == MG_OK) {
        rc = mg_migration_refuse_changed(m, err);
    }
    if (rc == MG_OK) {
        rc = apply_pending(pg, s->name, m, err);
    }
    PQfinish(lock); // the lock goes with it
    return rc;
}

int mg_postgres_migrations_read(const char *url, mg_migrations *m, mg_buf *orphans, mg_error *err) {
    return with_connection(url, err, read_all, m, orphans);
}

int mg_postgres_migrate(const char *url, mg_migrations *m, mg_error *err) {
    return with_connection(url, err, migrate, m, NULL);
}
