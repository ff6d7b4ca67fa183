#include "testkit/h2_peer.h"

#include "base/mem.h"
#include "http/body.h"
#include "http/h1_read.h"
#include "http/h1_write.h"
#include "http/h2_send.h"
#include "http/status.h"

struct mg_h2_peer {
    mg_h2 h2;
    mg_h2_stream stream; // of the request under way
    mg_arena arena;      // likewise
    mg_h1_reader reader;
    mg_head head;
    mg_body body;
    mg_buf unread;  // bytes of the spec that wait for their turn
    mg_buf content; // of the request, that waits for a window
    bool asked;     // the head is sent
    bool whole;     // and all of its content has been read
    bool switches;  // it asks for another protocol
    bool tunnel;    // which has been granted: bytes go as they are
    bool chunked;   // the answer
    bool fin;
};

static const mg_guard_limits head_limits = {
    .first_line_bytes = 1 << 20, .bytes = 1 << 20, .lines = 10000};
static const mg_body_limits body_limits = {.extension_bytes = 1 << 20,
                                           .trailers = {.bytes = 1 << 20, .lines = 10000}};

static void begin(mg_h2_peer *p) {
    mg_body_deinit(&p->body);
    mg_arena_reset(&p->arena);
    mg_buf_clear(&p->content);
    memset(&p->body, 0, sizeof p->body);
    p->asked = p->whole = p->switches = p->chunked = false;
    mg_h1_reader_init(&p->reader, &p->arena, &head_limits);
}

mg_h2_peer *mg_h2_peer_new(mg_buf *out) {
    mg_h2_peer *p = mg_calloc(1, sizeof *p);
    static mg_h2_limits limits;
    limits = mg_h2_default_limits;
    limits.header_bytes = 1 << 20;
    limits.header_fields = 10000;
    mg_h2_init(&p->h2, true, &limits, out);
    begin(p);
    return p;
}

void mg_h2_peer_free(mg_h2_peer *p) {
    if (p != NULL) {
        mg_h2_deinit(&p->h2);
        mg_body_deinit(&p->body);
        mg_arena_deinit(&p->arena);
        mg_buf_deinit(&p->unread);
        mg_buf_deinit(&p->content);
        mg_free(p);
    }
}

// --- requests ---

static bool is_framing(mg_field_id id) {
    return id == MG_FIELD_HOST || id == MG_FIELD_CONTENT_LENGTH || id == MG_FIELD_TRANSFER_ENCODING;
}

// Without those of the message's framing, which each wire has in its own way.
static mg_fields without_framing(mg_arena *arena, const mg_fields *from) {
    mg_fields l;
    mg_fields_init(&l, arena);
    for (uint32_t i = 0; i < from->count; i++) {
        if (!is_framing(from->at[i].id)) {
            (void)mg_fields_add(&l, from->at[i].name, from->at[i].value);
        }
    }
    return l;
}

static void ask(mg_h2_peer *p, mg_buf *out) {
    const mg_head *h = &p->head;
    const mg_field *upgrade = mg_fields_find(&h->fields, MG_FIELD_UPGRADE);
    p->switches = upgrade != NULL;
    mg_fields fields = without_framing(&p->arena, &h->fields);
    const mg_request_head head = {
        .method = p->switches ? MG_STR("CONNECT") : h->method_text,
        .target = h->target_text,
        .host = h->host,
        .scheme = MG_STR("http"),
        .protocol = p->switches ? upgrade->value : (mg_str){NULL, 0},
        .fields = &fields,
        .kind = h->framing == MG_FRAMING_LENGTH ? MG_LENGTH_KNOWN : MG_LENGTH_NONE,
        .length = h->length,
    };
    mg_body_init(&p->body, h, &body_limits, &p->arena);
    p->asked = true;
    p->whole = mg_body_complete(&p->body);
    bool end = p->whole && !p->switches && h->method != MG_METHOD_CONNECT;
    (void)mg_h2_request(&p->h2, &p->stream, &p->arena, out, &head, end);
}

static void send_content(mg_h2_peer *p, mg_buf *out) {
    if (!p->asked || mg_h2_is_closed(&p->stream) || p->stream.end_sent) {
        mg_buf_clear(&p->content);
        return;
    }
    bool ends = (p->whole && !p->stream.tunnel) || p->fin;
    size_t at = 0;
    for (size_t n; (n = mg_h2_room(&p->h2, &p->stream)) > 0 && at < p->content.n; at += n) {
        n = n < p->content.n - at ? n : p->content.n - at;
        mg_h2_send_data(&p->h2, &p->stream, out, (mg_str){p->content.p + at, n}, false);
    }
    mg_buf_consume(&p->content, at);
    if (ends && p->content.n == 0) {
        mg_h2_send_end(&p->h2, &p->stream, out, &p->body.trailers);
    }
}

// Takes of what the spec has sent as much as belongs to the request under way.
static bool take_head(mg_h2_peer *p, mg_buf *out) {
    size_t used = p->unread.n;
    mg_h1_verdict v = mg_h1_read(&p->reader, p->unread.p, p->unread.n, &used, &p->head);
    mg_buf_consume(&p->unread, v == MG_H1_HEAD ? used : p->unread.n);
    if (v == MG_H1_HEAD) {
        ask(p, out);
    }
    return v != MG_H1_BAD;
}

static bool take_body(mg_h2_peer *p) {
    mg_body_verdict v;
    size_t at = 0;
    do {
        size_t used;
        mg_str piece;
        v = mg_body_read(&p->body, p->unread.p + at, p->unread.n - at, &used, &piece);
        at += used;
        if (v == MG_BODY_PIECE) {
            mg_buf_append_str(&p->content, piece);
        }
    } while (v == MG_BODY_PIECE);
    mg_buf_consume(&p->unread, at);
    p->whole = mg_body_complete(&p->body);
    return v != MG_BODY_BAD;
}

static bool go_on(mg_h2_peer *p, mg_buf *out) {
    bool good = true;
    if (p->tunnel) {
        mg_buf_append_str(&p->content, mg_buf_str(&p->unread));
        mg_buf_clear(&p->unread);
    } else {
        if (p->unread.n > 0 && !p->asked) {
            good = take_head(p, out);
        }
        if (good && p->unread.n > 0 && p->asked && !p->whole) {
            good = take_body(p);
        }
    }
    send_content(p, out);
    return good;
}

bool mg_h2_peer_send(mg_h2_peer *p, mg_str bytes, mg_buf *out) {
    mg_buf_append_str(&p->unread, bytes);
    return go_on(p, out);
}

bool mg_h2_peer_fin(mg_h2_peer *p, mg_buf *out) {
    p->fin = true;
    if (p->tunnel) {
        send_content(p, out);
    }
    return p->tunnel;
}

// --- answers ---

static void write_head(mg_h2_peer *p, const mg_h2_event *e, mg_buf *in) {
    bool bodyless = mg_status_is_bodyless(e->status) || p->head.method == MG_METHOD_HEAD;
    const mg_field *length = mg_fields_find(&e->head.fields, MG_FIELD_CONTENT_LENGTH);
    uint64_t bytes = 0;
    bool known = length != NULL && mg_str_to_u64(length->value, UINT64_MAX, &bytes);
    mg_fields fields = without_framing(&p->arena, &e->head.fields);
    p->tunnel = p->stream.tunnel && e->status / 100 == 2;
    if (p->tunnel && p->switches) {
        (void)mg_fields_add_id(&fields, MG_FIELD_CONNECTION, MG_STR("upgrade"));
        (void)mg_fields_add_id(&fields, MG_FIELD_UPGRADE,
                               mg_fields_find(&p->head.fields, MG_FIELD_UPGRADE)->value);
    }
    p->chunked = !known && !bodyless && !p->tunnel;
    const mg_answer_head head = {
        .status = p->tunnel && p->switches ? 101 : e->status,
        .kind = known        ? MG_LENGTH_KNOWN
                : p->chunked ? MG_LENGTH_CHUNKED
                             : MG_LENGTH_NONE,
        .length = bytes,
        .fields = &fields,
    };
    mg_h1_write_head(in, &head);
}

static void take_piece(mg_h2_peer *p, mg_str piece, mg_buf *in, mg_buf *out) {
    if (piece.n > 0 && p->chunked) {
        mg_h1_write_chunk(in, piece.p, piece.n);
    } else {
        mg_buf_append_str(in, piece);
    }
    mg_h2_taken(&p->h2, &p->stream, out, piece.n);
}

// The answer is complete: what waits behind it is the next request.
static bool end(mg_h2_peer *p, const mg_fields *trailers, mg_buf *in, mg_buf *out) {
    if (p->chunked) {
        mg_h1_write_last_chunk(in, trailers);
    }
    if (p->tunnel) {
        return false;
    }
    if (!mg_h2_is_closed(&p->stream)) {
        mg_h2_send_reset(&p->h2, &p->stream, out, MG_H2_NO_ERROR);
    }
    begin(p);
    return go_on(p, out);
}

// False: for the spec that was the connection's end.
static bool handle(mg_h2_peer *p, mg_h2_event_kind kind, const mg_h2_event *e, mg_buf *in,
                   mg_buf *out) {
    switch (kind) {
    case MG_H2_HEAD:
        if (e->status < 200) {
            mg_h1_write_interim(in, e->status, &e->head.fields);
        } else {
            write_head(p, e, in);
            (void)go_on(p, out);
        }
        return !e->end || end(p, NULL, in, out);
    case MG_H2_DATA:
        take_piece(p, e->piece, in, out);
        return !e->end || end(p, NULL, in, out);
    case MG_H2_TRAILERS:
        return end(p, &e->trailers, in, out);
    case MG_H2_RESET:
        // Behind a whole answer nothing is lost by it.
        return !p->asked;
    case MG_H2_CLOSED:
        return false;
    default:
        send_content(p, out);
        return true;
    }
}

bool mg_h2_peer_receive(mg_h2_peer *p, mg_str bytes, mg_buf *in, mg_buf *out) {
    mg_h2_event_kind kind;
    size_t at = 0;
    bool goes_on = true;
    do {
        mg_h2_event e;
        size_t used = 0;
        kind = mg_h2_read(&p->h2, bytes.p + at, bytes.n - at, 0, &used, out, &e);
        at += used;
        goes_on = handle(p, kind, &e, in, out);
    } while (goes_on && kind != MG_H2_MORE);
    mg_h2_drained(&p->h2);
    return goes_on;
}
