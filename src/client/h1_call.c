// HTTP/1.1 as a wire of calls: one at a time on a connection.

#include "client/call_wire.h"

#include "base/mem.h"
#include "event/outward.h"
#include "http/body.h"
#include "http/h1_response.h"
#include "http/h1_write.h"

enum {
    KEPT_BYTES = 64 * 1024, // of the client's buffer for what is written
    HELD_BYTES = 16 * 1024, // of what waits, beyond which nothing more is read
};

static const mg_body_limits body_limits = {
    .extension_bytes = 16384,
    .trailers = {.first_line_bytes = 0, .bytes = 16384, .lines = 100},
};

// What a response is read with.
typedef union reading {
    mg_h1_response_reader reader;
    mg_body body; // `in_body`
} reading;

// A connection's; its `session`.
typedef struct session {
    mg_outbound *c;
    mg_call *call;    // NULL: none
    reading *reading; // in the call's arena; NULL: nothing has come of the response
    mg_buf held;      // bytes that wait until the call is not full any more
    bool in_body;     // else in a head
    bool keep_alive;  // the server would go on, says the head
    bool until_close; // the body ends with the connection
    bool chunked;     // the upload
    bool upload_open; // more of it is to come
    bool broken;      // a write failed
    bool unheard;     // bytes may have come before reading began, or while it was stopped
    bool resting;     // nothing is given on
    bool ended;       // the connection did, behind what is held
    bool reusable;    // by its response, whose end has come
    bool switched;    // its call has another protocol, or had: what follows is for who takes over
    int end_status;
    struct taken *taken; // NULL: nobody has taken over
} session;

// A connection that carries calls no more.
typedef struct taken {
    mg_outward outward;
    mg_outbound *c;
} taken;

static session *session_of(const mg_call *call) {
    return mg_call_outbound(call)->session;
}

// --- the connection ---

static void open_session(mg_outbound *c) {
    session *s = mg_calloc(1, sizeof *s);
    s->c = c;
    s->unheard = true;
    c->session = s;
}

// Whoever took it over is told, unless they have ended it; nothing lingers any more.
static void leave_off(mg_outbound *c) {
    session *s = c->session;
    if (s->taken != NULL) {
        mg_outward_drop(&s->taken->outward);
    }
}

static void end_body(session *s) {
    if (s->in_body) {
        mg_body_deinit(&s->reading->body);
        s->in_body = false;
    }
}

static void close_session(mg_outbound *c) {
    session *s = c->session;
    end_body(s);
    mg_buf_deinit(&s->held);
    mg_free(s->taken);
    mg_free(s);
}

// What a server has sent ahead of the next request, or behind the end of its last response, would
// be taken for the next response; had it come, the connection would be closed by now, if it was
// read. To ask the kernel again costs a system call: that is for what could not be sent again. A
// fresh TLS connection may have something of its own to say.
static bool is_silent(const mg_outbound *c, bool repeatable) {
    const session *s = c->session;
    bool heard = repeatable && !s->unheard && mg_loop_has_heard(c->client->loop);
    return heard || (c->origin->is_tls && !c->served) || mg_stream_quiet(&c->stream);
}

static bool has_place(const mg_outbound *c, bool repeatable) {
    const session *s = c->session;
    return s->call == NULL && is_silent(c, repeatable);
}

static void drained(mg_outbound *c) {
    session *s = c->session;
    if (s->taken != NULL) {
        mg_outward_drained(&s->taken->outward, MG_OK);
    } else if (s->call != NULL) {
        mg_call_drained(s->call);
    }
}

// --- the request ---

static int write_out(session *s, mg_str first, mg_str second) {
    const struct iovec v[] = {{(void *)(uintptr_t)first.p, first.n},
                              {(void *)(uintptr_t)second.p, second.n}};
    int rc = mg_stream_write(&s->c->stream, v, second.n > 0 ? 2 : 1);
    s->broken |= rc != MG_OK;
    return rc;
}

static int write_request(session *s, const mg_call_options *o) {
    mg_request_head head = {
        .method = o->method,
        .target = o->target,
        .host = o->authority,
        .protocol = o->protocol,
        .fields = &o->fields,
        .kind = s->chunked                 ? MG_LENGTH_CHUNKED
                : o->upload || o->has_body ? MG_LENGTH_KNOWN
                                           : MG_LENGTH_NONE,
        .length = o->upload ? (uint64_t)o->length : o->body.n,
    };
    mg_buf *lines = &s->c->client->lines;
    mg_buf_clear(lines);
    mg_h1_write_request(lines, &head);
    mg_str content = {NULL, 0}; // of an upload it follows
    if (!o->upload) {
        content = o->body;
    }
    return write_out(s, mg_buf_str(lines), content);
}

// When something comes of it: those that wait are many.
static void begin_response(session *s) {
    s->reading = mg_arena_alloc(mg_call_arena(s->call), sizeof *s->reading);
    mg_h1_response_init(&s->reading->reader, mg_call_arena(s->call), &s->c->client->options.head,
                        mg_call_is_head(s->call));
}

static int begin(mg_call *call) {
    session *s = session_of(call);
    const mg_call_options *o = mg_call_wanted(call);
    s->call = call;
    s->broken = s->reusable = s->switched = s->unheard = false;
    s->upload_open = o->upload;
    s->chunked = o->upload && o->length < 0;
    s->reading = NULL;
    return write_request(s, o);
}

static int send_piece(mg_call *call, mg_str piece, const mg_fields *trailers) {
    session *s = session_of(call);
    s->upload_open = piece.n > 0;
    if (!s->chunked) {
        return piece.n > 0 ? write_out(s, piece, (mg_str){0}) : MG_OK;
    }
    mg_buf *lines = &s->c->client->lines;
    mg_buf_clear(lines);
    if (piece.n > 0) {
        mg_h1_write_chunk(lines, piece.p, piece.n);
    } else {
        mg_h1_write_last_chunk(lines, trailers);
    }
    int rc = write_out(s, mg_buf_str(lines), (mg_str){0});
    if (lines->cap > KEPT_BYTES) {
        mg_buf_deinit(lines);
    }
    return rc;
}

static size_t backlog(const mg_call *call) {
    return session_of(call)->c->stream.queued;
}

static size_t untaken(const mg_call *call) {
    return mg_stream_untaken(&session_of(call)->c->stream);
}

// --- the response ---

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

// `clean`: nothing came behind it, as far as is known.
static void complete(session *s, bool clean) {
    bool sent = !s->upload_open && s->c->stream.queued == 0 && !s->broken;
    s->reusable = clean && sent && !s->ended && s->keep_alive;
    mg_call_take_end(s->call, &s->reading->body.trailers);
}

static void take_head(session *s, const mg_response *r) {
    mg_call *call = s->call;
    s->switched = mg_call_switches(call, r);
    if (r->status >= 200) {
        s->in_body = true; // from here on the reader's memory is the body's
        s->keep_alive = r->head.keep_alive;
        s->until_close = r->head.framing == MG_FRAMING_CLOSE;
        s->c->keep_ms = keep_ms_of(&r->head);
        mg_body_init(&s->reading->body, &r->head, &body_limits, mg_call_arena(call));
    }
    mg_call_take_head(call, r);
    if (s->call == call && !s->in_body && !s->switched) {
        mg_arena_reset(mg_call_arena(call));
        s->reading = NULL;
    }
}

static size_t feed_head(session *s, const char *data, size_t n) {
    size_t used = 0;
    mg_response r;
    if (s->reading == NULL) {
        begin_response(s);
    }
    switch (mg_h1_response_read(&s->reading->reader, data, n, &used, &r)) {
    case MG_H1_RESPONSE_BAD:
        mg_call_fail(s->call, "protocol", s->reading->reader.fault);
        break;
    case MG_H1_RESPONSE_HEAD:
        take_head(s, &r);
        break;
    default:
        break;
    }
    return used;
}

static size_t feed_body(session *s, const char *data, size_t n) {
    size_t used = 0;
    mg_str piece;
    size_t most = mg_call_most_at_once(s->call);
    switch (mg_body_read(&s->reading->body, data, n < most ? n : most, &used, &piece)) {
    case MG_BODY_PIECE:
        mg_call_take_piece(s->call, piece);
        break;
    case MG_BODY_BAD:
        mg_call_fail(s->call, "protocol", s->reading->body.refusal.reason);
        break;
    default:
        break;
    }
    return used;
}

// A short rest, as of most answers that are staged, is over before more comes: to stop and start
// reading would be two system calls.
static void hold(session *s, const char *data, size_t n) {
    bool more = s->resting;
    s->resting = true;
    mg_buf_append(&s->held, data, n);
    if (more || s->held.n > HELD_BYTES) {
        s->unheard = true;
        mg_stream_read_stop(&s->c->stream);
    }
}

static void rest(session *s, const char *data, size_t n) {
    hold(s, data, n);
    mg_call_progress(s->call);
}

// Reads what it can; the call may have left afterwards.
static void read_some(session *s, const char *data, size_t n) {
    const mg_call *call = s->call;
    size_t at = 0;
    while (s->call == call) {
        if (s->in_body && mg_body_complete(&s->reading->body)) {
            complete(s, at == n);
            return;
        }
        if (at == n) {
            mg_call_progress(s->call);
            return;
        }
        if (s->switched || mg_call_is_full(s->call)) {
            rest(s, data + at, n - at);
            return;
        }
        at += s->in_body ? feed_body(s, data + at, n - at) : feed_head(s, data + at, n - at);
    }
    if (s->taken != NULL && at < n) {
        mg_outward_read(&s->taken->outward, data + at, n - at);
    }
}

// What comes while nobody asked for it, a close in most cases, ends the connection.
static void on_read(mg_outbound *c, const char *data, size_t n) {
    session *s = c->session;
    if (s->taken != NULL) {
        mg_outward_read(&s->taken->outward, data, n);
        return;
    }
    if (s->call == NULL) {
        mg_outbound_close(c);
        return;
    }
    if (s->resting) {
        hold(s, data, n);
        return;
    }
    mg_call_heard(s->call);
    read_some(s, data, n);
}

static void on_ended(mg_outbound *c, int status) {
    session *s = c->session;
    if (s->taken != NULL) {
        mg_outward_ended(&s->taken->outward, status);
    } else if (s->call == NULL) {
        mg_outbound_close(c);
    } else if (s->resting) { // told when all before it was taken
        s->ended = true;
        s->end_status = status;
    } else if (s->in_body && s->until_close && status == 0) {
        complete(s, false);
    } else {
        mg_call_lost(s->call, status);
    }
}

// Goes on where `rest` stopped.
static void resume(mg_call *call) {
    session *s = session_of(call);
    mg_outbound *c = s->c;
    mg_buf held = s->held;
    s->held = (mg_buf){0};
    s->resting = false;
    mg_stream_read_start(&c->stream); // first: the next call may get it out of this
    read_some(s, held.p, held.n);
    mg_buf_deinit(&held);
    if (s->call == call && !s->resting && s->ended) {
        on_ended(c, s->end_status);
    }
}

// Of a response that was broken off the rest would be taken for the next one.
static bool leave(mg_call *call, bool whole) {
    session *s = session_of(call);
    s->call = NULL;
    s->resting = s->ended = false;
    end_body(s);
    mg_buf_deinit(&s->held);
    return whole && s->reusable;
}

// --- another protocol ---

static void release_tunnel(mg_outward *o, bool reset) {
    mg_outbound *c = MG_OF(o, taken, outward)->c;
    mg_stream_close(&c->stream, reset);
    mg_outbound_close(c);
}

static void take_over(mg_call *call, mg_tunnel *t) {
    session *s = session_of(call);
    mg_buf held = s->held;
    s->held = (mg_buf){0};
    s->call = NULL;
    s->resting = false;
    s->taken = mg_calloc(1, sizeof *s->taken);
    s->taken->c = s->c;
    s->taken->outward.release = release_tunnel;
    mg_outbound_part(s->c, call);
    mg_outward_open(&s->taken->outward, &s->c->stream, t);
    mg_outward_read(&s->taken->outward, held.p, held.n);
    mg_buf_deinit(&held);
    if (s->ended) {
        mg_outward_ended(&s->taken->outward, s->end_status);
    }
}

const mg_call_wire mg_h1_call_wire = {
    .open = open_session,
    .close = close_session,
    .leave_off = leave_off,
    .has_place = has_place,
    .read = on_read,
    .ended = on_ended,
    .drained = drained,
    .begin = begin,
    .send = send_piece,
    .backlog = backlog,
    .untaken = untaken,
    .resume = resume,
    .leave = leave,
    .take_over = take_over,
};
