// A COPY (section 55.2.6 of the manual). Its data has no place in a pipeline, so the connection, on
// which nothing else is under way, leaves its own meanwhile.
//
//   BEGUN --the server gives data--> GIVES --its end, a fault--> ENDS --no more results--> out of
//   it BEGUN --it takes data--> TAKES --written to the end, given up--> ENDS BEGUN --a fault, it
//   was no COPY--> ENDS
//
// Until then the connection belongs to a session. While nobody asks for the next piece nothing is
// read; a write is done once all has gone into the kernel's buffer: so either side holds the other
// back.

#include "store/postgres_inside.h"

enum { PIECE_BYTES = 64 << 10 };

static bool is_wanted(const mg_pg_conn *c) {
    return c->session->stream == c->copy && c->copy->result.code == NULL;
}

void mg_pg_copy_begin(mg_pg_conn *c, mg_pg_call *stream) {
    const mg_db_statement *s = &stream->statement;
    stream->state = MG_PG_SENT;
    stream->conn = c;
    stream->since_ms = mg_loop_now_ms(c->pool->loop);
    mg_link_append(&c->calls, &stream->link);
    c->in_flight++;
    c->pool->sent++;
    c->copy = stream;
    c->copy_state = MG_PG_COPY_BEGUN;
    // With the extended protocol: it takes one statement and no more.
    if (PQexitPipelineMode(c->pg) != 1 ||
        PQsendQueryParams(c->pg, s->sql.p, 0, NULL, NULL, NULL, NULL, 0) != 1) {
        mg_pg_conn_lost(c, PQerrorMessage(c->pg));
        return;
    }
    mg_pg_conn_flush(c);
}

// --- what it gives ---

static void give_piece(mg_pg_conn *c) {
    mg_pg_result_take_bytes(&c->copy->result, mg_buf_str(&c->gathered));
    mg_buf_clear(&c->gathered);
}

// False: nothing has come, or nobody asks for more.
static bool read_data(mg_pg_conn *c) {
    char *data = NULL;
    int n = PQgetCopyData(c->pg, &data, 1);
    if (n <= 0) {
        c->copy_state = n == 0 ? MG_PG_COPY_GIVES : MG_PG_COPY_ENDS;
        if (n != 0 && c->gathered.n > 0 && is_wanted(c)) {
            give_piece(c);
        }
        return n != 0;
    }
    if (is_wanted(c)) {
        mg_buf_append(&c->gathered, data, (size_t)n);
    }
    PQfreemem(data);
    if (c->gathered.n >= PIECE_BYTES && is_wanted(c)) {
        give_piece(c);
        mg_pg_piece(c->session, &c->copy->result, false);
    }
    return true;
}

// --- what it takes ---

bool mg_pg_copy_write(mg_pg_conn *c, mg_str bytes, bool last) {
    bool good = bytes.n == 0 || PQputCopyData(c->pg, bytes.p, (int)bytes.n) == 1;
    if (good && last) {
        c->copy_state = MG_PG_COPY_ENDS;
        good = PQputCopyEnd(c->pg, NULL) == 1;
    }
    if (!good) {
        mg_pg_conn_lost(c, PQerrorMessage(c->pg));
        return false;
    }
    mg_pg_conn_flush(c);
    return true;
}

void mg_pg_copy_drained(mg_pg_conn *c) {
    mg_pg_session *s = c->session;
    if (c->copy_state == MG_PG_COPY_TAKES && s->demand != NULL && s->demand->kind == MG_PG_WRITE) {
        mg_pg_piece(s, &c->copy->result, false);
    }
}

void mg_pg_copy_give_up(mg_pg_conn *c) {
    if (c->copy_state == MG_PG_COPY_TAKES) {
        c->copy_state = MG_PG_COPY_ENDS;
        (void)PQputCopyEnd(c->pg,
                           "the copy was given up"); // a connection that is lost shows itself
    } else {
        mg_pg_interrupt(c);
    }
    mg_pg_conn_resume(c);
}

// --- results ---

static void begin_taking(mg_pg_conn *c) {
    c->copy_state = MG_PG_COPY_TAKES;
    if (c->copy->statement.copy != MG_DB_COPY_IN) {
        mg_pg_result_fail(&c->copy->result, "error",
                          "the statement is no COPY ... TO STDOUT: it takes data");
    }
    if (!is_wanted(c)) {
        mg_pg_copy_give_up(c);
    } else if (c->session->demand != NULL) {
        mg_pg_piece(c->session, &c->copy->result, false);
    }
}

static void begin_giving(mg_pg_conn *c) {
    c->copy_state = MG_PG_COPY_GIVES;
    if (c->copy->statement.copy != MG_DB_COPY_OUT) {
        mg_pg_result_fail(&c->copy->result, "error",
                          "the statement is no COPY ... FROM STDIN: it gives data");
        mg_pg_interrupt(c);
    }
}

static void take_result(mg_pg_conn *c, const PGresult *r) {
    switch (PQresultStatus(r)) {
    case PGRES_COPY_IN:
        begin_taking(c);
        break;
    case PGRES_COPY_OUT:
        begin_giving(c);
        break;
    case PGRES_COMMAND_OK:
        if (c->copy_state == MG_PG_COPY_BEGUN) {
            mg_pg_result_fail(&c->copy->result, "error",
                              "it was copied at the server: FROM STDIN or TO STDOUT is wanted");
        }
        mg_pg_result_take(&c->copy->result, r, &c->copy->statement);
        break;
    default:
        mg_pg_conn_fail_by(c, c->copy, r);
        break;
    }
}

static void end(mg_pg_conn *c) {
    mg_pg_call *call = c->copy;
    c->copy = NULL;
    mg_buf_deinit(&c->gathered);
    if (PQenterPipelineMode(c->pg) != 1) {
        mg_pg_conn_lost(c, PQerrorMessage(c->pg));
        return;
    }
    mg_pg_finish_head(c, call);
}

void mg_pg_copy_read(mg_pg_conn *c) {
    while (c->state == MG_PG_OPEN && c->copy != NULL && !mg_pg_holds_back(c)) {
        if (c->copy_state == MG_PG_COPY_TAKES) {
            return;
        }
        if (c->copy_state == MG_PG_COPY_GIVES) {
            if (!read_data(c)) {
                return;
            }
            continue;
        }
        if (PQisBusy(c->pg)) {
            return;
        }
        PGresult *r = PQgetResult(c->pg);
        if (r == NULL) {
            end(c);
            return;
        }
        take_result(c, r);
        PQclear(r);
    }
}
