// HTTP/2 as a wire of calls: many at a time on a connection.

#include "base/mem.h"
#include "client/h2_session.h"
#include "http/h2_schedule.h"

#include <assert.h>
#include <stdio.h>

enum { WRITE_BYTES = 64 * 1024 }; // that are gathered before they are written

static mg_h2_call *of(mg_call *call) {
    return *mg_call_stream(call);
}

// --- its memory ---

static mg_h2_call *take_stream(mg_h2_session *s, mg_call *call) {
    mg_link *l = mg_link_shift(&s->spare);
    mg_h2_call *e = l != NULL ? MG_OF(l, mg_h2_call, link) : mg_malloc(sizeof *e);
    s->spare_count -= l != NULL;
    *e = (mg_h2_call){.session = s, .call = call};
    mg_link_append(&s->calls, &e->link);
    *mg_call_stream(call) = e;
    return e;
}

static bool leave(mg_call *call, bool whole) {
    mg_h2_call *e = of(call);
    mg_h2_session *s = e->session;
    bool outermost = mg_h2_session_begin(s);
    // Behind a whole answer the rest of the request is not wanted (RFC 9113 section 8.1).
    mg_h2_send_reset(&s->h2, &e->stream, &s->out, whole ? MG_H2_NO_ERROR : MG_H2_CANCEL);
    e->call = NULL;
    mg_buf_deinit(&e->waiting);
    mg_buf_deinit(&e->held);
    mg_link_remove(&e->link);
    mg_link_append(&s->left, &e->link);
    (void)mg_h2_session_end(s, outermost);
    return !s->over && !mg_h2_is_final(&s->h2);
}

// --- the request's content ---

mg_str mg_h2_call_waiting(const mg_h2_call *e) {
    return e->waiting.n > 0 ? (mg_str){e->waiting.p + e->waiting_at, e->waiting.n - e->waiting_at}
                            : e->whole;
}

static size_t backlog(const mg_call *call) {
    return mg_h2_call_waiting(of((mg_call *)(uintptr_t)call)).n;
}

static void drop_front(mg_h2_call *e, size_t n) {
    if (e->waiting.n == 0) {
        mg_str_skip(&e->whole, n);
        return;
    }
    e->waiting_at += n;
    if (e->waiting_at == e->waiting.n) {
        mg_buf_deinit(&e->waiting);
        e->waiting_at = 0;
    }
}

static void write_if_much(mg_h2_session *s) {
    if (s->out.n >= WRITE_BYTES) {
        mg_h2_session_write(s);
    }
}

// One frame; the end goes with the last content, unless trailers follow.
static void send_frame(mg_h2_call *e, mg_str *data, size_t room, bool last) {
    mg_h2_session *s = e->session;
    mg_str piece = {data->p, room < data->n ? room : data->n};
    mg_str_skip(data, piece.n);
    mg_h2_send_data(&s->h2, &e->stream, &s->out, piece, last && data->n == 0);
    write_if_much(s);
}

static bool ends_with_content(const mg_h2_call *e) {
    return e->ending && e->trailers == NULL;
}

// What may go at once of `data`, which is left with the rest.
static void send_at_once(mg_h2_call *e, mg_str *data) {
    mg_h2_session *s = e->session;
    size_t room;
    while (data->n > 0 && !s->over && s->c->stream.queued == 0 &&
           (room = mg_h2_room(&s->h2, &e->stream)) > 0) {
        send_frame(e, data, room, ends_with_content(e));
    }
}

static void send_end(mg_h2_call *e) {
    if (e->ending && !mg_h2_is_closed(&e->stream) && !e->stream.end_sent) {
        mg_h2_send_end(&e->session->h2, &e->stream, &e->session->out, e->trailers);
    }
}

static void all_is_sent(mg_h2_call *e) {
    mg_h2_want(&e->session->h2, &e->stream, false);
    send_end(e);
    if (e->call != NULL) {
        mg_call_drained(e->call);
    } else {
        mg_h2_switched_drained(e);
    }
}

void mg_h2_calls_pump(mg_h2_session *s) {
    mg_h2_stream *next;
    size_t room;
    while (!s->over && s->c->stream.queued == 0 && (next = mg_h2_next(&s->h2, &room)) != NULL) {
        mg_h2_call *e = mg_h2_call_of(next);
        mg_str data = mg_h2_call_waiting(e);
        size_t before = data.n;
        send_frame(e, &data, room, ends_with_content(e));
        drop_front(e, before - data.n);
        if (data.n == 0) {
            all_is_sent(e);
        }
    }
}

// --- the request ---

static void send_whole(mg_h2_call *e, mg_str body) {
    e->ending = true;
    send_at_once(e, &body);
    if (body.n > 0) {
        e->whole = body;
        mg_h2_want(&e->session->h2, &e->stream, true);
    }
}

// Of one that asks for another protocol the stream stays open: it is to be a tunnel (RFC 8441).
static void ask(mg_h2_call *e) {
    mg_call *call = e->call;
    mg_h2_session *s = e->session;
    const mg_outbound *c = s->c;
    const mg_call_options *o = mg_call_wanted(call);
    bool switches = o->protocol.n > 0;
    const mg_request_head head = {
        .method = switches ? MG_STR("CONNECT") : o->method,
        .protocol = o->protocol,
        .target = o->target,
        .host = o->authority,
        .scheme = c->origin->is_tls ? MG_STR("https") : MG_STR("http"),
        .trailers = o->trailers,
        .fields = &o->fields,
        .kind = o->upload     ? (o->length < 0 ? MG_LENGTH_NONE : MG_LENGTH_KNOWN)
                : o->has_body ? MG_LENGTH_KNOWN
                              : MG_LENGTH_NONE,
        .length = o->upload ? (uint64_t)o->length : o->body.n,
    };
    bool bare = !o->upload && o->body.n == 0 && !switches;
    int rc = mg_h2_request(&s->h2, &e->stream, mg_call_arena(call), &s->out, &head, bare);
    assert(rc == MG_OK); // it has a place
    (void)rc;
    if (o->body.n > 0 && !o->upload) {
        send_whole(e, o->body);
    }
}

static int begin(mg_call *call) {
    mg_h2_session *s = mg_h2_session_of(mg_call_outbound(call));
    mg_h2_call *e = take_stream(s, call);
    bool outermost = mg_h2_session_begin(s);
    e->unasked = mg_call_wanted(call)->protocol.n > 0 && !s->greeted;
    if (!e->unasked) {
        ask(e);
    }
    return mg_h2_session_end(s, outermost);
}

static mg_h2_call *first_unasked(const mg_h2_session *s) {
    for (mg_link *l = s->calls.next; l != &s->calls; l = l->next) {
        mg_h2_call *e = MG_OF(l, mg_h2_call, link);
        if (e->unasked) {
            return e;
        }
    }
    return NULL;
}

// More may have begun than the server allows.
void mg_h2_calls_ask(mg_h2_session *s) {
    mg_h2_call *e;
    while ((e = first_unasked(s)) != NULL) {
        e->unasked = false;
        if (mg_h2_may_connect(&s->h2) && mg_h2_may_request(&s->h2)) {
            ask(e);
        } else {
            mg_call_once_more(e->call);
        }
    }
}

// What has come of a response is still given on.
static bool takes_nothing(const mg_h2_call *e) {
    return mg_h2_is_closed(&e->stream) || e->session->over;
}

static void send_or_keep(mg_h2_call *e, mg_str data) {
    if (mg_h2_call_waiting(e).n == 0) {
        send_at_once(e, &data);
    }
    if (data.n > 0) {
        mg_buf_append_behind(&e->waiting, &e->waiting_at, data);
        mg_h2_want(&e->session->h2, &e->stream, true);
    }
}

static void end_behind_it(mg_h2_call *e) {
    e->ending = true;
    if (mg_h2_call_waiting(e).n == 0) {
        send_end(e);
    }
}

static int send_piece(mg_call *call, mg_str piece, const mg_fields *trailers) {
    mg_h2_call *e = of(call);
    mg_h2_session *s = e->session;
    if (takes_nothing(e)) {
        return MG_ECLOSED;
    }
    bool outermost = mg_h2_session_begin(s);
    if (piece.n == 0) {
        e->trailers = trailers != NULL && trailers->count > 0 ? trailers : NULL;
        end_behind_it(e);
    } else {
        send_or_keep(e, piece);
    }
    return mg_h2_session_end(s, outermost);
}

int mg_h2_call_write(mg_h2_call *e, mg_str data, size_t high) {
    mg_h2_session *s = e->session;
    if (takes_nothing(e)) {
        return MG_ECLOSED;
    }
    bool outermost = mg_h2_session_begin(s);
    send_or_keep(e, data);
    bool much = mg_h2_call_waiting(e).n > high;
    (void)mg_h2_session_end(s, outermost); // that it is lost is told by its end
    return much ? MG_EAGAIN : MG_OK;
}

void mg_h2_call_write_end(mg_h2_call *e) {
    mg_h2_session *s = e->session;
    bool outermost = mg_h2_session_begin(s);
    if (!takes_nothing(e)) {
        end_behind_it(e);
    }
    (void)mg_h2_session_end(s, outermost);
}

// --- the response ---

static void finish(mg_h2_call *e) {
    mg_call_take_end(e->call, &e->came);
}

void mg_h2_call_head(mg_h2_call *e, const mg_h2_event *ev) {
    mg_call *call = e->call;
    const mg_response r = {
        .status = ev->status, .http2 = true, .reason = MG_STR(""), .head = ev->head};
    e->complete = ev->end;
    e->resting = mg_call_switches(call, &r); // what follows belongs to whoever takes over
    mg_call_heard(call);
    mg_call_take_head(call, &r);
    if (e->call != call || e->resting) {
        return;
    }
    if (e->complete) {
        finish(e);
    } else {
        mg_call_progress(call);
    }
}

// What a call does not take now is kept for it; the server may send no more than its window.
static void give(mg_h2_call *e, mg_str content) {
    mg_call *call = e->call;
    mg_h2_session *s = e->session;
    while (content.n > 0 && e->call == call) {
        if (mg_call_is_full(call)) {
            e->resting = true;
            mg_buf_append_str(&e->held, content);
            break;
        }
        size_t most = mg_call_most_at_once(call);
        mg_str piece = {content.p, most < content.n ? most : content.n};
        mg_str_skip(&content, piece.n);
        mg_call_take_piece(call, piece);
        if (e->call == call) {
            mg_h2_taken(&s->h2, &e->stream, &s->out, piece.n);
        }
    }
    if (e->call == call) {
        mg_call_progress(call);
    }
}

void mg_h2_call_data(mg_h2_call *e, const mg_h2_event *ev) {
    mg_call *call = e->call;
    e->complete = ev->end;
    mg_call_heard(call);
    if (e->resting) {
        mg_buf_append_str(&e->held, ev->piece);
        return;
    }
    give(e, ev->piece);
    if (e->call == call && !e->resting && e->complete) {
        finish(e);
    }
}

void mg_h2_call_trailers(mg_h2_call *e, const mg_h2_event *ev) {
    e->came = ev->trailers;
    e->complete = true;
    mg_call_heard(e->call);
    if (!e->resting) {
        finish(e);
    }
}

// --- its end before the response's ---

static void fail_by_reset(mg_h2_call *e) {
    if (e->fault != NULL) {
        mg_call_fail(e->call, "protocol", e->fault);
        return;
    }
    char text[80];
    snprintf(text, sizeof text, "the server reset the stream (%s)", mg_h2_code_name(e->code));
    if (e->code == MG_H2_REFUSED_STREAM && !e->stream.head_seen) {
        mg_call_refused(e->call, text);
    } else {
        mg_call_fail(e->call, "closed", text);
    }
}

static void fail(mg_h2_call *e) {
    if (e->lost) {
        mg_call_lost(e->call, e->status);
    } else {
        fail_by_reset(e);
    }
}

void mg_h2_call_reset(mg_h2_call *e, const mg_h2_event *ev) {
    e->broken = true;
    e->code = ev->code;
    e->fault = ev->by_peer ? NULL : ev->reason;
    if (!e->resting) {
        fail(e);
    }
}

void mg_h2_call_lost(mg_h2_call *e, int status) {
    e->lost = true;
    e->status = status;
    if (!e->resting) {
        fail(e);
    }
}

// --- and later ---

// Goes on where `give` stopped.
static void resume(mg_call *call) {
    mg_h2_call *e = of(call);
    mg_h2_session *s = e->session;
    bool outermost = mg_h2_session_begin(s);
    mg_buf held = e->held;
    e->held = (mg_buf){0};
    e->resting = false;
    give(e, mg_buf_str(&held));
    mg_buf_deinit(&held);
    if (e->call == call && !e->resting) {
        if (e->complete) {
            finish(e);
        } else if (e->broken || e->lost) {
            fail(e);
        }
    }
    (void)mg_h2_session_end(s, outermost);
}

const mg_call_wire mg_h2_call_wire = {
    .open = mg_h2_session_open,
    .close = mg_h2_session_close,
    .leave_off = mg_h2_session_leave_off,
    .has_place = mg_h2_session_has_place,
    .read = mg_h2_session_read,
    .ended = mg_h2_session_ended,
    .drained = mg_h2_session_drained,
    .begin = begin,
    .send = send_piece,
    .backlog = backlog,
    .untaken = backlog,
    .resume = resume,
    .leave = leave,
    .take_over = mg_h2_call_take_over,
};
