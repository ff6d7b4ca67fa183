#include "server/answer.h"

#include "server/exchange_inside.h"
#include "server/origin.h"
#include "server/server.h"

#include <assert.h>
#include <stdio.h>

enum {
    COPY_MAX = 8 * 1024, // larger answer bodies are not copied behind the head
    BACKLOG_HIGH = 64 * 1024,
};

// Whether the connection ends with this answer, decided when its head is written.
static bool must_close(const mg_exchange *x, const mg_answer *a) {
    const mg_server *s = x->server;
    const mg_conn *c = x->conn;
    if (!x->head.keep_alive || a->close || x->body_refusal.status != 0 || c->close_asked ||
        s->draining || c->requests >= s->options.requests_per_connection) {
        return true;
    }
    if (mg_body_complete(&x->body)) {
        return false;
    }
    // Nobody told the peer to go on, so whether a body follows is anybody's guess (RFC 9110
    // section 10.1.1).
    if (x->head.expect_continue && x->body.received == 0 && !x->continue_sent) {
        return true;
    }
    return x->body.left > s->options.discard_bytes;
}

// Tells the access log; the app's part is over.
void mg_exchange_record(mg_exchange *x, bool aborted) {
    mg_server *s = x->server;
    if (s->on_access == NULL) {
        return;
    }
    const mg_head *h = &x->head;
    const mg_field *referer = mg_fields_find(&h->fields, MG_FIELD_REFERER);
    const mg_field *agent = mg_fields_find(&h->fields, MG_FIELD_USER_AGENT);
    mg_access_record r = {
        .method = h->method_text,
        .target = h->target_text,
        .host = h->host,
        .referer = referer != NULL ? referer->value : (mg_str){NULL, 0},
        .user_agent = agent != NULL ? agent->value : (mg_str){NULL, 0},
        .request_id = x->request_id,
        .route = x->route,
        .client_ip = mg_exchange_origin(x)->client_ip,
        .version_minor = h->minor,
        .status = x->status,
        .body_bytes_out = x->body_bytes_out,
        .duration_us = x->start_us != 0 ? mg_loop_now_us(s->loop) - x->start_us : 0,
        .wall_ms = x->start_wall_ms != 0 ? x->start_wall_ms : mg_loop_wall_ms(s->loop),
        .aborted = aborted,
    };
    s->on_access(s->access_arg, &r);
}

// The last byte of the answer is gathered: what is left of the request is read away, then the
// connection goes on.
static void answered(mg_exchange *x) {
    mg_exchange_stop_deadlines(x);
    mg_exchange_record(x, false);
    x->phase = MG_EXCHANGE_ANSWERED;
    x->app = NULL;
    x->producer_go = NULL;
    x->producer_stop = NULL;
    mg_conn *c = x->conn;
    mg_conn_relieve(c);
    if (x->close_after || !mg_exchange_reads_body(x)) {
        mg_conn_exchange_done(c);
        return;
    }
    mg_buf_deinit(&x->content);
    x->body_limit = x->body.received + x->server->options.discard_bytes;
    x->body_paused = false;
    mg_timer_stop(&x->body_timer);
    mg_exchange_start_body_timer(x);
    mg_conn_resume(c);
}

static void write_head(mg_exchange *x, const mg_answer *a, mg_length_kind kind, uint64_t length) {
    x->status = a->status;
    x->close_after = must_close(x, a);
    mg_answer_head head = {
        .status = a->status,
        .kind = kind,
        .length = length,
        .content_type = a->content_type,
        .fields = a->fields,
        .date = mg_server_date(x->server),
        .has_date = a->has_date,
        .close = x->close_after,
        .keep_alive_to_10 = x->head.minor == 0,
    };
    mg_h1_write_head(mg_conn_out(x->conn), &head);
}

void mg_exchange_respond(mg_exchange *x, const mg_answer *a, mg_str body) {
    assert(x->phase == MG_EXCHANGE_HANDLING || x->phase == MG_EXCHANGE_HEAD);
    bool bodyless = mg_status_is_bodyless(a->status);
    write_head(x, a, bodyless ? MG_LENGTH_NONE : MG_LENGTH_KNOWN, body.n);
    if (!bodyless && x->head.method != MG_METHOD_HEAD) {
        x->body_bytes_out = body.n;
        if (body.n <= COPY_MAX) {
            mg_buf_append_str(mg_conn_out(x->conn), body);
        } else {
            mg_conn_write_through(x->conn, body);
        }
    }
    answered(x);
}

void mg_exchange_begin(mg_exchange *x, const mg_answer *a, int64_t length) {
    assert(x->phase == MG_EXCHANGE_HANDLING);
    mg_answer answer = *a;
    bool bodyless = mg_status_is_bodyless(a->status);
    x->chunked = !bodyless && length < 0 && x->head.minor > 0;
    // HTTP/1.0 knows no chunks: the end of the connection is the end of the content.
    answer.close |= !bodyless && length < 0 && x->head.minor == 0;
    mg_length_kind kind = bodyless || (length < 0 && !x->chunked) ? MG_LENGTH_NONE
                          : x->chunked                            ? MG_LENGTH_CHUNKED
                                                                  : MG_LENGTH_KNOWN;
    write_head(x, &answer, kind, length < 0 ? 0 : (uint64_t)length);
    x->bodyless = bodyless || x->head.method == MG_METHOD_HEAD;
    x->length_left = length;
    x->phase = MG_EXCHANGE_ANSWERING;
    mg_exchange_stop_deadlines(x);
}

int mg_exchange_write(mg_exchange *x, mg_str data) {
    assert(x->phase == MG_EXCHANGE_ANSWERING);
    if (x->length_left >= 0) {
        if ((uint64_t)x->length_left < data.n) {
            return MG_ELIMIT;
        }
        x->length_left -= (int64_t)data.n;
    }
    if (x->conn->broken) {
        return MG_ECLOSED;
    }
    if (x->bodyless || data.n == 0) {
        return MG_OK;
    }
    x->body_bytes_out += data.n;
    mg_buf *out = mg_conn_out(x->conn);
    if (x->chunked) {
        mg_h1_write_chunk(out, data.p, data.n);
        mg_conn_relieve(x->conn);
    } else if (data.n <= COPY_MAX) {
        mg_buf_append_str(out, data);
        mg_conn_relieve(x->conn);
    } else {
        mg_conn_write_through(x->conn, data);
    }
    return mg_conn_backlog(x->conn) > BACKLOG_HIGH && x->conn->stream.queued > 0 ? MG_EAGAIN
                                                                                 : MG_OK;
}

void mg_exchange_end(mg_exchange *x, mg_str trailers) {
    assert(x->phase == MG_EXCHANGE_ANSWERING);
    if (x->length_left > 0 && !x->bodyless) {
        mg_exchange_abort(x);
        return;
    }
    if (x->chunked && !x->bodyless) {
        mg_h1_write_last_chunk(mg_conn_out(x->conn), trailers);
    }
    answered(x);
}

void mg_exchange_abort(mg_exchange *x) {
    x->app = NULL;
    mg_conn_write_through(x->conn, (mg_str){NULL, 0}); // the answers before this one are good
    mg_conn_close(x->conn, MG_GONE_STOP);
}

void mg_exchange_refuse(mg_exchange *x, mg_refusal refusal) {
    assert(!mg_exchange_committed(x));
    mg_buf body = {0};
    mg_str phrase = mg_status_phrase(refusal.status);
    mg_buf_printf(&body,
                  "{\"type\":\"about:blank\",\"title\":\"%.*s\",\"status\":%d,\"detail\":\"%s\"}\n",
                  (int)phrase.n, phrase.p, refusal.status, refusal.reason);
    char retry[40] = "";
    if (refusal.retry_after > 0) {
        snprintf(retry, sizeof retry, "Retry-After: %u\r\n", refusal.retry_after);
    }
    mg_answer answer = {
        .fields = mg_str_of(retry),
        .status = refusal.status,
        .content_type = MG_STR("application/problem+json"),
        .close = true,
    };
    x->unparsed = true;
    mg_exchange_respond(x, &answer, mg_buf_str(&body));
    mg_buf_deinit(&body);
}
