#include "http/h1_write.h"
#include "http/status.h"
#include "server/h1_inside.h"
#include "server/server.h"
#include "server/tunnel.h"

// --- the head ---

// Whether the connection ends with this answer, decided when its head is written.
static bool must_close(const mg_h1_exchange *h) {
    const mg_exchange *x = &h->x;
    const mg_server *s = x->server;
    const mg_conn *c = h->conn;
    if (!x->head.keep_alive || h->unparsed || c->close_asked || s->draining ||
        c->requests >= s->options.requests_per_connection) {
        return true;
    }
    if (x->body_complete) {
        return false;
    }
    // Nobody told the peer to go on, so whether a body follows is anybody's guess (RFC 9110
    // section 10.1.1).
    if (x->head.expect_continue && x->body_received == 0 && !x->continue_sent) {
        return true;
    }
    return x->body_ahead > s->options.discard_bytes;
}

// Decides how the end of the content is told.
static mg_length_kind choose_framing(mg_h1_exchange *h, const mg_answer *a) {
    if (mg_status_is_bodyless(a->status)) {
        return MG_LENGTH_NONE;
    }
    if (h->x.length_left >= 0) {
        return MG_LENGTH_KNOWN;
    }
    if (h->x.head.minor > 0) {
        h->chunked = true;
        return MG_LENGTH_CHUNKED;
    }
    // HTTP/1.0 knows no chunks: the end of the connection is the end of the content.
    h->close_after = true;
    return MG_LENGTH_NONE;
}

static void write_head(mg_exchange *x, const mg_answer *a) {
    mg_h1_exchange *h = mg_h1_of(x);
    mg_server *s = x->server;
    h->close_after = must_close(h);
    mg_length_kind kind = choose_framing(h, a);
    mg_answer_head head = {
        .status = a->status,
        .reason = a->reason,
        .kind = kind,
        .length = (uint64_t)x->length_left,
        .content_type = a->content_type,
        .fields = &a->fields,
        .date = mg_server_date(s),
        .close = h->close_after,
        .keep_alive_to_10 = x->head.minor == 0,
    };
    mg_h1_write_head(mg_conn_out(h->conn), &head);
}

static void interim(mg_exchange *x, int status, const mg_fields *fields) {
    mg_h1_exchange *h = mg_h1_of(x);
    if (x->head.minor > 0) { // RFC 9110 section 15.2
        mg_h1_write_interim(mg_conn_out(h->conn), status, fields);
    }
}

// --- the content ---

// A chunk is written in three pieces: the frame around it, and it.
static int content(mg_exchange *x, mg_str data) {
    mg_h1_exchange *h = mg_h1_of(x);
    mg_conn *c = h->conn;
    if (!h->chunked || c->broken) {
        return mg_conn_send(c, data);
    }
    mg_h1_write_chunk(mg_conn_out(c), data.p, data.n);
    return mg_conn_send(c, (mg_str){NULL, 0});
}

static size_t backlog(const mg_exchange *x) {
    return mg_h1_of(x)->conn->stream.queued;
}

bool mg_h1_ends_with_close(const mg_h1_exchange *h) {
    const mg_exchange *x = &h->x;
    return x->phase == MG_EXCHANGE_ANSWERING && !x->bodyless && !h->chunked && x->length_left < 0;
}

// --- the end ---

// What is left of the request is read away, then the connection goes on.
static void end(mg_exchange *x, const mg_fields *trailers) {
    mg_h1_exchange *h = mg_h1_of(x);
    mg_conn *c = h->conn;
    if (h->chunked && !x->bodyless) {
        mg_h1_write_last_chunk(mg_conn_out(c), trailers);
    }
    mg_conn_relieve(c);
    if (h->close_after || !mg_exchange_reads_body(x)) {
        mg_h1_done(h);
    } else {
        mg_exchange_discard_body(x);
    }
}

static void abort_answer(mg_exchange *x) {
    mg_conn *c = mg_h1_of(x)->conn;
    mg_conn_write_through(c, (mg_str){NULL, 0}); // the answers before this one are good
    mg_conn_close(c, MG_GONE_STOP);
}

// --- the request's body ---

static void pause_body(mg_exchange *x) {
    mg_conn_pause(mg_h1_of(x)->conn);
}

static void resume_body(mg_exchange *x) {
    mg_conn_resume(mg_h1_of(x)->conn);
}

static void credit(mg_exchange *x, size_t bytes) {
    (void)x; // the kernel's window is opened by reading
    (void)bytes;
}

static void stop_body(mg_exchange *x) {
    mg_h1_exchange *h = mg_h1_of(x);
    h->unparsed = true;
    if (x->phase == MG_EXCHANGE_ANSWERED) {
        h->close_after = true;
        mg_h1_done(h);
    }
}

// --- the connection ---

static void peer(const mg_exchange *x, mg_peer *out) {
    const mg_conn *c = mg_h1_of(x)->conn;
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
    return mg_conn_peer(mg_h1_of(x)->conn, out);
}

static int came_to(const mg_exchange *x, struct sockaddr_storage *out) {
    return mg_conn_local(mg_h1_of(x)->conn, out);
}

// --- taking over ---

// RFC 9110 sections 7.8 and 9.3.6. A protocol is switched behind the whole request.
static const char *may_take_over(const mg_exchange *x, mg_str protocol) {
    const mg_fields *fields = &x->head.fields;
    if (!x->body_complete) {
        return "the request's body has not come to its end";
    }
    if (protocol.n == 0) {
        return x->head.method == MG_METHOD_CONNECT ? NULL : "the request is no CONNECT";
    }
    bool asked = x->head.minor > 0 && mg_fields_has_member(fields, MG_FIELD_UPGRADE, protocol) &&
                 mg_fields_has_member(fields, MG_FIELD_CONNECTION, MG_STR("upgrade"));
    return asked ? NULL : "the client did not ask for that protocol";
}

static void take_over(mg_exchange *x, const mg_answer *a, mg_str protocol, mg_tunnel *t) {
    mg_h1_exchange *h = mg_h1_of(x);
    mg_server *s = x->server;
    mg_conn *c = h->conn;
    mg_fields fields;
    mg_fields_init(&fields, &x->arena);
    if (protocol.n > 0) {
        (void)mg_fields_add_id(&fields, MG_FIELD_CONNECTION, MG_STR("upgrade"));
        (void)mg_fields_add_id(&fields, MG_FIELD_UPGRADE, protocol); // a member of the client's own
    }
    (void)mg_fields_copy(&fields, &a->fields);
    mg_answer_head head = {
        .status = a->status,
        .reason = a->reason,
        .kind = MG_LENGTH_NONE,
        .fields = &fields,
        .date = mg_server_date(s),
    };
    mg_h1_write_head(mg_conn_out(c), &head);
    mg_h1_recycle(h);
    mg_tunnel_open(t, c);
}

static void close_connection(mg_exchange *x) {
    mg_h1_exchange *h = mg_h1_of(x);
    h->conn->close_asked = true;
    h->close_after = true;
}

const mg_wire mg_h1_wire = {
    .exchange_bytes = sizeof(mg_h1_exchange),
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
    .may_take_over = may_take_over,
    .take_over = take_over,
    .close = close_connection,
};
