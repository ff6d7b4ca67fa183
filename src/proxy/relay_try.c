// A call to one server: what it is asked, what comes of it, and whether it is asked again.

#include "proxy/relay_inside.h"

#include "server/server.h"

#include <stdio.h>

// --- what it is asked ---

static bool is_idempotent(mg_method m) {
    return m != MG_METHOD_POST && m != MG_METHOD_PATCH && m != MG_METHOD_CONNECT &&
           m != MG_METHOD_UNKNOWN;
}

// As the client said it; of HTTP/2 and chunks it is not known.
static int64_t upload_length(const mg_head *h) {
    return h->framing == MG_FRAMING_LENGTH ? (int64_t)h->length : -1;
}

static mg_call_options wanted(const mg_relay *r) {
    const mg_head *h = &r->x->head;
    const mg_upstream_server *server = r->ticket.server;
    const mg_upstream_options *of = mg_upstream_options_of(r->ticket.upstream);
    return (mg_call_options){
        .origin = server->origin,
        .timeouts = {.wait_ms = r->o.timeouts.connect_ms,
                     .connect_ms = r->o.timeouts.connect_ms,
                     .first_byte_ms = r->o.timeouts.first_byte_ms,
                     .idle_ms = r->o.timeouts.idle_ms,
                     .total_ms = (uint32_t)of->timeouts.total_ms},
        .method = h->method_text,
        .target = r->target,
        .authority = mg_forward_host(h, r->o.rules, of, server->authority),
        .fields = r->fields,
        .lasting = true,
        .body = r->whole,
        .has_body = r->body == MG_RELAY_WHOLE,
        .upload = r->body == MG_RELAY_STREAMS,
        .duplex = r->body == MG_RELAY_STREAMS,
        .length = upload_length(h),
        .idempotent = is_idempotent(h->method),
        .stream = true,
        .max_bytes = UINT64_MAX,
    };
}

// --- what came of it ---

static uint64_t since(uint64_t at_us, uint64_t began_us) {
    return at_us > began_us ? at_us - began_us : 0;
}

void mg_relay_end_try(mg_relay *r, const char *code, bool cancelled) {
    mg_call_times times = mg_call_times_of(r->call);
    uint64_t began = r->ticket.began_us;
    bool answered = mg_call_state_of(r->call) == MG_CALL_BODY ||
                    mg_call_state_of(r->call) == MG_CALL_DONE || times.head_us > 0;
    mg_outcome out = {
        .status = answered ? mg_call_response(r->call)->status : 0,
        .code = code,
        .reused = times.reused,
        .cancelled = cancelled,
        .connect_us = times.reused ? 0 : since(times.connected_us, began),
        .first_byte_us = since(times.head_us, began),
        .total_us = since(mg_loop_now_us(r->x->server->loop), began),
        .bytes_in = r->bytes_in,
        .bytes_out = r->bytes_out,
    };
    r->log.status = out.status;
    r->log.connect_us = out.connect_us;
    r->log.first_byte_us = out.first_byte_us;
    r->log.total_us = out.total_us;
    r->log.bytes_in = out.bytes_in;
    r->log.bytes_out = out.bytes_out;
    mg_ticket_end(&r->ticket, &out);
    r->call = NULL;
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
    bool harmless = f->unsent || is_idempotent(r->x->head.method);
    return r->state == MG_RELAY_ASKS && !r->repeated && f->stale && harmless &&
           r->body == MG_RELAY_STREAMS && r->kept_all;
}

static void on_failed(mg_relay *r, mg_call *call) {
    const mg_call_fault *f = mg_call_fault_of(call);
    bool again = may_repeat(r, f);
    mg_relay_end_try(r, f->code, false);
    if (again) {
        r->repeated = true;
        mg_relay_ask(r, MG_CHOICE_RETRY);
    } else {
        mg_relay_fault fault = fault_of(f);
        mg_relay_fail(r, &fault);
    }
    mg_call_close(call); // last: the fault's text lies in it
}

// --- the call's events ---

static void on_change(void *arg, mg_call *call) {
    mg_relay *r = arg;
    mg_call_state state = mg_call_state_of(call);
    if (state == MG_CALL_FAILED) {
        on_failed(r, call);
    } else if (state == MG_CALL_BODY && r->state == MG_RELAY_ASKS) {
        mg_relay_take_head(r);
    } else if (state != MG_CALL_DONE) {
        mg_relay_upload(r);
    } else if (r->state == MG_RELAY_ANSWERS) {
        mg_relay_finish(r);
    } else {
        r->done = true;
    }
}

static void on_interim(void *arg, mg_call *call, const mg_response *interim) {
    mg_relay *r = arg;
    (void)call;
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
    mg_relay *r = arg;
    r->bytes_in += piece.n;
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

static void on_nobody(mg_timer *t) {
    mg_relay *r = MG_OF(t, mg_relay, soon);
    mg_relay_fail(r, &(mg_relay_fault){503, "no upstream server is available", r->none.why,
                                       r->none.retry_after});
}

void mg_relay_ask(mg_relay *r, mg_choice_kind kind) {
    mg_relay_set_state(r, MG_RELAY_ASKS);
    const mg_choice choice = {.exchange = r->x, .kind = kind};
    if (mg_upstream_choose(r->o.upstream, &choice, &r->ticket, &r->none) != MG_OK) {
        mg_timer_start(r->x->server->loop, &r->soon, 0, 0, on_nobody);
        return;
    }
    mg_str address = r->ticket.server->address; // may go before it is logged
    r->log.server = (mg_str){mg_arena_copy(&r->x->arena, address), address.n};
    r->log.tries++;
    mg_call_options o = wanted(r);
    (void)mg_call_start(&r->call, r->ticket.server->client, &o, &call_events, r); // it cannot fail
    mg_relay_begin_upload(r);
}
