// A call to one server: what it is asked, what comes of it, and whether it is asked again.

#include "proxy/relay_inside.h"
#include "proxy/tries.h"

#include "server/request_body.h"
#include "server/server.h"

#include <stdio.h>

// --- what it is asked ---

// As the client said it; of HTTP/2 and chunks it is not known.
static int64_t upload_length(const mg_head *h) {
    return h->framing == MG_FRAMING_LENGTH ? (int64_t)h->length : -1;
}

static int64_t length_of(const mg_relay *r) {
    return r->body == MG_RELAY_STORED ? (int64_t)mg_spool_bytes(r->spool)
                                      : upload_length(&r->x->head);
}

// A try's own time ends with its head. A body that is still to come has its own.
static uint32_t try_ms(const mg_relay *r, const mg_upstream_options *of) {
    bool has_one = r->body < MG_RELAY_STREAMS && of->retries.on;
    return has_one ? (uint32_t)of->retries.try_timeout_ms : 0;
}

// What a route does not say its upstream does: of a split, the arm.
static uint32_t said_or(uint32_t said_ms, uint64_t otherwise_ms) {
    return said_ms > 0 ? said_ms : (uint32_t)otherwise_ms;
}

static uint32_t connect_ms(const mg_relay *r, const mg_upstream_options *of) {
    return said_or(r->o.timeouts.connect_ms, of->timeouts.connect_ms);
}

static mg_call_timeouts times(const mg_relay *r, const mg_upstream_options *of) {
    mg_call_timeouts t = {
        .wait_ms = connect_ms(r, of),
        .connect_ms = connect_ms(r, of),
        .total_ms = try_ms(r, of),
    };
    if (!r->timeless) {
        t.first_byte_ms = said_or(r->o.timeouts.first_byte_ms, of->timeouts.first_byte_ms);
        t.idle_ms = said_or(r->o.timeouts.idle_ms, of->timeouts.idle_ms);
    }
    return t;
}

static mg_call_options wanted(const mg_relay *r, const mg_ticket *ticket) {
    const mg_head *h = &r->x->head;
    const mg_upstream_server *server = ticket->server;
    const mg_upstream_options *of = mg_upstream_options_of(ticket->upstream);
    return (mg_call_options){
        .origin = mg_ticket_origin(ticket, r->x),
        .timeouts = times(r, of),
        .method = h->method_text,
        .target = r->target,
        .authority = mg_forward_host(h, r->o.rules, of, server->authority),
        .fields = r->fields,
        .protocol = mg_relay_protocol(r),
        .lasting = true,
        .body = r->whole,
        .has_body = r->body == MG_RELAY_WHOLE,
        .upload = r->body >= MG_RELAY_STREAMS,
        .duplex = r->body >= MG_RELAY_STREAMS,
        .length = length_of(r),
        .idempotent = mg_tries_is_idempotent(h->method),
        .fresh = ticket->kind == MG_CHOICE_REPEAT,
        .trailers = mg_fields_has_member(&h->fields, MG_FIELD_TE, MG_STR("trailers")),
        .stream = true,
        .max_bytes = UINT64_MAX,
    };
}

// --- what came of it ---

static uint64_t since(uint64_t at_us, uint64_t began_us) {
    return at_us > began_us ? at_us - began_us : 0;
}

void mg_relay_note(mg_relay *r, const mg_relay_try *t) {
    const mg_call *call = t->call;
    mg_call_times times = mg_call_times_of(call);
    uint64_t began = t->ticket.began_us;
    bool answered = mg_call_state_of(call) == MG_CALL_BODY ||
                    mg_call_state_of(call) == MG_CALL_DONE || times.head_us > 0;
    r->log.server = t->server;
    r->log.status = answered ? mg_call_response(call)->status : 0;
    r->log.connect_us = since(times.connected_us, began);
    r->log.first_byte_us = since(times.head_us, began);
    if (r->x->server->on_access != NULL) {
        r->log.total_us = since(mg_loop_now_us(r->x->server->loop), began);
    }
}

// A new connection takes its time once; a body that streams waits for the client too.
static uint64_t answer_us(const mg_relay_try *t) {
    const mg_relay *r = t->relay;
    mg_call_times times = mg_call_times_of(t->call);
    uint64_t from = times.reused ? t->ticket.began_us : times.connected_us;
    bool alone = r->body < MG_RELAY_STREAMS && from > 0;
    uint64_t to = times.head_us > 0 ? times.head_us : mg_loop_now_us(r->x->server->loop);
    return alone ? since(to, from) : 0;
}

mg_call *mg_relay_end_try(mg_relay_try *t, bool cancelled) {
    mg_relay *r = t->relay;
    mg_call *call = t->call;
    mg_relay_note(r, t);
    mg_outcome out = {
        .status = r->log.status,
        .reused = mg_call_times_of(call).reused,
        .cancelled = cancelled,
        .answer_us = answer_us(t),
    };
    mg_ticket_end(&t->ticket, &out);
    t->call = NULL;
    return call;
}

void mg_relay_cancel_try(mg_relay_try *t) {
    if (t != NULL && t->call != NULL) {
        mg_call_close(mg_relay_end_try(t, true));
    }
}

static mg_relay_fault fault_of(const mg_call_fault *f) {
    mg_relay_fault fault = {502, "the upstream server did not answer", f->text, 0};
    if (strcmp(f->code, "timeout") == 0) {
        fault.status = 504;
        fault.reason = "the upstream server did not answer in time";
    } else if (strcmp(f->code, "limit") == 0 && f->unsent) {
        fault.status = 503;
        fault.reason = "the upstream servers are busy";
        fault.retry_after = 1;
    } else if (strcmp(f->code, "protocol") == 0) {
        fault.reason = "the upstream server's answer is not valid";
    }
    return fault;
}

// The connection had gone before the server saw the request, or it may see that twice. The client's
// room has done the same for what it could send again by itself.
static bool may_repeat(const mg_relay *r, const mg_call_fault *f) {
    bool harmless = f->unsent || mg_tries_is_idempotent(r->x->head.method);
    return r->state == MG_RELAY_ASKS && !r->repeated && f->stale && harmless &&
           r->body >= MG_RELAY_STREAMS && r->kept_all;
}

// While another try is under way, that is all there is to it.
static void on_failed(mg_relay_try *t) {
    mg_relay *r = t->relay;
    mg_relay_try *other = mg_relay_other(r, t);
    const mg_call_fault *f = mg_call_fault_of(t->call);
    bool again = may_repeat(r, f);
    mg_call *call = mg_relay_end_try(t, false);
    if (other != NULL) {
        r->at = other;
    } else if (again) {
        r->repeated = true;
        again = mg_relay_ask_another(r, MG_CHOICE_REPEAT);
        if (again) {
            mg_relay_begin_upload(r);
        }
    } else {
        again = r->state == MG_RELAY_ASKS && mg_relay_retry_fault(r, f);
    }
    if (other == NULL && !again) {
        mg_relay_fault fault = fault_of(f);
        mg_relay_fail(r, &fault);
    }
    mg_call_close(call); // last: the fault's text lies in it
}

// --- the call's events ---

static void on_head(mg_relay_try *t) {
    mg_relay *r = t->relay;
    if (mg_relay_retry_status(r, t)) {
        return;
    }
    mg_relay_cancel_try(mg_relay_other(r, t)); // down to the wire
    r->at = t;
    mg_relay_take_head(r);
}

static void on_change(void *arg, mg_call *call) {
    mg_relay_try *t = arg;
    mg_relay *r = t->relay;
    mg_call_state state = mg_call_state_of(call);
    if (state == MG_CALL_FAILED) {
        on_failed(t);
    } else if (state == MG_CALL_BODY && r->state == MG_RELAY_ASKS) {
        on_head(t);
    } else if (state != MG_CALL_DONE) {
        mg_relay_upload(r);
    } else if (r->state == MG_RELAY_ANSWERS) {
        mg_relay_finish(r);
    } else {
        r->done = true;
    }
}

static void on_interim(void *arg, mg_call *call, const mg_response *interim) {
    mg_relay_try *t = arg;
    mg_relay *r = t->relay;
    (void)call;
    if (t != r->at) {
        return;
    }
    if (interim->status == 100) {
        mg_exchange_continue(r->x);
        return;
    }
    mg_arena arena = {0};
    mg_fields fields;
    mg_fields_init(&fields, &arena);
    mg_forward_interim(&fields, &interim->head);
    mg_exchange_inform(r->x, interim->status, &fields);
    mg_arena_deinit(&arena);
}

// MG_ECLOSED: on_gone comes.
static void on_piece(void *arg, mg_call *call, mg_str piece) {
    mg_relay *r = ((mg_relay_try *)arg)->relay;
    r->log.bytes_in += piece.n;
    int rc = mg_exchange_write(r->x, piece);
    if (r->flushes && rc == MG_OK) {
        rc = mg_exchange_flush(r->x);
    }
    if (rc != MG_OK) {
        mg_call_pause(call);
    }
}

static const mg_call_events call_events = {on_change, on_interim, on_piece};

// --- asking ---

struct mg_relay_refused {
    mg_relay *relay;
    mg_waiter waiter; // until any may be asked
    mg_no_server none;
};

void mg_relay_wait_no_more(mg_relay *r) {
    if (r->refused != NULL) {
        mg_upstream_wait_no_more(&r->refused->waiter);
    }
}

static void on_nobody(mg_timer *t) {
    mg_relay *r = MG_OF(t, mg_relay, timer);
    const mg_no_server *none = &r->refused->none;
    mg_relay_fail(
        r, &(mg_relay_fault){503, "no upstream server is available", none->why, none->retry_after});
}

// Few are asked for most requests.
static void add_tried(mg_relay *r, const mg_upstream_server *server) {
    if (r->tried_count == r->tried_cap) {
        uint32_t cap = r->tried_cap > 0 ? r->tried_cap * 4 : 2;
        const mg_upstream_server **all = mg_arena_alloc(&r->x->arena, cap * sizeof *all);
        if (r->tried_count > 0) {
            memcpy(all, r->tried, r->tried_count * sizeof *all);
        }
        r->tried = all;
        r->tried_cap = cap;
    }
    r->tried[r->tried_count++] = server;
}

static void remember(mg_relay *r, mg_relay_try *t) {
    mg_str address = t->ticket.server->address; // may go before it is logged
    t->server = (mg_str){mg_arena_copy(&r->x->arena, address), address.n};
    r->log.tries++;
    r->asked = t->ticket.upstream;
    add_tried(r, t->ticket.server);
}

static mg_relay_try *free_try(mg_relay *r) {
    if (r->at->call == NULL) {
        return r->at;
    }
    if (r->at != &r->first) {
        return &r->first;
    }
    if (r->second == NULL) {
        r->second = mg_arena_alloc(&r->x->arena, sizeof *r->second);
        *r->second = (mg_relay_try){.relay = r};
    }
    return r->second;
}

static void note_refusal(mg_relay *r, const mg_no_server *none) {
    if (r->refused == NULL) {
        r->refused = mg_arena_alloc(&r->x->arena, sizeof *r->refused);
        *r->refused = (struct mg_relay_refused){.relay = r};
    }
    r->refused->none = *none;
}

bool mg_relay_ask_another(mg_relay *r, mg_choice_kind kind) {
    mg_relay_try *t = free_try(r);
    mg_no_server none = {0};
    const mg_choice choice = {
        .exchange = r->x,
        .kind = kind,
        .server = r->o.server,
        .tried = r->tried,
        .tried_count = kind == MG_CHOICE_REPEAT ? 0 : r->tried_count,
        .waited = r->refused != NULL && r->refused->waiter.pool != NULL,
    };
    if (mg_upstream_choose(r->asked, &choice, &t->ticket, &none) != MG_OK) {
        note_refusal(r, &none);
        return false;
    }
    remember(r, t);
    mg_call_options o = wanted(r, &t->ticket);
    (void)mg_call_start(&t->call, t->ticket.server->client, &o, &call_events, t); // cannot fail
    return true;
}

// Of all tries together, to the last byte.
typedef struct total_timer {
    mg_timer timer;
    mg_relay *relay;
} total_timer;

static void on_total(mg_timer *t) {
    mg_relay *r = MG_OF(t, total_timer, timer)->relay;
    mg_error why;
    mg_error_set(&why, MG_OK, "%.*s: the answer was not complete within %g s", (int)r->at->server.n,
                 r->at->server.p, (double)r->total_ms / 1000);
    mg_relay_fail(
        r, &(mg_relay_fault){504, "the upstream server did not answer in time", why.text, 0});
}

static uint32_t sooner(uint32_t a, uint32_t b) {
    return a == 0 || (b > 0 && b < a) ? b : a;
}

static void begin_total(mg_relay *r) {
    const mg_upstream_options *of = mg_upstream_options_of(r->asked);
    r->total_ms = sooner(r->total_ms, said_or(r->o.timeouts.total_ms, of->timeouts.total_ms));
    if (r->total_ms > 0) {
        total_timer *total = mg_arena_alloc(&r->x->arena, sizeof *total);
        *total = (total_timer){.relay = r};
        r->total = &total->timer;
        mg_timer_start(r->x->server->loop, r->total, r->total_ms, 0, on_total);
    }
}

static void begin(mg_relay *r) {
    begin_total(r);
    mg_relay_begin_mirror(r);
    mg_relay_begin_upload(r);
    mg_relay_begin_hedge(r);
}

static bool on_turn(mg_waiter *w) {
    struct mg_relay_refused *refused = MG_OF(w, struct mg_relay_refused, waiter);
    mg_relay *r = refused->relay;
    r->asked = refused->none.full; // of a split the arm that was drawn
    bool asked = mg_relay_ask_another(r, MG_CHOICE_FIRST);
    if (!asked && refused->none.full != NULL) {
        return false;
    }
    mg_upstream_wait_no_more(w);
    mg_timer_stop(&r->timer);
    if (asked) {
        begin(r);
    } else {
        on_nobody(&r->timer);
    }
    return true;
}

void mg_relay_ask(mg_relay *r) {
    mg_relay_set_state(r, MG_RELAY_ASKS);
    if (mg_relay_ask_another(r, MG_CHOICE_FIRST)) {
        begin(r);
        return;
    }
    struct mg_relay_refused *refused = r->refused;
    const mg_no_server *none = &refused->none;
    bool waits =
        none->full != NULL && mg_upstream_wait(none->full, &refused->waiter, on_turn) == MG_OK;
    uint32_t ms = waits ? connect_ms(r, mg_upstream_options_of(none->full)) : 0;
    mg_timer_start(r->x->server->loop, &r->timer, ms, 0, on_nobody);
}
