// What is sent over a connection, and the results, which come in the same order. Each call ends
// with a Sync of its own: its failure is none of its neighbours'.
//
// Results of a call: those of the Parse if it prepares, a NULL, those of the statement (row by row,
// so that the size is known while it grows), a NULL, then that of the Sync.

#include "store/postgres_inside.h"

#include "base/json.h"
#include "base/mem.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

enum { NAME_BYTES = 32 };

// --- statements that are prepared ---

struct mg_pg_prepared {
    mg_link used;
    mg_pg_prepared *next;
    uint32_t hash;
    char name[NAME_BYTES];
    uint32_t holders; // calls in the pipeline
    bool gone;        // not to be found any more
    size_t sql_n;
    char sql[];
};

static mg_pg_prepared *find(mg_pg_conn *c, mg_str sql, uint32_t hash) {
    for (mg_pg_prepared *p = c->prepared[hash % MG_PG_BUCKETS]; p != NULL; p = p->next) {
        if (p->hash == hash && mg_str_eq((mg_str){p->sql, p->sql_n}, sql)) {
            mg_link_remove(&p->used);
            mg_link_append(c->used.next, &p->used); // in front
            return p;
        }
    }
    return NULL;
}

// No other connection has such a name: behind a pooler that has us share its own, another's
// statement of the same name would be run instead.
static mg_pg_prepared *add(mg_pg_conn *c, mg_str sql, uint32_t hash) {
    mg_pg_prepared *p = mg_calloc(1, sizeof *p + sql.n);
    p->hash = hash;
    snprintf(p->name, sizeof p->name, "moongate_%08x_%u", c->tag, ++c->next_number);
    p->sql_n = sql.n;
    memcpy(p->sql, sql.p, sql.n);
    p->next = c->prepared[hash % MG_PG_BUCKETS];
    c->prepared[hash % MG_PG_BUCKETS] = p;
    mg_link_append(c->used.next, &p->used);
    c->prepared_count++;
    return p;
}

static void release(mg_pg_prepared *p) {
    if (--p->holders == 0 && p->gone) {
        mg_free(p);
    }
}

// It is not found any more; the memory goes with the last call that uses it.
static void forget(mg_pg_conn *c, mg_pg_prepared *p) {
    if (p->gone) {
        return;
    }
    mg_pg_prepared **at = &c->prepared[p->hash % MG_PG_BUCKETS];
    while (*at != p) {
        at = &(*at)->next;
    }
    *at = p->next;
    mg_link_remove(&p->used);
    c->prepared_count--;
    p->gone = true;
    p->holders++;
    release(p);
}

void mg_pg_release_prepared(mg_pg_call *call) {
    if (call->prepared != NULL) {
        release(call->prepared);
        call->prepared = NULL;
    }
}

void mg_pg_forget_prepared(mg_pg_conn *c) {
    while (!mg_link_alone(&c->used)) {
        forget(c, MG_OF(c->used.next, mg_pg_prepared, used));
    }
}

static void drop_at_server(mg_pg_conn *c, mg_pg_prepared *p) {
    char sql[NAME_BYTES + 16];
    int n = snprintf(sql, sizeof sql, "DEALLOCATE %s", p->name);
    forget(c, p);
    mg_pg_send(c, mg_pg_own_call(c->pool, MG_PG_PLAIN, (mg_str){sql, (size_t)n}));
}

// --- sending ---

typedef struct parameters {
    const char **values;
    int *lengths;
    int *formats;
    mg_arena *arena;
    mg_buf number; // the last one's text
} parameters;

// The fewest digits that read back as the number: a `numeric` keeps each of them.
static const char *number_text(parameters *p, const mg_db_value *v) {
    mg_buf_clear(&p->number);
    if (v->kind == MG_DB_I64) {
        mg_json_write_i64(&p->number, v->i64);
    } else if (mg_json_write_double(&p->number, v->number) != MG_OK) {
        return isnan(v->number) ? "NaN" : v->number > 0 ? "Infinity" : "-Infinity";
    }
    return mg_arena_copy(p->arena, mg_buf_str(&p->number));
}

static void set_parameter(parameters *p, uint32_t i, const mg_db_value *v) {
    p->lengths[i] = 0;
    p->formats[i] = 0;
    switch (v->kind) {
    case MG_DB_NULL:
        p->values[i] = NULL;
        break;
    case MG_DB_I64:
    case MG_DB_DOUBLE:
        p->values[i] = number_text(p, v);
        break;
    case MG_DB_BOOL:
        p->values[i] = v->i64 != 0 ? "true" : "false";
        break;
    case MG_DB_BLOB:
        p->formats[i] = 1;
        p->lengths[i] = (int)v->text.n;
        p->values[i] = v->text.p != NULL ? v->text.p : "";
        break;
    default:
        p->values[i] = v->text.p; // terminated: see new_call
        break;
    }
}

static parameters make_parameters(const mg_db_statement *s, mg_arena *arena) {
    size_t n = s->count + 1;
    parameters p = {
        .values = mg_arena_alloc(arena, n * sizeof *p.values),
        .lengths = mg_arena_alloc(arena, n * sizeof *p.lengths),
        .formats = mg_arena_alloc(arena, n * sizeof *p.formats),
        .arena = arena,
    };
    for (uint32_t i = 0; i < s->count; i++) {
        set_parameter(&p, i, &s->values[i]);
    }
    mg_buf_deinit(&p.number);
    return p;
}

// Finds or makes the prepared statement. False: libpq failed.
static bool prepare(mg_pg_conn *c, mg_pg_call *call) {
    mg_str sql = call->statement.sql;
    uint32_t hash = mg_str_hash(sql);
    mg_pg_prepared *p = find(c, sql, hash);
    if (p == NULL) {
        if (c->prepared_count >= c->pool->settings.prepared) {
            drop_at_server(c, MG_OF(c->used.prev, mg_pg_prepared, used));
            if (c->state != MG_PG_OPEN) {
                return false;
            }
        }
        p = add(c, sql, hash);
        call->parses = true;
    }
    p->holders++;
    call->prepared = p;
    return !call->parses || PQsendPrepare(c->pg, p->name, sql.p, 0, NULL) == 1;
}

static bool send_statement(mg_pg_conn *c, mg_pg_call *call) {
    const mg_db_statement *s = &call->statement;
    bool is_text = call->kind == MG_PG_QUERY || call->kind == MG_PG_STREAM;
    bool keep = is_text && c->pool->settings.prepared > 0;
    if (keep && !prepare(c, call)) {
        return false;
    }
    mg_arena arena = {0};
    parameters p = make_parameters(s, &arena);
    int n = (int)s->count;
    bool good;
    if (keep) {
        good = PQsendQueryPrepared(c->pg, call->prepared->name, n, p.values, p.lengths, p.formats,
                                   0) == 1;
    } else {
        good = PQsendQueryParams(c->pg, s->sql.p, n, NULL, p.values, p.lengths, p.formats, 0) == 1;
    }
    mg_arena_deinit(&arena);
    return good;
}

void mg_pg_send(mg_pg_conn *c, mg_pg_call *call) {
    assert(c->state == MG_PG_OPEN);
    bool good = call->kind == MG_PG_SYNC || send_statement(c, call);
    if (c->state != MG_PG_OPEN) {
        // Lost while another statement was dropped for its sake.
        mg_pg_result_fail(&call->result, "closed", c->fault);
        mg_pg_ready(call);
        return;
    }
    call->state = MG_PG_SENT;
    call->conn = c;
    call->since_ms = mg_loop_now_ms(c->pool->loop);
    if (c->in_flight == 0 && c->session == NULL) {
        c->taken_ms = call->since_ms;
    }
    mg_link_append(&c->calls, &call->link);
    c->in_flight++;
    c->pool->sent++;
    mg_deadline_stop(&c->idle);
    if (!good || PQpipelineSync(c->pg) != 1) {
        mg_pg_conn_lost(c, PQerrorMessage(c->pg));
        return;
    }
    mg_pg_conn_flush(c);
}

// --- results ---

static bool is_stale(const mg_pg_call *call) {
    const char *state = call->result.fields[MG_DB_SQLSTATE];
    // The server knows the name no more; or what it has prepared fits the tables no more.
    return state != NULL && call->prepared != NULL &&
           (strcmp(state, "26000") == 0 ||
            (strcmp(state, "0A000") == 0 && strstr(call->result.message, "cached plan") != NULL));
}

// True if it is sent again: it stood alone in its transaction, which has had no effect.
static bool send_again(mg_pg_call *call, bool stale) {
    if (!stale || call->again || call->session != NULL || call->on_done == NULL ||
        call->kind != MG_PG_QUERY) {
        return false;
    }
    mg_pg_result_deinit(&call->result);
    call->again = true;
    call->parses = false;
    call->parsed = false;
    mg_pg_requeue(call);
    return true;
}

// Twice in a row: that is no server which begins anew.
static void tell_of_poolers(mg_pg_call *call) {
    char text[400];
    const char *state = call->result.fields[MG_DB_SQLSTATE];
    if (strcmp(state, "26000") == 0) {
        snprintf(
            text, sizeof text,
            "%.200s (behind a pooler of transactions, as pgbouncer, the URL says prepare=false)",
            call->result.message);
        call->result.message = mg_arena_copy(&call->result.arena, mg_str_of(text));
    }
}

static void settle_prepared(mg_pg_conn *c, mg_pg_call *call, bool stale) {
    mg_pg_prepared *p = call->prepared;
    if (p == NULL) {
        return;
    }
    call->prepared = NULL;
    bool refused = call->parses && !call->parsed;
    if (refused) {
        forget(c, p);
    } else if (stale && !p->gone) {
        drop_at_server(c, p);
    }
    release(p);
}

// The connection is in the hands of a protocol that a pipeline knows not.
static void refuse_copy(mg_pg_conn *c, mg_pg_call *call) {
    mg_pg_result_fail(&call->result, "error", "COPY cannot be run as a statement");
    mg_pg_conn_lost(c, "COPY was run as a statement");
}

void mg_pg_conn_fail_by(mg_pg_conn *c, mg_pg_call *call, const PGresult *r) {
    if (PQresultErrorField(r, PG_DIAG_SQLSTATE) != NULL) {
        mg_pg_result_fail_by(&call->result, r);
    } else { // it is libpq's own
        mg_pg_conn_lost(c, PQresultErrorMessage(r));
    }
}

static uint64_t most_bytes(const mg_pg_call *call) {
    return call->statement.max_bytes > 0 ? call->statement.max_bytes : MG_DB_RESULT_MAX;
}

static void take_rows(mg_pg_conn *c, mg_pg_call *call, const PGresult *from) {
    mg_pg_session *s = call->session;
    bool streams = call->kind == MG_PG_STREAM;
    if (call->result.code != NULL || (call->on_done == NULL && !streams)) {
        return; // read away
    }
    if (streams && s->stream != call) {
        return; // nobody reads it any more
    }
    mg_pg_result_take(&call->result, from, &call->statement);
    if (call->result.bytes > most_bytes(call)) {
        char text[96];
        snprintf(text, sizeof text, "the result is larger than %llu bytes",
                 (unsigned long long)most_bytes(call));
        mg_pg_result_deinit(&call->result);
        mg_pg_result_fail(&call->result, "limit", text);
        mg_pg_interrupt(c);
    } else if (streams && s->demand != NULL && call->result.rows >= s->demand->statement.max_rows) {
        mg_pg_piece(s, &call->result, false);
    }
}

void mg_pg_finish_head(mg_pg_conn *c, mg_pg_call *call) {
    mg_link_remove(&call->link);
    c->in_flight--;
    c->unwanted -= call->kind == MG_PG_QUERY && call->on_done == NULL;
    mg_pg_call *next = mg_link_alone(&c->calls) ? NULL : MG_OF(c->calls.next, mg_pg_call, link);
    if (next != NULL) {
        next->since_ms = mg_loop_now_ms(c->pool->loop);
    }
    if (call->kind == MG_PG_SYNC) {
        c->shaken = false;
    }
    bool stale = is_stale(call);
    settle_prepared(c, call, stale);
    if (!send_again(call, stale)) {
        if (stale) {
            tell_of_poolers(call);
        }
        mg_pg_ready(call);
    }
    mg_pg_calm(c);
}

// A COMMIT rolls back if a statement of the transaction has failed.
static void check_end(mg_pg_call *call, const PGresult *r) {
    const char *tag = PQcmdStatus((PGresult *)(uintptr_t)r);
    if (call->commit && strcmp(tag, "COMMIT") != 0) {
        mg_pg_result_fail(&call->result, "error",
                          "a statement of the transaction had failed or was given up: it has been "
                          "rolled back");
    }
}

// One result of the call at the head.
static void take_result(mg_pg_conn *c, mg_pg_call *call, PGresult *r) {
    switch (PQresultStatus(r)) {
    case PGRES_PIPELINE_SYNC:
        mg_pg_finish_head(c, call);
        break;
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_SINGLE_TUPLE:
        if (call->parses && !call->parsed) {
            call->parsed = true;
        } else if (call->kind == MG_PG_END) {
            check_end(call, r);
        } else {
            take_rows(c, call, r);
        }
        break;
    case PGRES_EMPTY_QUERY:
        mg_pg_result_fail(&call->result, "syntax", "the statement is empty");
        break;
    case PGRES_PIPELINE_ABORTED:
        break; // its error has come
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        refuse_copy(c, call);
        break;
    default:
        mg_pg_conn_fail_by(c, call, r);
        break;
    }
}

bool mg_pg_holds_back(const mg_pg_conn *c) {
    const mg_pg_session *s = c->session;
    bool takes = c->copy != NULL && c->copy_state == MG_PG_COPY_TAKES;
    return s != NULL && s->stream != NULL && s->demand == NULL && !takes;
}

void mg_pg_read_results(mg_pg_conn *c) {
    if (c->copy != NULL) {
        mg_pg_copy_read(c);
        return;
    }
    bool between = false; // the last result was a NULL: two in a row would never end
    while (c->state == MG_PG_OPEN && !mg_link_alone(&c->calls)) {
        mg_pg_call *call = MG_OF(c->calls.next, mg_pg_call, link);
        if (mg_pg_holds_back(c)) {
            return;
        }
        PQsetSingleRowMode(c->pg); // refused while there is no statement to set it for
        if (PQisBusy(c->pg)) {
            return;
        }
        PGresult *r = PQgetResult(c->pg);
        if (r == NULL && (between || PQstatus(c->pg) != CONNECTION_OK)) {
            mg_pg_conn_lost(c, PQerrorMessage(c->pg));
            return;
        }
        between = r == NULL;
        if (between) {
            continue;
        }
        take_result(c, call, r);
        PQclear(r);
        if (c->state == MG_PG_OPEN && PQstatus(c->pg) != CONNECTION_OK) {
            mg_pg_conn_lost(c, PQerrorMessage(c->pg));
        }
    }
}
