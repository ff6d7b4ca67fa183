// The life of a relay.
//
//   READS --body is there, or begins--> ASKS --head--> STAGED --> ANSWERS --end--> OVER
//                                        | ^               (at once, if nobody wants to decide)
//                                        '-' another try
//   any --fault, client gone, dropped--> OVER

#include "proxy/relay_inside.h"

#include "http/forwarded.h"
#include "proxy/grpc.h"
#include "server/front.h"
#include "server/request_body.h"
#include "server/requester.h"
#include "server/server.h"
#include "server/wire.h"

#include <assert.h>
#include <stdio.h>

// In the arena: who asks and its address, the relay and whom it asks.
enum {
    ASKED_BYTES = sizeof(mg_requester) + 16,
    RELAY_BYTES = sizeof(mg_relay) + 64,
};

void mg_relay_set_state(mg_relay *r, mg_relay_state next) {
    static const uint8_t moves[] = {
        [MG_RELAY_READS] = 1 << MG_RELAY_ASKS | 1 << MG_RELAY_OVER,
        [MG_RELAY_ASKS] = 1 << MG_RELAY_ASKS | 1 << MG_RELAY_STAGED | 1 << MG_RELAY_OVER,
        [MG_RELAY_STAGED] = 1 << MG_RELAY_ANSWERS | 1 << MG_RELAY_OVER,
        [MG_RELAY_ANSWERS] = 1 << MG_RELAY_OVER,
        [MG_RELAY_OVER] = 0,
    };
    assert(moves[r->state] & (1 << next));
    r->state = next;
}

// --- the end ---

void mg_relay_leave(mg_relay *r) {
    mg_relay_set_state(r, MG_RELAY_OVER);
    mg_timer_stop(&r->timer);
    if (r->total != NULL) {
        mg_timer_stop(r->total);
    }
    mg_relay_wait_no_more(r);
    mg_mirror_drop(r->mirror);
    mg_relay_cancel_try(&r->first);
    mg_relay_cancel_try(r->second);
    mg_buf_deinit(&r->kept);
    mg_spool_free(r->spool);
    r->spool = NULL;
    if (r->x->app == &r->app) { // else the exchange is lost
        r->x->app = r->outer;
    }
}

void mg_relay_tell_end(const mg_relay *r, bool whole) {
    if (r->o.events != NULL && r->o.events->on_end != NULL) {
        r->o.events->on_end(r->o.arg, whole);
    }
}

static void cut(mg_exchange *x, const mg_relay_fault *fault) {
    (void)fault;
    mg_exchange_abort(x);
}

// A call of gRPC ends with what became of it, behind whatever came of its answer.
static void end_broken(mg_exchange *x, const mg_relay_fault *fault) {
    mg_fields trailers;
    mg_fields_init(&trailers, &x->arena);
    mg_grpc_tell(&trailers, mg_grpc_status_of(fault->status), fault->reason);
    mg_exchange_end(x, &trailers); // which cuts off what has announced its length
}

// A line for each request that failed at a server; of those that are refused, which may be all that
// come, only a few.
static void log_fault(const mg_relay *r, const mg_relay_fault *fault) {
    const mg_head *h = &r->x->head;
    bool refused = fault->status == 503;
    uint64_t missing = 0;
    char more[64] = "";
    if (fault->text == NULL || (refused && !mg_upstream_may_tell(r->o.upstream, &missing))) {
        return;
    }
    if (missing > 0) {
        snprintf(more, sizeof more, "; %llu like it were not logged", (unsigned long long)missing);
    }
    mg_server_log(r->x->server, MG_LOG_WARN, "upstream %.*s: %s (%.*s %.*s)%s",
                  (int)r->log.upstream.n, r->log.upstream.p, fault->text, (int)h->method_text.n,
                  h->method_text.p, (int)h->target_text.n, h->target_text.p, more);
}

void mg_relay_fail(mg_relay *r, const mg_relay_fault *fault) {
    mg_exchange *x = r->x;
    const mg_relay_events *events = r->o.events;
    void *arg = r->o.arg;
    log_fault(r, fault);
    bool committed = r->state == MG_RELAY_ANSWERS;
    bool grpc = r->grpc;
    mg_relay_leave(r);
    if (committed) {
        mg_relay_tell_end(r, false);
        (grpc ? end_broken : cut)(x, fault);
    } else if (events != NULL && events->on_fault != NULL) {
        events->on_fault(arg, fault);
    } else if (grpc) {
        mg_grpc_answer(x, mg_grpc_status_of(fault->status), fault->reason);
    } else {
        mg_exchange_problem(x, (mg_refusal){fault->status, fault->reason, fault->retry_after});
    }
}

// The exchange dies with its end, and with it the relay; trailers lie in the call.
void mg_relay_finish(mg_relay *r) {
    mg_exchange *x = r->x;
    mg_fields trailers;
    mg_fields_init(&trailers, &x->arena);
    mg_forward_trailers(&trailers, mg_call_trailers(r->at->call));
    mg_call *call = mg_relay_end_try(r->at, false);
    mg_relay_leave(r);
    mg_relay_tell_end(r, true);
    mg_exchange_end(x, &trailers);
    mg_call_close(call);
}

void mg_relay_drop(mg_relay *r) {
    mg_relay_leave(r);
}

// --- the head ---

const mg_response *mg_relay_head(const mg_relay *r) {
    return mg_call_response(r->at->call);
}

int mg_relay_status(const mg_relay *r) {
    return mg_relay_has_switched(r) ? 101 : mg_relay_head(r)->status;
}

int mg_relay_answer(const mg_relay *r, mg_answer *out) {
    const mg_response *head = mg_relay_head(r);
    *out = (mg_answer){.status = mg_relay_status(r), .reason = head->reason};
    mg_fields_init(&out->fields, &r->x->arena);
    int rc = mg_forward_response(&out->fields, head);
    if (rc == MG_OK && r->at->ticket.set_cookie.n > 0) {
        rc = mg_fields_add_id(&out->fields, MG_FIELD_SET_COOKIE, r->at->ticket.set_cookie);
    }
    return rc;
}

// Of the content that a client is told of; -1: unknown. What answers a HEAD tells how long another
// answer would be.
static int64_t length_of(const mg_relay *r, const mg_response *head) {
    const mg_head *h = &head->head;
    if (r->x->head.method == MG_METHOD_HEAD) {
        const mg_field *f = mg_fields_find(&h->fields, MG_FIELD_CONTENT_LENGTH);
        uint64_t n;
        return f != NULL && mg_str_to_u64(f->value, INT64_MAX, &n) ? (int64_t)n : -1;
    }
    bool known = h->framing == MG_FRAMING_LENGTH || h->framing == MG_FRAMING_NONE;
    return known ? (int64_t)h->length : -1;
}

// Whoever sends so wants no filter to wait for more.
static bool is_live(const mg_response *head) {
    const mg_fields *l = &head->head.fields;
    const mg_field *type = mg_fields_find(l, MG_FIELD_CONTENT_TYPE);
    return mg_grpc_is(l) || mg_fields_has_member(l, MG_FIELD_X_ACCEL_BUFFERING, MG_STR("no")) ||
           (type != NULL && mg_str_istarts(type->value, MG_STR("text/event-stream")));
}

// What a client sends behind a request to switch that was refused was meant for somebody else.
static void close_behind_refusal(const mg_relay *r) {
    if (r->wish != NULL && !r->x->by_connect) {
        mg_exchange_close(r->x);
    }
}

static void commit(mg_relay *r, const mg_answer *a) {
    const mg_response *head = mg_relay_head(r);
    close_behind_refusal(r);
    mg_relay_set_state(r, MG_RELAY_ANSWERS);
    r->flushes = r->x->filters != NULL && is_live(head);
    mg_exchange_begin(r->x, a, length_of(r, head));
}

static void fail_for_its_head(mg_relay *r, const mg_relay_fault *fault) {
    mg_call *call = mg_relay_end_try(r->at, false);
    mg_call_close(call);
    mg_relay_fail(r, fault);
}

void mg_relay_take_head(mg_relay *r) {
    mg_timer_stop(&r->timer);
    mg_buf_deinit(&r->kept); // nobody else is asked
    mg_relay_set_state(r, MG_RELAY_STAGED);
    mg_relay_fault fault = {0};
    if (mg_relay_has_switched(r) && !mg_relay_judge_switch(r, &fault)) {
        fail_for_its_head(r, &fault);
        return;
    }
    if (r->o.events != NULL && r->o.events->on_head != NULL) {
        mg_call_pause(r->at->call);
        r->o.events->on_head(r->o.arg, r);
        return;
    }
    mg_answer a;
    if (mg_relay_answer(r, &a) != MG_OK) {
        fault = (mg_relay_fault){502, "the upstream server's answer is not valid",
                                 "the response has too many fields", 0};
        fail_for_its_head(r, &fault);
    } else if (mg_relay_has_switched(r)) {
        mg_relay_switch(r, &a);
    } else {
        commit(r, &a);
    }
}

// Whoever decides may have another answer than the server's: then nothing is switched.
static void switch_or_refuse(mg_relay *r, const mg_answer *a) {
    if (a->status == 101) {
        mg_relay_switch(r, a);
        return;
    }
    mg_exchange *x = r->x;
    close_behind_refusal(r);
    mg_relay_leave(r);
    mg_relay_tell_end(r, true);
    mg_exchange_respond(x, a, (mg_str){NULL, 0});
}

void mg_relay_on(mg_relay *r, const mg_answer *a) {
    assert(r->state == MG_RELAY_STAGED);
    if (mg_relay_has_switched(r)) {
        switch_or_refuse(r, a);
        return;
    }
    commit(r, a);
    if (r->done) {
        mg_relay_finish(r);
    } else {
        mg_call_resume_now(r->at->call); // most answers have come whole: they leave in one piece
    }
}

// --- the exchange's events ---

static void on_body(mg_app *app, mg_exchange *x) {
    (void)x;
    mg_relay_take_body((mg_relay *)app);
}

static void on_writable(mg_app *app, mg_exchange *x) {
    (void)x;
    mg_call_resume(((mg_relay *)app)->at->call);
}

// Who has an owner is in its hands.
static void on_deadline(mg_app *app, mg_exchange *x) {
    mg_relay *r = (mg_relay *)app;
    if (r->o.events != NULL) {
        r->outer->on_deadline(r->outer, x);
        return;
    }
    mg_relay_fail(r, &(mg_relay_fault){504, "the upstream server did not answer in time",
                                       "no answer within the route's timeout", 0});
}

static void on_gone(mg_app *app, mg_exchange *x, mg_gone why) {
    mg_relay *r = (mg_relay *)app;
    mg_relay_leave(r);
    mg_relay_tell_end(r, false);
    r->outer->on_gone(r->outer, x, why);
}

// --- the beginning ---

// The client says how long its call may take: that stands for the times between bytes, since its
// messages come when there are some. So do those of the request.
static void begin_grpc(mg_relay *r) {
    const mg_exchange *x = r->x;
    uint32_t ms = mg_grpc_timeout_ms(&x->head.fields);
    const mg_routed *routed = x->routed;
    bool known = routed != NULL && routed->match.id != 0;
    const mg_route *route = known ? mg_routes_get(routed->front->routes, routed->match.id) : NULL;
    mg_exchange_stream_body(r->x, route != NULL && route->body_bytes >= 0);
    r->total_ms = ms;
    r->timeless = ms > 0;
}

static mg_fields make_fields(mg_exchange *x, const mg_forward_rules *rules) {
    const mg_forward_from from = {
        .head = &x->head,
        .protocol = x->protocol,
        .who = mg_exchange_requester(x),
        .forwarded = mg_trust_heeds_forwarded(x->server->options.trust),
    };
    mg_fields fields;
    mg_fields_init(&fields, &x->arena);
    mg_forward_request(&fields, &from, rules);
    return fields;
}

// Those that wait are many: what is asked fills the block that the head has begun, and the relay
// gets one of its own size, unless all of it is to have a new one.
static void make_room(mg_exchange *x, const mg_forward_rules *rules) {
    size_t asked = mg_forward_bytes(&x->head, rules) + ASKED_BYTES;
    if (mg_arena_room(&x->arena) < asked) {
        mg_arena_reserve(&x->arena, asked + RELAY_BYTES);
    }
}

mg_relay *mg_relay_start(const mg_relay_options *o) {
    mg_exchange *x = o->exchange;
    make_room(x, o->rules);
    mg_str target = mg_forward_target(&x->head, o->rules, &x->arena);
    mg_fields fields = make_fields(x, o->rules);
    mg_arena_reserve(&x->arena, RELAY_BYTES);
    mg_relay *r = mg_arena_alloc(&x->arena, sizeof *r);
    *r = (mg_relay){
        .app = {.on_body = on_body,
                .on_writable = on_writable,
                .on_deadline = on_deadline,
                .on_gone = on_gone},
        .outer = x->app,
        .x = x,
        .o = *o,
        .target = target,
        .fields = fields,
        .first = {.relay = r},
        .at = &r->first,
        .asked = o->upstream,
        .kept_all = true,
        .log = {.upstream = mg_str_of(mg_upstream_options_of(o->upstream)->name)},
        .grpc = mg_grpc_is(&x->head.fields),
    };
    if (r->grpc) {
        begin_grpc(r);
    }
    mg_relay_ask_to_switch(r);
    x->app = &r->app;
    x->relayed = &r->log;
    mg_relay_begin_body(r);
    return r;
}
