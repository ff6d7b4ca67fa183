#include "http/status.h"
#include "server/h2_inside.h"
#include "server/server.h"

// --- the head ---

static void leave_if_asked(const mg_h2_exchange *e) {
    const mg_conn *c = e->via->conn;
    if (c->close_asked || c->requests >= e->x.server->options.requests_per_connection) {
        mg_h2_conn_leave(e->via);
    }
}

static void write_head(mg_exchange *x, const mg_answer *a) {
    mg_h2_exchange *e = mg_h2_exchange_of(x);
    mg_server *s = x->server;
    bool has_length = x->length_left >= 0 && !mg_status_is_bodyless(a->status);
    const mg_answer_head head = {
        .status = a->status,
        .kind = has_length ? MG_LENGTH_KNOWN : MG_LENGTH_NONE,
        .length = (uint64_t)x->length_left,
        .content_type = a->content_type,
        .fields = &a->fields,
        .date = mg_server_date(s),
    };
    bool end = x->bodyless || x->length_left == 0;
    leave_if_asked(e);
    mg_h2_send_answer(&e->via->h2, &e->stream, mg_conn_out(e->via->conn), &head, end);
}

static void interim(mg_exchange *x, int status, const mg_fields *fields) {
    mg_h2_exchange *e = mg_h2_exchange_of(x);
    mg_h2_send_interim(&e->via->h2, &e->stream, mg_conn_out(e->via->conn), status, fields);
}

// --- the content and its end ---

static int content(mg_exchange *x, mg_str data) {
    bool whole = x->phase < MG_EXCHANGE_ANSWERING; // of a complete answer
    return mg_h2_content(mg_h2_exchange_of(x), data, whole || x->length_left == 0);
}

static size_t backlog(const mg_exchange *x) {
    return mg_h2_waiting(mg_h2_exchange_of(x));
}

// Nobody told the peer to go on, so it may never send what is left.
static bool will_not_come(const mg_exchange *x) {
    return x->head.expect_continue && x->body_received == 0 && !x->continue_sent;
}

void mg_h2_answered(mg_h2_exchange *e) {
    if (mg_h2_is_closed(&e->stream)) {
        mg_h2_exchange_over(e);
        return;
    }
    if (e->stream.end_sent && (e->deaf || e->stream.tunnel || will_not_come(&e->x))) {
        mg_h2_exchange_reset(e, MG_H2_NO_ERROR); // RFC 9113 section 8.1
        return;
    }
    if (!e->discarding && !e->deaf && mg_exchange_reads_body(&e->x)) {
        e->discarding = true;
        mg_exchange_discard_body(&e->x);
    }
}

static void keep_trailers(mg_h2_exchange *e, const mg_fields *trailers) {
    mg_fields_init(&e->trailers, &e->x.arena);
    if (trailers != NULL) {
        (void)mg_fields_copy(&e->trailers, trailers); // which has kept its limit
    }
}

static void end(mg_exchange *x, const mg_fields *trailers) {
    mg_h2_exchange *e = mg_h2_exchange_of(x);
    bool open = !mg_h2_is_closed(&e->stream) && !e->stream.end_sent;
    if (open && mg_h2_waiting(e) > 0) {
        e->ending = true;
        keep_trailers(e, x->length_left < 0 ? trailers : NULL);
        mg_h2_arm(e);
    } else if (open) {
        mg_h2_send_end(&e->via->h2, &e->stream, mg_conn_out(e->via->conn), trailers);
    }
    mg_h2_answered(e);
}

static void abort_answer(mg_exchange *x) {
    mg_h2_exchange_reset(mg_h2_exchange_of(x), MG_H2_INTERNAL_ERROR);
}

// --- the request's body ---

static void pause_body(mg_exchange *x) {
    (void)x; // no window is opened meanwhile
}

static void resume_body(mg_exchange *x) {
    (void)x;
}

static void credit(mg_exchange *x, size_t bytes) {
    mg_h2_exchange *e = mg_h2_exchange_of(x);
    if (bytes > 0 && !mg_h2_is_closed(&e->stream)) {
        mg_h2_taken(&e->via->h2, &e->stream, mg_conn_out(e->via->conn), bytes);
    }
}

static void stop_body(mg_exchange *x) {
    mg_h2_exchange *e = mg_h2_exchange_of(x);
    e->deaf = true;
    if (x->phase == MG_EXCHANGE_ANSWERED) {
        mg_h2_answered(e);
    }
}

// --- the connection ---

static void peer(const mg_exchange *x, mg_peer *out) {
    const mg_conn *c = mg_h2_exchange_of(x)->via->conn;
    *out = (mg_peer){
        .connection = c->id,
        .bytes_in = c->bytes_in,
        .bytes_out = c->bytes_out,
        .opened_wall_ms = c->opened_wall_ms,
        .requests = c->requests,
        .tls = mg_tls_is(&c->stream) ? &c->stream : NULL,
    };
}

static int address(const mg_exchange *x, struct sockaddr_storage *out) {
    return mg_conn_peer(mg_h2_exchange_of(x)->via->conn, out);
}

static int came_to(const mg_exchange *x, struct sockaddr_storage *out) {
    return mg_conn_local(mg_h2_exchange_of(x)->via->conn, out);
}

static void close_connection(mg_exchange *x) {
    mg_h2_exchange *e = mg_h2_exchange_of(x);
    e->via->conn->close_asked = true;
    mg_h2_conn_leave(e->via);
}

const mg_wire mg_h2_wire = {
    .exchange_bytes = sizeof(mg_h2_exchange),
    .interim = interim,
    .head = write_head,
    .content = content,
    .end = end,
    .abort = abort_answer,
    .backlog = backlog,
    .pause = pause_body,
    .resume = resume_body,
    .credit = credit,
    .stop_body = stop_body,
    .peer = peer,
    .address = address,
    .came_to = came_to,
    .may_take_over = mg_h2_may_take_over,
    .take_over = mg_h2_take_over,
    .close = close_connection,
};
