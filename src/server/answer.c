#include "server/answer.h"

#include "http/conditional.h"
#include "http/date.h"
#include "http/status.h"
#include "server/filter.h"
#include "server/noted.h"
#include "server/requester.h"
#include "server/server.h"
#include "server/wire.h"

#include <assert.h>

static mg_str tls_version(const mg_exchange *x) {
    mg_peer peer;
    x->wire->peer(x, &peer);
    return peer.tls != NULL ? mg_str_of(mg_tls_version(peer.tls)) : (mg_str){NULL, 0};
}

void mg_exchange_describe(mg_exchange *x, mg_access_record *out) {
    const mg_head *h = &x->head;
    const mg_field *referer = mg_fields_find(&h->fields, MG_FIELD_REFERER);
    const mg_field *agent = mg_fields_find(&h->fields, MG_FIELD_USER_AGENT);
    *out = (mg_access_record){
        .method = h->method_text,
        .target = h->target_text,
        .protocol = x->protocol,
        .tls = x->secure ? tls_version(x) : (mg_str){NULL, 0},
        .host = h->host,
        .referer = referer != NULL ? referer->value : (mg_str){NULL, 0},
        .user_agent = agent != NULL ? agent->value : (mg_str){NULL, 0},
        .request_id = x->request_id,
        .route = x->route,
        .client_ip = mg_exchange_requester(x)->client_ip,
        .status = x->status,
        .body_bytes_out = x->body_bytes_out,
        .duration_us = x->start_us != 0 ? mg_loop_now_us(x->server->loop) - x->start_us : 0,
        .wall_ms = x->start_wall_ms != 0 ? x->start_wall_ms : mg_loop_wall_ms(x->server->loop),
        .relayed = x->relayed,
        .noted = x->noted != NULL ? &x->noted->fields : NULL,
    };
}

void mg_exchange_record(mg_exchange *x, bool aborted) {
    mg_server *s = x->server;
    if (x->noted != NULL && x->noted->on_end != NULL) {
        x->noted->on_end(x, aborted);
    }
    if (s->on_access == NULL || x->record_kept) {
        return;
    }
    mg_access_record r;
    mg_exchange_describe(x, &r);
    r.aborted = aborted;
    s->on_access(s->log_arg, &r);
}

// --- conditions ---

// False: there is neither.
static bool read_validators(const mg_fields *l, mg_validators *v) {
    const mg_field *etag = mg_fields_find(l, MG_FIELD_ETAG);
    const mg_field *date = mg_fields_find(l, MG_FIELD_LAST_MODIFIED);
    *v = (mg_validators){.last_modified = MG_UNKNOWN_DATE};
    if (date != NULL && !mg_date_parse(date->value, &v->last_modified)) {
        v->last_modified = MG_UNKNOWN_DATE;
    }
    if (etag != NULL) {
        v->etag = etag->value;
    }
    return etag != NULL || v->last_modified != MG_UNKNOWN_DATE;
}

bool mg_exchange_meet_conditions(const mg_exchange *x, mg_answer *a) {
    const mg_head *h = &x->head;
    bool reads = h->method == MG_METHOD_GET || h->method == MG_METHOD_HEAD;
    mg_validators v;
    if (!reads || a->status >= 300 || a->fields.count == 0 || !read_validators(&a->fields, &v)) {
        return false;
    }
    mg_condition condition = mg_condition_of(h, &v);
    if (condition == MG_CONDITION_GO) {
        return false;
    }
    a->status = condition == MG_CONDITION_FAILED ? 412 : 304;
    a->content_type = (mg_str){NULL, 0};
    return true;
}

// --- the end ---

// The app's part is over.
static void leave_app(mg_exchange *x) {
    mg_exchange_stop_deadlines(x);
    mg_exchange_record(x, false);
    x->phase = MG_EXCHANGE_ANSWERED;
    x->app = NULL;
    mg_exchange_unpin(x);
}

void mg_exchange_hand_over(mg_exchange *x, int status, mg_app *app) {
    assert(x->phase == MG_EXCHANGE_HANDLING);
    x->status = status;
    if (x->noted != NULL && x->noted->on_end != NULL) {
        x->noted->on_end(x, false);
        x->noted->on_end = NULL;
    }
    x->route = (mg_str){mg_arena_copy(&x->arena, x->route), x->route.n}; // the routes' own
    x->routed = NULL;
    mg_exchange_unpin(x);
    x->app = app;
    x->app_data = NULL;
}

void mg_exchange_drop_request(mg_exchange *x) {
    const mg_head *h = &x->head;
    assert(x->phase == MG_EXCHANGE_ANSWERING);
    if (!x->body_complete || x->filters != NULL) {
        return;
    }
    x->head = (mg_head){.method = h->method,
                        .minor = h->minor,
                        .framing = h->framing,
                        .keep_alive = h->keep_alive,
                        .expect_continue = h->expect_continue,
                        .length = h->length};
    x->route = x->request_id = (mg_str){NULL, 0};
    x->requester = NULL;
    x->relayed = NULL;
    x->noted = NULL;
    mg_exchange_uncount_content(x);
    mg_arena_deinit(&x->arena);
    mg_fields_init(&x->head.fields, &x->arena);
    mg_fields_init(&x->trailers, &x->arena);
}

// And the last byte of the answer on its way.
static void answered(mg_exchange *x, const mg_fields *trailers) {
    leave_app(x);
    x->wire->end(x, trailers);
}

static void tell_head(mg_exchange *x, const mg_answer *a) {
    x->status = a->status;
    x->bodyless = mg_status_is_bodyless(a->status) || x->head.method == MG_METHOD_HEAD;
    x->wire->head(x, a);
}

// By a 2xx the client of a CONNECT would take content for the protocol that it wants to be spoken
// (RFC 8441 section 4).
static void commit_head(mg_exchange *x, const mg_answer *a) {
    if (x->by_connect && a->status / 100 == 2) {
        mg_answer refusal = *a;
        refusal.status = 501;
        tell_head(x, &refusal);
    } else {
        tell_head(x, a);
    }
}

// A filter may add to a list, also to none.
static mg_fields list_for_filters(mg_exchange *x, const mg_fields *given) {
    mg_fields l;
    mg_fields_init(&l, &x->arena);
    return given != NULL && given->count > 0 ? *given : l;
}

static void send_head(mg_exchange *x, const mg_answer *a, int64_t length) {
    x->length_left = length;
    if (x->filters != NULL) {
        mg_answer filtered = *a;
        filtered.fields = list_for_filters(x, &a->fields);
        x->length_left = mg_filters_head(x, &filtered, length);
        commit_head(x, &filtered);
    } else {
        commit_head(x, a);
    }
}

void mg_exchange_respond(mg_exchange *x, const mg_answer *a, mg_str body) {
    assert(x->phase == MG_EXCHANGE_HANDLING || x->phase == MG_EXCHANGE_HEAD);
    if (x->filters != NULL) {
        mg_exchange_begin(x, a, (int64_t)body.n);
        mg_exchange_write(x, body);
        mg_exchange_end(x, NULL);
        return;
    }
    send_head(x, a, (int64_t)body.n);
    if (!x->bodyless && body.n > 0) {
        x->body_bytes_out = body.n;
        x->wire->content(x, body);
    }
    answered(x, NULL);
}

void mg_exchange_inform(mg_exchange *x, int status, const mg_fields *fields) {
    assert(x->phase == MG_EXCHANGE_HANDLING && status > 101 && status < 200);
    x->wire->interim(x, status, fields);
}

void mg_exchange_begin(mg_exchange *x, const mg_answer *a, int64_t length) {
    assert(x->phase == MG_EXCHANGE_HANDLING);
    send_head(x, a, length);
    x->phase = MG_EXCHANGE_ANSWERING;
    mg_exchange_stop_deadlines(x);
}

int mg_exchange_send(mg_exchange *x, mg_str data) {
    int rc = x->wire->content(x, data);
    if (rc != MG_ECLOSED) {
        x->body_bytes_out += data.n;
    }
    return rc;
}

// What who answers has announced and not written yet; -1: it did not say.
static int64_t *left_of(mg_exchange *x) {
    return x->filters != NULL ? &x->filters->left : &x->length_left;
}

int mg_exchange_write(mg_exchange *x, mg_str data) {
    assert(x->phase == MG_EXCHANGE_ANSWERING);
    int64_t *left = left_of(x);
    if (*left >= 0) {
        if ((uint64_t)*left < data.n) {
            return MG_ELIMIT;
        }
        *left -= (int64_t)data.n;
    }
    if (x->bodyless || data.n == 0) {
        return MG_OK;
    }
    return x->filters != NULL ? x->filters->ops->content(x->filters, data)
                              : mg_exchange_send(x, data);
}

int mg_exchange_flush(mg_exchange *x) {
    assert(x->phase == MG_EXCHANGE_ANSWERING);
    return x->filters != NULL && !x->bodyless ? mg_filters_flush(x) : MG_OK;
}

size_t mg_exchange_backlog(const mg_exchange *x) {
    return x->wire->backlog(x);
}

void mg_exchange_end(mg_exchange *x, const mg_fields *trailers) {
    assert(x->phase == MG_EXCHANGE_ANSWERING);
    if (*left_of(x) > 0 && !x->bodyless) {
        mg_exchange_abort(x);
        return;
    }
    if (x->filters != NULL && !x->bodyless) {
        mg_fields filtered = list_for_filters(x, trailers);
        mg_filters_end(x, &filtered);
        assert(x->length_left <= 0);
        answered(x, &filtered);
        return;
    }
    answered(x, trailers);
}

void mg_exchange_abort(mg_exchange *x) {
    x->app = NULL;
    x->wire->abort(x);
}

void mg_exchange_problem(mg_exchange *x, mg_refusal problem) {
    assert(!mg_exchange_committed(x));
    mg_buf body = {0};
    mg_str phrase = mg_status_phrase(problem.status);
    mg_buf_printf(&body,
                  "{\"type\":\"about:blank\",\"title\":\"%.*s\",\"status\":%d,\"detail\":\"%s\"}\n",
                  (int)phrase.n, phrase.p, problem.status, problem.reason);
    mg_answer answer = {
        .status = problem.status,
        .content_type = MG_STR("application/problem+json"),
    };
    char retry[20];
    if (problem.retry_after > 0) {
        mg_fields_init(&answer.fields, &x->arena);
        mg_str seconds = {retry, mg_format_u64(retry, problem.retry_after)};
        mg_fields_add_id(&answer.fields, MG_FIELD_RETRY_AFTER, seconds);
    }
    mg_exchange_respond(x, &answer, mg_buf_str(&body));
    mg_buf_deinit(&body);
}

void mg_exchange_refuse(mg_exchange *x, mg_refusal refusal) {
    x->wire->stop_body(x);
    mg_exchange_problem(x, refusal);
}

const char *mg_exchange_may_take_over(const mg_exchange *x, mg_str protocol) {
    return x->wire->may_take_over(x, protocol);
}

void mg_exchange_take_over(mg_exchange *x, const mg_answer *a, mg_str protocol, mg_tunnel *t) {
    assert(x->phase == MG_EXCHANGE_HANDLING);
    x->status = a->status;
    leave_app(x);
    x->wire->take_over(x, a, protocol, t);
}
