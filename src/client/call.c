// One request and its response.
//
//   WAITS --head--> BODY --end--> DONE
//     any --fault, timeout, limit--> FAILED
//
// While it WAITS it is in its origin's list, then attached to a connection. A connection found dead
// before it has answered anything sends the call back into the list, once.

#include "client/call_inside.h"

#include "base/mem.h"
#include "http/h1_write.h"

#include <stdio.h>

enum {
    INTERIMS_MAX = 16,
    HELD_BACK = 256 * 1024,     // content that nobody has taken, beyond which reading rests
    QUEUED_MAX = 256 * 1024,    // bytes of an upload that have not left
    SLICE = 1024,               // what is decoded at once, since it may grow a thousandfold
    DECODED_BYTES = 512 * 1024, // that are made in one turn
    KEPT_BYTES = 16 * 1024,     // of a buffer, for the next call
};

#ifdef MG_DEBUG
enum { SPARE_CALLS = 0 }; // so that a use of what is over is seen
#else
enum { SPARE_CALLS = 64 };
#endif

static const mg_body_limits body_limits = {
    .extension_bytes = 16384,
    .trailers = {.first_line_bytes = 0, .bytes = 16384, .lines = 100},
};

static void on_soon(mg_timer *t);

// --- telling ---

static void tell(mg_call *call) {
    call->events->on_change(call->arg, call);
}

static void tell_soon(mg_call *call) {
    mg_timer_start(call->client->loop, &call->soon, 0, 0, on_soon);
}

static void stop_timers(mg_call *call) {
    mg_timer_stop(&call->total);
    mg_timer_stop(&call->quiet);
    mg_timer_stop(&call->soon);
}

// Leaves its connection, which is closed unless it can serve another call.
static void detach(mg_call *call, bool reusable) {
    mg_outbound *c = call->outbound;
    mg_origin *o = call->origin;
    call->outbound = NULL;
    call->origin = NULL;
    if (c == NULL) {
        if (o != NULL) {
            call->origin = o;
            mg_origin_forget_call(o, call);
        }
        return;
    }
    c->call = NULL;
    if (reusable) {
        c->served = true;
        mg_origin_take_back(o, c);
    } else {
        mg_outbound_close(c);
    }
}

void mg_call_break(mg_call *call, const char *code, const char *what) {
    const char *name = call->origin != NULL ? call->origin->name : "";
    snprintf(call->fault_text, sizeof call->fault_text, "%s: %s", name, what);
    call->fault = (mg_call_fault){
        .code = code, .text = call->fault_text, .unsent = call->outbound == NULL && !call->again};
    call->state = MG_CALL_FAILED;
    call->client->failed++;
    stop_timers(call);
    detach(call, false);
}

void mg_call_fail(mg_call *call, const char *code, const char *what) {
    mg_call_break(call, code, what);
    tell(call);
}

static void fail_soon(mg_call *call, const char *code, const char *what) {
    mg_call_break(call, code, what);
    tell_soon(call);
}

// --- time ---

// Whoever keeps a connection while it waits for another one may wait for itself.
static bool all_busy(const mg_call *call) {
    const mg_origin *o = call->origin;
    return call->outbound == NULL && o != NULL && o->connecting == 0 && o->idle_count == 0 &&
           o->connections >= call->client->options.connections;
}

static void on_total(mg_timer *t) {
    mg_call *call = MG_OF(t, mg_call, total);
    double seconds = (double)call->options.timeouts.total_ms / 1000;
    char text[160];
    if (all_busy(call)) {
        snprintf(text, sizeof text,
                 "all %u connections to it (http.connections) were busy for %g s: do calls that "
                 "hold them wait for this one?",
                 call->origin->connections, seconds);
    } else {
        snprintf(text, sizeof text, "%s within %g s",
                 call->outbound == NULL ? "no connection was free or could be opened"
                                        : "the response was not complete",
                 seconds);
    }
    mg_call_fail(call, "timeout", text);
}

static void on_quiet(mg_timer *t) {
    mg_call *call = MG_OF(t, mg_call, quiet);
    bool head = call->state == MG_CALL_WAITS;
    uint32_t ms = head ? call->options.timeouts.first_byte_ms : call->options.timeouts.idle_ms;
    char text[96];
    snprintf(text, sizeof text, "%s within %g s",
             head ? "no response" : "nothing more of the response's body", (double)ms / 1000);
    mg_call_fail(call, "timeout", text);
}

// Of the dials of its origin the oldest one is counted as the call's: it goes too, unless those who
// wait behind the call need it.
static void on_no_connection(mg_timer *t) {
    mg_call *call = MG_OF(t, mg_call, quiet);
    mg_origin *o = call->origin;
    mg_outbound *c = mg_origin_oldest_dial(o);
    char text[96];
    snprintf(text, sizeof text, "%s took longer than %g s",
             c != NULL ? mg_connect_doing(c->connect) : "waiting for a connection",
             (double)call->options.timeouts.connect_ms / 1000);
    mg_call_break(call, "timeout", text);
    if (c != NULL && o->connecting > o->waiting_count) {
        mg_outbound_close(c);
    }
    tell(call);
}

void mg_call_start_connect(mg_call *call) {
    if (!mg_timer_active(&call->quiet) && call->options.timeouts.connect_ms > 0) {
        mg_timer_start(call->client->loop, &call->quiet, call->options.timeouts.connect_ms, 0,
                       on_no_connection);
    }
}

static void start_quiet(mg_call *call, uint32_t ms) {
    mg_timer_stop(&call->quiet);
    if (ms > 0) {
        mg_timer_start(call->client->loop, &call->quiet, ms, 0, on_quiet);
    }
}

// --- the request ---

static void write_request_head(mg_call *call, const mg_call_options *o) {
    bool chunked = o->upload && o->length < 0;
    mg_request_head head = {
        .method = o->method,
        .target = o->target,
        .host = o->authority,
        .fields = &o->fields,
        .kind = chunked                    ? MG_LENGTH_CHUNKED
                : o->upload || o->has_body ? MG_LENGTH_KNOWN
                                           : MG_LENGTH_NONE,
        .length = o->upload ? (uint64_t)o->length : o->body.n,
    };
    mg_h1_write_request(&call->request, &head);
    if (!o->upload) {
        mg_buf_append_str(&call->request, o->body);
    }
}

static int write_out(mg_call *call, const char *data, size_t n) {
    const struct iovec v = {(void *)(uintptr_t)data, n};
    return mg_stream_write(&call->outbound->stream, &v, 1);
}

static void begin_response(mg_call *call) {
    mg_arena_reset(&call->arena);
    mg_h1_response_init(&call->reader, &call->arena, &call->client->options.head, call->to_head);
}

void mg_call_attach(mg_call *call, mg_outbound *c) {
    call->outbound = c;
    mg_outbound_serve(c, call);
    mg_timer_stop(&call->quiet);
    call->reused = c->served;
    call->client->reused += c->served;
    call->received = false;
    begin_response(call);
    if (!call->upload_open) {
        start_quiet(call, call->options.timeouts.first_byte_ms);
    }
    int rc = write_out(call, call->request.p, call->request.n);
    if (rc != MG_OK) {
        call->lost = rc;
        tell_soon(call);
    } else if (call->options.upload) {
        mg_buf_deinit(&call->request); // cannot be sent again
        if (call->room_wanted) {
            tell_soon(call);
        }
    }
}

bool mg_call_has_room(const mg_call *call) {
    return call->outbound != NULL ? call->outbound->stream.queued <= QUEUED_MAX
                                  : call->request.n <= QUEUED_MAX;
}

void mg_call_drained(mg_call *call) {
    if (call->room_wanted) {
        call->room_wanted = false;
        tell(call);
    }
}

// A piece of the body, framed, in `out`. MG_ELIMIT: not what was announced.
static int frame_piece(mg_call *call, const char *data, size_t n, mg_buf *out) {
    if (call->options.length < 0) {
        if (n > 0) {
            mg_h1_write_chunk(out, data, n);
        } else {
            mg_h1_write_last_chunk(out, NULL);
        }
        return MG_OK;
    }
    if (n > call->upload_left || (n == 0 && call->upload_left > 0)) {
        return MG_ELIMIT;
    }
    call->upload_left -= n;
    mg_buf_append(out, data, n);
    return MG_OK;
}

int mg_call_send(mg_call *call, const char *data, size_t n) {
    if (!call->upload_open || call->state != MG_CALL_WAITS || call->lost != 0) {
        return MG_ECLOSED;
    }
    mg_buf piece = {0};
    bool attached = call->outbound != NULL;
    int rc = frame_piece(call, data, n, attached ? &piece : &call->request);
    if (rc == MG_OK && attached && piece.n > 0) {
        rc = write_out(call, piece.p, piece.n);
        if (rc != MG_OK) {
            call->lost = rc; // the response, if there is one, may still come
        }
        rc = rc != MG_OK ? MG_ECLOSED : MG_OK;
    }
    mg_buf_deinit(&piece);
    if (n == 0 && rc == MG_OK) {
        call->upload_open = false;
        if (attached) {
            start_quiet(call, call->options.timeouts.first_byte_ms);
        }
    }
    if (rc == MG_OK && !mg_call_has_room(call)) {
        call->room_wanted = true;
        rc = MG_EAGAIN;
    }
    return rc;
}

// --- the response ---

static bool is_over(const mg_call *call) {
    return call->state >= MG_CALL_DONE;
}

static void take_head(mg_call *call) {
    mg_buf_clear(&call->request);
    mg_timer_stop(&call->quiet);
    call->state = MG_CALL_BODY;
    mg_body_init(&call->body, &call->response.head, &body_limits, &call->arena);
    if (call->options.stream) {
        mg_timer_stop(&call->total);
        start_quiet(call, call->options.timeouts.idle_ms);
    }
    mg_call_begin_content(call);
}

// Interim responses (RFC 9110 section 15.2) are passed over; a protocol that nobody asked for is
// not spoken.
static void take_interim(mg_call *call) {
    if (call->response.status == 101) {
        mg_call_break(call, "protocol", "the server switched protocols, unasked");
    } else if (++call->interims > INTERIMS_MAX) {
        mg_call_break(call, "protocol", "too many interim responses");
    } else {
        begin_response(call);
    }
}

static size_t feed_head(mg_call *call, const char *data, size_t n) {
    size_t used = 0;
    switch (mg_h1_response_read(&call->reader, data, n, &used, &call->response)) {
    case MG_H1_RESPONSE_BAD:
        mg_call_break(call, "protocol", call->reader.fault);
        break;
    case MG_H1_RESPONSE_HEAD:
        if (call->response.status < 200) {
            take_interim(call);
        } else {
            take_head(call);
        }
        break;
    default:
        break;
    }
    return used;
}

// What the server says of its patience (RFC 9112 leaves "Keep-Alive: timeout=5" to practice): the
// connection is given up a little sooner, so that no request meets its end.
static uint32_t keep_ms_of(const mg_head *head) {
    const mg_field *f = mg_fields_find(&head->fields, MG_FIELD_KEEP_ALIVE);
    mg_str rest = f != NULL ? f->value : (mg_str){0};
    mg_str item;
    while (mg_str_next_item(&rest, &item)) {
        static const mg_str key = {"timeout=", 8};
        uint64_t s;
        if (item.n > key.n && mg_str_ieq((mg_str){item.p, key.n}, key) &&
            mg_str_to_u64((mg_str){item.p + key.n, item.n - key.n}, 86400, &s)) {
            return s == 0 ? 1 : s > 2 ? (uint32_t)(s - 1) * 1000 : (uint32_t)s * 500;
        }
    }
    return 0;
}

// The body is complete. `clean`: nothing came behind it, and the connection is alive.
static void complete(mg_call *call, bool clean) {
    if (call->inflate != NULL && !mg_inflate_complete(call->inflate)) {
        mg_call_break(call, "protocol", "the response's content coding is cut off");
        return;
    }
    bool sent = !call->upload_open && call->outbound->stream.queued == 0 && call->lost == 0;
    stop_timers(call);
    call->state = MG_CALL_DONE;
    call->outbound->keep_ms = keep_ms_of(&call->response.head);
    detach(call, clean && sent && call->response.head.keep_alive);
}

static size_t feed_body(mg_call *call, const char *data, size_t n) {
    size_t used = 0;
    mg_str piece;
    size_t most = call->inflate != NULL && n > SLICE ? SLICE : n;
    switch (mg_body_read(&call->body, data, most, &used, &piece)) {
    case MG_BODY_PIECE:
        mg_call_take_piece(call, piece);
        break;
    case MG_BODY_BAD:
        mg_call_break(call, "protocol", call->body.refusal.reason);
        break;
    default:
        break;
    }
    return used;
}

static bool is_behind(const mg_call *call) {
    return call->options.stream && call->content.n >= HELD_BACK;
}

// Others have a turn too: decoding takes long.
static bool is_tired(const mg_call *call) {
    return call->decoded_bytes >= DECODED_BYTES;
}

static void rest(mg_call *call, const char *data, size_t n) {
    call->paused = true;
    mg_buf_append(&call->held, data, n);
    mg_timer_stop(&call->quiet); // it is not the server who is slow
    mg_stream_read_stop(&call->outbound->stream);
    if (!is_behind(call)) {
        tell_soon(call);
    }
}

// Reads what it can; the call may be over afterwards.
static void read_some(mg_call *call, const char *data, size_t n) {
    size_t at = 0;
    while (!is_over(call)) {
        if (call->state == MG_CALL_BODY && mg_body_complete(&call->body)) {
            complete(call, at == n);
            return;
        }
        if (at == n) {
            return;
        }
        if (is_behind(call) || is_tired(call)) {
            rest(call, data + at, n - at);
            return;
        }
        at += call->state == MG_CALL_WAITS ? feed_head(call, data + at, n - at)
                                           : feed_body(call, data + at, n - at);
    }
}

static bool is_worth_telling(const mg_call *call) {
    return is_over(call) || (call->options.stream && call->state == MG_CALL_BODY);
}

void mg_call_feed(mg_call *call, const char *data, size_t n) {
    call->received = true;
    if (call->state == MG_CALL_BODY && call->options.stream) {
        start_quiet(call, call->options.timeouts.idle_ms);
    }
    read_some(call, data, n);
    if (is_worth_telling(call)) {
        tell(call);
    }
}

// --- the end of a connection ---

// Nothing of a response has come, on a connection that the server was free to close.
static bool may_go_again(const mg_call *call) {
    bool dead = call->reused && !call->received && !call->again && call->request.n > 0;
    return dead && (call->options.idempotent || call->lost != 0);
}

static void go_again(mg_call *call) {
    mg_outbound *c = call->outbound;
    call->again = true;
    call->lost = 0;
    call->outbound = NULL;
    c->call = NULL;
    mg_timer_stop(&call->quiet);
    mg_timer_stop(&call->soon);
    mg_origin_requeue(c->origin, call);
    mg_outbound_close(c); // which lets the origin dial
}

void mg_call_lost(mg_call *call, int status) {
    if (may_go_again(call)) {
        go_again(call);
        return;
    }
    if (call->paused) { // told when all before it was taken
        call->ended = true;
        call->lost = status;
        return;
    }
    char text[128];
    bool in_body = call->state == MG_CALL_BODY;
    if (in_body && call->response.head.framing == MG_FRAMING_CLOSE && status == 0) {
        complete(call, false);
    } else {
        snprintf(text, sizeof text, "the server closed the connection %s%s%s",
                 in_body          ? "within the response's body"
                 : call->received ? "within the response's head"
                                  : "before it answered",
                 status != 0 ? ": " : "", status != 0 ? mg_strerror(status) : "");
        mg_call_break(call, "closed", text);
    }
    tell(call);
}

// --- taking ---

// Goes on where `rest` stopped.
static void resume(mg_call *call) {
    mg_buf held = call->held;
    call->held = (mg_buf){0};
    call->paused = false;
    call->decoded_bytes = 0;
    if (call->options.stream) {
        start_quiet(call, call->options.timeouts.idle_ms);
    }
    mg_stream_read_start(&call->outbound->stream); // first: the next call may get it out of this
    read_some(call, held.p, held.n);
    mg_buf_deinit(&held);
}

static bool has_lost(const mg_call *call) {
    return !is_over(call) && !call->paused && (call->ended || call->lost != 0);
}

static void on_soon(mg_timer *t) {
    mg_call *call = MG_OF(t, mg_call, soon);
    if (call->paused && !is_behind(call)) {
        resume(call);
    }
    if (has_lost(call)) {
        mg_call_lost(call, call->lost);
        return;
    }
    call->room_wanted = false;
    tell(call);
}

mg_str mg_call_content(const mg_call *call) {
    return mg_buf_str(&call->content);
}

void mg_call_take(mg_call *call, size_t n) {
    if (n == call->content.n && n > HELD_BACK) {
        mg_buf_deinit(&call->content);
    } else {
        mg_buf_consume(&call->content, n);
    }
    if (call->paused && !is_behind(call)) {
        tell_soon(call);
    }
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
    mg_buf_deinit(&call->request);
    mg_buf_deinit(&call->content);
    mg_arena_deinit(&call->arena);
    mg_free(call);
}

static void keep_or_free(mg_call *call, mg_client *c) {
    if (c->spare_count == SPARE_CALLS || call->request.cap > KEPT_BYTES ||
        call->content.cap > KEPT_BYTES) {
        free_call(call);
        return;
    }
    mg_buf request = call->request;
    mg_buf content = call->content;
    mg_arena_reset(&call->arena);
    mg_arena arena = call->arena;
    memset(call, 0, offsetof(mg_call, fault_text));
    mg_buf_clear(&request);
    mg_buf_clear(&content);
    call->request = request;
    call->content = content;
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

int mg_call_start(mg_call **out, mg_client *c, const mg_call_options *options,
                  const mg_call_events *events, void *arg) {
    mg_call *call = take_call(c);
    call->client = c;
    call->events = events;
    call->arg = arg;
    call->options = *options;
    call->upload_open = options->upload;
    call->upload_left = options->upload && options->length > 0 ? (uint64_t)options->length : 0;
    mg_link_init(&call->link);
    mg_link_append(&c->calls, &call->all);
    call->to_head = mg_str_eq(options->method, MG_STR("HEAD"));
    write_request_head(call, options);
    call->options.origin = (mg_call_origin){0}; // its texts are the caller's, as those behind it
    call->options.method = call->options.target = call->options.authority = (mg_str){0};
    call->options.fields = (mg_fields){0};
    call->options.body = (mg_str){0};
    c->started++;
    if (options->timeouts.total_ms > 0) {
        mg_timer_start(c->loop, &call->total, options->timeouts.total_ms, 0, on_total);
    }
    *out = call;
    int rc = mg_origin_enter(c, &options->origin, call);
    if (rc != MG_OK) {
        fail_soon(call, "limit", "too many calls wait for a connection");
        return MG_OK;
    }
    mg_origin_pump(call->origin);
    return MG_OK;
}

void mg_call_close(mg_call *call) {
    if (call == NULL) {
        return;
    }
    stop_timers(call);
    if (!is_over(call)) {
        detach(call, false);
    }
    mg_link_remove(&call->all);
    if (call->state >= MG_CALL_BODY) {
        mg_body_deinit(&call->body);
    }
    mg_inflate_free(call->inflate);
    mg_buf_deinit(&call->held);
    keep_or_free(call, call->client);
}

mg_call_state mg_call_state_of(const mg_call *call) {
    return call->state;
}

const mg_call_fault *mg_call_fault_of(const mg_call *call) {
    return call->state == MG_CALL_FAILED ? &call->fault : NULL;
}

const mg_response *mg_call_response(const mg_call *call) {
    return &call->response;
}

bool mg_call_decoded(const mg_call *call) {
    return call->inflate != NULL;
}
