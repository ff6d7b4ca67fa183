// The same bytes go to our server's end and to nghttp2's. What we let pass nghttp2 lets pass, and
// both have read the same requests, content and trailers in it.
//
// The other way round we are stricter, and that is wanted: what HTTP/1.1 answers with 4xx too (a
// target, a host, Content-Length, Expect, sizes), two hosts in :authority and Host, frames behind a
// reset by the peer (STREAM_CLOSED; nghttp2 ignores them).
#include "h2_rig.h"
#include "http/h2_inside.h"

#include <nghttp2/nghttp2.h>

// Host is there whoever said it, and crumbs were joined: both are left out.
static bool is_compared(mg_field_id id) {
    return id != MG_FIELD_HOST && id != MG_FIELD_COOKIE;
}

// --- the other one ---

typedef struct theirs {
    nghttp2_session *session;
    mg_buf log;
    mg_buf content;
    int32_t content_id;
    bool broke;
    bool goaway;  // its id was no server's, which we do not look at
    bool ignored; // something that it does not tell as a fault
    const char *why;
} theirs;

static void flush(theirs *t) {
    if (t->content.n > 0) {
        mg_buf_printf(&t->log, "%d data ", t->content_id);
        mg_buf_append_str(&t->log, mg_buf_str(&t->content));
        mg_buf_append_char(&t->log, '\n');
        mg_buf_clear(&t->content);
    }
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t n, uint8_t flags, void *arg) {
    (void)session;
    (void)frame;
    (void)flags;
    theirs *t = arg;
    mg_str text = {(const char *)name, name_n};
    if (text.p[0] == ':' || !is_compared(mg_field_id_of(text))) {
        return 0;
    }
    mg_buf_append(&t->log, name, name_n);
    mg_buf_append_char(&t->log, '=');
    mg_buf_append(&t->log, value, n);
    mg_buf_append_char(&t->log, '\n');
    return 0;
}

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *arg) {
    (void)session;
    theirs *t = arg;
    flush(t);
    mg_buf_printf(&t->log, "%d head\n", frame->hd.stream_id);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t n, void *arg) {
    (void)session;
    (void)flags;
    theirs *t = arg;
    if (t->content_id != id) {
        flush(t);
    }
    t->content_id = id;
    mg_buf_append(&t->content, data, n);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg) {
    (void)session;
    theirs *t = arg;
    bool carries = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (carries && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        flush(t);
        mg_buf_printf(&t->log, "%d end\n", frame->hd.stream_id);
    }
    return 0;
}

static int on_invalid(nghttp2_session *session, const nghttp2_frame *frame, int code, void *arg) {
    (void)session;
    theirs *t = arg;
    t->broke = true;
    t->goaway = frame->hd.type == NGHTTP2_GOAWAY && frame->hd.stream_id == 0;
    t->why = nghttp2_strerror(code);
    return 0;
}

static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             const uint8_t *name, size_t name_n, const uint8_t *value, size_t n,
                             uint8_t flags, void *arg) {
    (void)name;
    (void)name_n;
    (void)value;
    (void)n;
    (void)flags;
    ((theirs *)arg)->ignored = true; // it drops the field and goes on
    (void)session;
    (void)frame;
    return 0;
}

static ssize_t on_send(nghttp2_session *session, const uint8_t *data, size_t n, int flags,
                       void *arg) {
    (void)session;
    (void)flags;
    theirs *t = arg;
    uint8_t type = n >= 9 ? data[3] : 0;
    t->broke |= type == NGHTTP2_RST_STREAM || type == NGHTTP2_GOAWAY;
    return (ssize_t)n;
}

static void play_theirs(theirs *t, mg_str data) {
    nghttp2_session_callbacks *callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
    nghttp2_session_server_new(&t->session, callbacks, t);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, RIG_STREAMS},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
    };
    nghttp2_submit_settings(t->session, NGHTTP2_FLAG_NONE, settings, 2);
    nghttp2_session_send(t->session);
    nghttp2_session_mem_recv(t->session, (const uint8_t *)MG_H2_PREFACE, 24);
    ssize_t used = nghttp2_session_mem_recv(t->session, (const uint8_t *)data.p, data.n);
    t->broke |= used < 0 || (size_t)used != data.n;
    nghttp2_session_send(t->session);
    flush(t);
    nghttp2_session_del(t->session);
}

// --- ours: nothing is answered ---

static void write_fields(mg_buf *log, const mg_fields *fields) {
    for (uint32_t i = 0; i < fields->count; i++) {
        const mg_field *f = &fields->at[i];
        for (size_t k = 0; is_compared(f->id) && k < f->name.n; k++) {
            mg_buf_append_char(log, mg_lower(f->name.p[k]));
        }
        if (is_compared(f->id)) {
            mg_buf_append_char(log, '=');
            mg_buf_append_str(log, f->value);
            mg_buf_append_char(log, '\n');
        }
    }
}

static void told(h2_rig *r, mg_h2_event_kind kind, mg_h2_event *e) {
    rig_stream *s = (rig_stream *)(void *)e->stream;
    switch (kind) {
    case MG_H2_OPEN: {
        rig_stream *fresh = rig_new(r);
        if (fresh != NULL) {
            mg_h2_accept(&r->h, &fresh->s, &fresh->arena);
            fresh->id = fresh->s.id;
        }
        return;
    }
    case MG_H2_HEAD:
    case MG_H2_TRAILERS:
        rig_flush(r);
        r->refused |= kind == MG_H2_HEAD && e->refusal.status != 0;
        mg_buf_printf(&r->log, "%u head\n", s->id);
        write_fields(&r->log, kind == MG_H2_HEAD ? &e->head.fields : &e->trailers);
        break;
    case MG_H2_DATA:
        if (r->content_id != s->id) {
            rig_flush(r);
        }
        r->content_id = s->id;
        mg_buf_append_str(&r->content, e->piece);
        break;
    case MG_H2_RESET:
    case MG_H2_CLOSED:
        r->broke |= !e->by_peer || kind == MG_H2_CLOSED;
        r->why = e->reason;
        return;
    default:
        return;
    }
    if (e->end) {
        rig_flush(r);
        mg_buf_printf(&r->log, "%u end\n", s->id);
    }
}

static void play_ours(h2_rig *r, mg_str data) {
    static mg_h2_event e;
    mg_h2_event_kind kind;
    mg_str preface = MG_STR(MG_H2_PREFACE);
    size_t used;
    mg_h2_read(&r->h, preface.p, preface.n, 1000, &used, &r->out, &e);
    do {
        e = (mg_h2_event){0};
        kind = mg_h2_read(&r->h, data.p, data.n, 1000, &used, &r->out, &e);
        mg_str_skip(&data, used);
        told(r, kind, &e);
        rig_sweep(r);
    } while (kind != MG_H2_MORE && kind != MG_H2_CLOSED);
    rig_flush(r);
    // A reset or a farewell that was told to no stream.
    for (mg_str out = mg_buf_str(&r->out); out.n >= MG_H2_FRAME_HEADER;) {
        const uint8_t *p = (const uint8_t *)out.p;
        r->broke |= p[3] == MG_H2_RST_STREAM_FRAME;
        mg_str_skip(&out, MG_H2_FRAME_HEADER + ((size_t)p[0] << 16 | mg_h2_get16(p + 1)));
    }
}

// --- what is compared: of each message that it is there, its content, its end ---

static void must_read_the_same(const h2_rig *r, const theirs *t) {
    mg_str ours = mg_buf_str(&r->log);
    mg_str other = mg_buf_str(&t->log);
    if (!mg_str_eq(ours, other)) {
        fprintf(stderr, "ours:\n%.*s\nnghttp2's:\n%.*s\n", (int)ours.n, ours.p, (int)other.n,
                other.p);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mg_str input = {(const char *)data, size};
    h2_rig *r = mg_malloc(sizeof *r);
    theirs t = {0};
    rig_init(r, false);
    r->limits = mg_h2_default_limits;
    r->limits.streams = RIG_STREAMS;
    r->limits.window = MG_H2_WINDOW;
    play_ours(r, input);
    play_theirs(&t, input);
    // In the middle of a frame or a head nghttp2 may have found what we judge at its end.
    bool cut = mg_h2_is_waiting(&r->h) || r->h.phase != MG_H2_IN_HEADER || r->h.gathered > 0;
    bool ours = !r->broke && !r->refused && !t.goaway;
    bool other = !t.broke && !t.ignored;
    if (ours && other && !cut) {
        must_read_the_same(r, &t);
    } else if (ours && !cut) {
        fprintf(stderr, "only nghttp2 refuses: %s\n", t.why != NULL ? t.why : "?");
        abort();
    }
    mg_buf_deinit(&t.log);
    mg_buf_deinit(&t.content);
    rig_deinit(r);
    mg_free(r);
    return 0;
}
