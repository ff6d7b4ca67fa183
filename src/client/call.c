// The life of a call.
//
//   WAITS --connection--> SENT --head--> BODY --end--> DONE
//     ^--- once again ---'
//   WAITS, SENT, BODY --fault, timeout, limit--> FAILED
//
// While it WAITS it is in its origin's list, then attached to a connection. A connection found dead
// before it has answered anything sends the call back into the list, once.

#include "client/call_inside.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>

enum {
    KEPT_BYTES = 16 * 1024, // of a buffer, for the next call
    FAULT_BYTES = 320,
};

#ifdef MG_DEBUG
enum { SPARE_CALLS = 0 }; // so that a use of what is over is seen
#else
enum { SPARE_CALLS = 64 };
#endif

void mg_call_set_state(mg_call *call, mg_call_state next) {
    static const uint8_t moves[] = {
        [MG_CALL_WAITS] = 1 << MG_CALL_SENT | 1 << MG_CALL_FAILED,
        [MG_CALL_SENT] = 1 << MG_CALL_WAITS | 1 << MG_CALL_BODY | 1 << MG_CALL_FAILED,
        [MG_CALL_BODY] = 1 << MG_CALL_DONE | 1 << MG_CALL_FAILED,
        [MG_CALL_DONE] = 0,
        [MG_CALL_FAILED] = 0,
    };
    assert(moves[call->state] & (1 << next));
    call->state = next;
}

// --- telling ---

void mg_call_tell(mg_call *call) {
    call->events->on_change(call->arg, call);
}

static void on_soon(mg_timer *t) {
    mg_call_go_on(MG_OF(t, mg_call, soon));
}

void mg_call_tell_soon(mg_call *call) {
    mg_timer_start(call->client->loop, &call->soon, 0, 0, on_soon);
}

void mg_call_break(mg_call *call, const char *code, const char *what) {
    const char *name = call->origin != NULL ? call->origin->name : "";
    char *text = mg_arena_alloc(&call->request, FAULT_BYTES); // what works pays for none
    snprintf(text, FAULT_BYTES, "%s: %s", name, what);
    call->fault = (mg_call_fault){
        .code = code,
        .text = text,
        .unsent = call->unwritten || call->refused || (call->outbound == NULL && !call->again),
        .stale =
            ((call->reused && !call->received) || call->refused) && strcmp(code, "closed") == 0,
    };
    mg_call_set_state(call, MG_CALL_FAILED);
    call->client->failed++;
    mg_call_stop_timers(call);
    mg_call_detach(call, false);
}

void mg_call_fail(mg_call *call, const char *code, const char *what) {
    mg_call_break(call, code, what);
    mg_call_tell(call);
}

// --- life ---

// A new one, or one with buffers that have their size.
static mg_call *take_call(mg_client *c) {
    mg_link *l = mg_link_shift(&c->spare);
    if (l == NULL) {
        return mg_calloc(1, sizeof(mg_call));
    }
    c->spare_count--;
    return MG_OF(l, mg_call, link);
}

static void free_call(mg_call *call) {
    mg_buf_deinit(&call->body);
    mg_buf_deinit(&call->content);
    mg_arena_deinit(&call->request);
    mg_arena_deinit(&call->arena);
    mg_free(call);
}

static void keep_or_free(mg_call *call, mg_client *c) {
    if (c->spare_count == SPARE_CALLS || call->body.cap > KEPT_BYTES ||
        call->content.cap > KEPT_BYTES) {
        free_call(call);
        return;
    }
    mg_buf body = {call->body.p, 0, call->body.cap};
    mg_buf content = {call->content.p, 0, call->content.cap};
    mg_arena_reset(&call->request);
    mg_arena_reset(&call->arena);
    mg_arena request = call->request;
    mg_arena arena = call->arena;
    *call = (mg_call){0};
    call->body = body;
    call->content = content;
    call->request = request;
    call->arena = arena;
    mg_link_append(&c->spare, &call->link);
    c->spare_count++;
}

void mg_calls_forget(mg_client *c) {
    mg_link *l;
    while ((l = mg_link_shift(&c->spare)) != NULL) {
        free_call(MG_OF(l, mg_call, link));
    }
}

static mg_str keep(mg_call *call, mg_str s) {
    return (mg_str){mg_arena_copy(&call->request, s), s.n};
}

// Until the response's head is there.
static void copy_wanted(mg_call *call, const mg_call_options *o) {
    call->options.method = keep(call, o->method);
    call->options.target = keep(call, o->target);
    call->options.authority = keep(call, o->authority);
    call->options.protocol = keep(call, o->protocol);
    mg_fields_init(&call->options.fields, &call->request);
    (void)mg_fields_copy(&call->options.fields, &o->fields); // they have kept a limit
    if (!o->upload) {
        mg_buf_append_str(&call->body, o->body);
    }
    call->options.body = mg_buf_str(&call->body);
}

static void keep_wanted(mg_call *call, const mg_call_options *o) {
    call->options = *o;
    call->options.origin = NULL; // whose texts are the caller's
    if (!o->lasting) {
        copy_wanted(call, o);
    }
    call->is_head = mg_str_eq(o->method, MG_STR("HEAD"));
    call->upload_open = o->upload;
    call->upload_left = o->upload && o->length > 0 ? (uint64_t)o->length : 0;
}

// Of several protocols HTTP/1.1 alone can have one chosen.
static int enter(mg_client *c, const mg_call_options *o, mg_call *call) {
    if (o->protocol.n == 0 || memchr(o->protocol.p, ',', o->protocol.n) == NULL) {
        return mg_origin_enter(c, o->origin, call);
    }
    mg_call_origin origin = *o->origin;
    origin.http2 = MG_HTTP2_NEVER;
    origin.hint = NULL;
    return mg_origin_enter(c, &origin, call);
}

int mg_call_start(mg_call **out, mg_client *c, const mg_call_options *options,
                  const mg_call_events *events, void *arg) {
    mg_call *call = take_call(c);
    call->client = c;
    call->events = events;
    call->arg = arg;
    mg_link_init(&call->link);
    mg_link_append(&c->calls, &call->all);
    keep_wanted(call, options);
    c->started++;
    mg_call_start_total(call);
    *out = call;
    if (enter(c, options, call) == MG_OK) {
        mg_origin_serve(call->origin, call);
    } else {
        mg_call_break(call, "limit", "too many calls wait for a connection");
        mg_call_tell_soon(call);
    }
    return MG_OK;
}

void mg_call_close(mg_call *call) {
    if (call == NULL) {
        return;
    }
    mg_call_stop_timers(call);
    if (!mg_call_is_over(call)) {
        mg_call_detach(call, false);
    }
    mg_link_remove(&call->all);
    mg_inflate_free(call->inflate);
    keep_or_free(call, call->client);
}

void mg_call_take_over(mg_call *call, mg_tunnel *t) {
    mg_outbound *c = call->outbound;
    mg_call_stop_timers(call);
    mg_call_set_state(call, MG_CALL_DONE);
    c->wire->take_over(call, t);
    call->outbound = NULL;
    call->origin = NULL;
    mg_call_close(call);
}

bool mg_call_has_switched(const mg_call *call) {
    return call->state == MG_CALL_BODY && call->switched;
}

mg_call_state mg_call_state_of(const mg_call *call) {
    return call->state;
}

const mg_call_fault *mg_call_fault_of(const mg_call *call) {
    return call->state == MG_CALL_FAILED ? &call->fault : NULL;
}

mg_call_times mg_call_times_of(const mg_call *call) {
    return call->times;
}

const mg_response *mg_call_response(const mg_call *call) {
    return call->response;
}

bool mg_call_decoded(const mg_call *call) {
    return call->inflate != NULL;
}

mg_str mg_call_content(const mg_call *call) {
    return mg_buf_str(&call->content);
}

const mg_fields *mg_call_trailers(const mg_call *call) {
    static const mg_fields none;
    return call->trailers != NULL ? call->trailers : &none;
}
