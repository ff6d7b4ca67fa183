#include "server/exchange.h"

#include "server/origin.h"
#include "server/server.h"

#include <assert.h>

enum {
    CONTENT_HIGH = 64 * 1024, // decoded content that waits for the handler: reading pauses
    COPY_MAX = 8 * 1024,      // larger answer bodies are not copied behind the head
    BACKLOG_HIGH = 128 * 1024,
};

// --- request ---

static uint64_t now_us(const mg_exchange *x) {
    return mg_loop_now_us(x->server->loop);
}

void mg_exchange_start(mg_exchange *x) {
    mg_server *s = x->server;
    x->phase = MG_EXCHANGE_HANDLING;
    x->app = s->app;
    x->body_limit = s->options.body_bytes;
    mg_body_init(&x->body, &x->head, &s->body_limits, &x->arena);
    mg_deadline_start(&s->handler, &x->handler_deadline);
    s->stats.requests++;
    if (s->on_access != NULL) {
        x->start_us = now_us(x);
        x->start_wall_ms = mg_loop_wall_ms(s->loop);
    }
    x->app->on_request(x->app, x);
}

int mg_exchange_limit_body(mg_exchange *x, uint64_t bytes) {
    x->body_limit = bytes;
    x->body_judged = true;
    return x->head.length > bytes || x->body.received > bytes ? MG_ELIMIT : MG_OK;
}

mg_str mg_exchange_content(const mg_exchange *x) {
    return mg_buf_str(&x->content);
}

bool mg_exchange_body_complete(const mg_exchange *x) {
    return mg_body_complete(&x->body);
}

// How long a body of that many bytes may take: a grace, then as long as its bytes are worth.
static uint64_t body_allowance_ms(const mg_exchange *x) {
    const mg_server_options *o = &x->server->options;
    return o->body_grace_ms + x->body.received * 1000 / o->body_rate;
}

static void on_body_time(mg_timer *t) {
    mg_exchange *x = MG_OF(t, mg_exchange, body_timer);
    mg_loop *loop = x->server->loop;
    uint64_t spent = mg_loop_now_ms(loop) - x->body_start_ms;
    uint64_t allowed = body_allowance_ms(x);
    if (x->body_paused) {
        // It is the handler that is slow.
        mg_timer_start(loop, t, x->server->options.body_grace_ms, 0, on_body_time);
    } else if (spent < allowed) {
        mg_timer_start(loop, t, allowed - spent, 0, on_body_time);
    } else {
        mg_exchange_fault(x, (mg_refusal){408, "the request's body came too slowly"});
    }
}

static void start_body_timer(mg_exchange *x) {
    const mg_server_options *o = &x->server->options;
    if (o->body_rate > 0 && o->body_grace_ms > 0 && !mg_body_complete(&x->body)) {
        x->body_start_ms = mg_loop_now_ms(x->server->loop);
        mg_timer_start(x->server->loop, &x->body_timer, body_allowance_ms(x), 0, on_body_time);
    }
}

static void send_continue(mg_exchange *x) {
    // RFC 9110 section 10.1.1: not needed once the body has begun to come.
    if (x->head.expect_continue && !x->continue_sent && x->body.received == 0 &&
        x->phase == MG_EXCHANGE_HANDLING && !mg_body_complete(&x->body)) {
        mg_buf_append_str(mg_conn_out(x->conn), MG_STR("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    x->continue_sent = true;
}

static void resume_body(mg_exchange *x) {
    if (x->body_paused) {
        x->body_paused = false;
        x->body_start_ms = mg_loop_now_ms(x->server->loop);
        mg_conn_resume(x->conn);
    }
}

void mg_exchange_want_body(mg_exchange *x, bool collect) {
    if (!x->body_wanted) {
        x->body_wanted = true;
        send_continue(x);
        start_body_timer(x);
    }
    x->body_collect |= collect;
    if (x->body_collect) {
        resume_body(x);
    }
}

void mg_exchange_take_content(mg_exchange *x) {
    mg_buf_deinit(&x->content);
    resume_body(x);
}

bool mg_exchange_take_piece(mg_exchange *x, mg_str piece) {
    if (x->phase == MG_EXCHANGE_ANSWERED) {
        if (x->body.received <= x->server->options.discard_bytes) {
            return true;
        }
        x->close_after = true;
        mg_conn_exchange_done(x->conn);
        return false;
    }
    if (x->body_judged && x->body.received > x->body_limit) {
        mg_exchange_fault(x, (mg_refusal){413, "the request's body is too large"});
        return false;
    }
    mg_buf_append_str(&x->content, piece);
    if (x->content.n >= CONTENT_HIGH && !x->body_collect && !x->body_paused) {
        x->body_paused = true;
        mg_conn_pause(x->conn);
    }
    return true;
}

void mg_exchange_body_progress(mg_exchange *x) {
    bool complete = mg_body_complete(&x->body);
    if (complete) {
        mg_timer_stop(&x->body_timer);
    }
    if (x->phase == MG_EXCHANGE_ANSWERED) {
        if (complete) {
            mg_conn_exchange_done(x->conn);
        }
    } else if (x->body_wanted && (x->content.n > 0 || complete)) {
        x->app->on_body(x->app, x);
    }
}

// --- time ---

void mg_exchange_late(mg_exchange *x) {
    x->app->on_deadline(x->app, x);
}

static void on_handler_time(mg_timer *t) {
    mg_exchange_late(MG_OF(t, mg_exchange, handler_timer));
}

static void stop_deadlines(mg_exchange *x) {
    mg_deadline_stop(&x->handler_deadline);
    mg_timer_stop(&x->handler_timer);
}

void mg_exchange_set_deadline(mg_exchange *x, uint64_t ms) {
    stop_deadlines(x);
    if (ms > 0) {
        mg_timer_start(x->server->loop, &x->handler_timer, ms, 0, on_handler_time);
    }
}

// --- answer ---

// Whether the connection ends with this answer, decided when its head is written.
static bool must_close(const mg_exchange *x, const mg_answer *a) {
    const mg_server *s = x->server;
    const mg_conn *c = x->conn;
    if (!x->head.keep_alive || a->close || c->close_asked || s->draining ||
        c->requests >= s->options.requests_per_connection) {
        return true;
    }
    if (mg_body_complete(&x->body)) {
        return false;
    }
    // Nobody told the peer to go on, so whether a body follows is anybody's guess (RFC 9110 section 10.1.1).
    if (x->head.expect_continue && x->body.received == 0 && !x->continue_sent) {
        return true;
    }
    return x->body.left > s->options.discard_bytes;
}

// Tells the access log; the app's part is over.
static void record(mg_exchange *x, bool aborted) {
    mg_server *s = x->server;
    if (s->on_access == NULL) {
        return;
    }
    const mg_head *h = &x->head;
    const mg_field *referer = mg_head_find(h, MG_STR("referer"));
    const mg_field *agent = mg_head_find(h, MG_STR("user-agent"));
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
        .duration_us = x->start_us != 0 ? now_us(x) - x->start_us : 0,
        .wall_ms = x->start_wall_ms != 0 ? x->start_wall_ms : mg_loop_wall_ms(s->loop),
        .aborted = aborted,
    };
    s->on_access(s->access_arg, &r);
}

// The last byte of the answer is gathered: what is left of the request is read away, then the connection goes on.
static void answered(mg_exchange *x) {
    stop_deadlines(x);
    record(x, false);
    x->phase = MG_EXCHANGE_ANSWERED;
    x->app = NULL;
    x->producer_go = NULL;
    x->producer_stop = NULL;
    mg_conn *c = x->conn;
    mg_conn_relieve(c);
    if (x->close_after || mg_body_complete(&x->body)) {
        mg_conn_exchange_done(c);
        return;
    }
    mg_buf_deinit(&x->content);
    x->body_paused = false;
    mg_timer_stop(&x->body_timer);
    start_body_timer(x);
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
    stop_deadlines(x);
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
    return mg_conn_backlog(x->conn) > BACKLOG_HIGH && x->conn->stream.queued > 0 ? MG_EAGAIN : MG_OK;
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
    mg_conn_close(x->conn, MG_GONE_STOP);
}

void mg_exchange_refuse(mg_exchange *x, mg_refusal refusal) {
    assert(!mg_exchange_committed(x));
    mg_buf body = {0};
    mg_str phrase = mg_status_phrase(refusal.status);
    mg_buf_printf(&body, "{\"type\":\"about:blank\",\"title\":\"%.*s\",\"status\":%d,\"detail\":\"%s\"}\n",
                  (int)phrase.n, phrase.p, refusal.status, refusal.reason);
    mg_answer answer = {
        .status = refusal.status,
        .content_type = MG_STR("application/problem+json"),
        .close = true,
    };
    x->unparsed = true;
    mg_exchange_respond(x, &answer, mg_buf_str(&body));
    mg_buf_deinit(&body);
}

// --- ends that nobody wanted ---

static void tell_gone(mg_exchange *x, mg_gone why) {
    mg_app *app = x->app;
    stop_deadlines(x);
    mg_timer_stop(&x->body_timer);
    if (x->producer_stop != NULL) {
        x->producer_stop(x);
    }
    x->app = NULL;
    if (app != NULL) {
        app->on_gone(app, x, why);
    }
}

void mg_exchange_fault(mg_exchange *x, mg_refusal refusal) {
    mg_exchange_phase phase = x->phase;
    tell_gone(x, MG_GONE_FAULT);
    if (phase == MG_EXCHANGE_HANDLING) {
        mg_exchange_refuse(x, refusal);
    } else if (phase == MG_EXCHANGE_ANSWERED) {
        x->close_after = true;
        mg_conn_exchange_done(x->conn);
    } else {
        mg_conn_close(x->conn, MG_GONE_FAULT);
    }
}

void mg_exchange_lost(mg_exchange *x, mg_gone why) {
    mg_exchange_phase phase = x->phase;
    if (phase == MG_EXCHANGE_HANDLING || phase == MG_EXCHANGE_ANSWERING) {
        record(x, true);
    }
    tell_gone(x, why);
}

void mg_exchange_writable(mg_exchange *x) {
    if (x->phase != MG_EXCHANGE_ANSWERING) {
        return;
    }
    if (x->producer_go != NULL) {
        x->producer_go(x);
    } else if (x->app != NULL) {
        x->app->on_writable(x->app, x);
    }
}
