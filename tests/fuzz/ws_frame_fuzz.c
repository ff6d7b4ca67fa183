// Whatever the pieces, the same frames are the same events; memory stays within the limit; what is
// written is read. What libwslay makes of a client's frames is what we make of them, until we find
// a fault: we are stricter (lengths in a longer form, codes of close).
//
// The first byte chooses role, deflate and limit, the second the pieces; the rest is frames. Four
// bytes of each mask are taken as they come.
#include "base/buf.h"
#include "fuzz.h"
#include "http/ws_deflate.h"
#include "http/ws_frame.h"

#include <wslay/wslay.h>

static void note(mg_buf *log, unsigned opcode, unsigned code, mg_str content) {
    mg_buf_printf(log, "%u %u %zu ", opcode, code, content.n);
    mg_buf_append_str(log, content);
}

// --- ours ---

typedef struct result {
    mg_buf log;
    mg_ws_event_kind last;
    unsigned fault;
    bool amid; // a frame or a message, at the end
} result;

static void take(result *r, const mg_ws_event *ev) {
    must(r->last != MG_WS_EVENT_FAULT && r->last != MG_WS_EVENT_CLOSE);
    r->last = ev->kind;
    if (ev->kind == MG_WS_EVENT_FAULT) {
        must(mg_ws_code_is_sent(ev->code) && ev->content.n > 0);
        r->fault = ev->code;
    } else {
        note(&r->log, ev->opcode, ev->code, ev->content);
    }
}

static void read_piece(mg_ws_reader *reader, const mg_ws_rules *rules, mg_str piece, result *r) {
    char *copy = malloc(piece.n); // so that a read beyond the piece is seen
    must(copy != NULL);
    memcpy(copy, piece.p, piece.n);
    mg_str input = {copy, piece.n};
    mg_ws_event ev;
    while ((ev = mg_ws_read(reader, rules, &input)).kind != MG_WS_EVENT_NONE) {
        must(ev.kind != MG_WS_EVENT_MESSAGE || ev.content.n <= rules->max_message);
        must(ev.kind == MG_WS_EVENT_MESSAGE || ev.content.n <= MG_WS_CONTROL_MAX);
        take(r, &ev);
    }
    must(input.n == 0);
    must(mg_ws_reader_is_amid(reader) || reader->ended || reader->content.p == NULL);
    must(reader->content.cap <= 1024 + 4 * rules->max_message);
    free(copy);
}

// `seed` 0: in one piece.
static result read_all(const mg_ws_rules *rules, mg_str input, unsigned seed) {
    result r = {.last = MG_WS_EVENT_NONE};
    mg_ws_reader reader = {0};
    while (input.n > 0) {
        unsigned draw = seed * 1103515245u + 12345u;
        size_t n = seed == 0 ? input.n : 1 + (draw >> 16) % 7;
        seed = seed == 0 ? 0 : draw | 1;
        n = n < input.n ? n : input.n;
        read_piece(&reader, rules, (mg_str){input.p, n}, &r);
        mg_str_skip(&input, n);
    }
    r.amid = mg_ws_reader_is_amid(&reader);
    mg_ws_reader_deinit(&reader);
    return r;
}

static void whole_and_split(const mg_ws_rules *rules, mg_str input, unsigned seed) {
    result whole = read_all(rules, input, 0), split = read_all(rules, input, seed);
    must(whole.last == split.last && whole.fault == split.fault);
    must(mg_str_eq(mg_buf_str(&whole.log), mg_buf_str(&split.log)));
    mg_buf_deinit(&whole.log);
    mg_buf_deinit(&split.log);
}

// --- the other one ---

typedef struct theirs {
    mg_str input;
    mg_buf log;
} theirs;

static ssize_t give(wslay_event_context_ptr ctx, uint8_t *buf, size_t n, int flags, void *arg) {
    (void)flags;
    theirs *t = arg;
    if (t->input.n == 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    n = n < t->input.n ? n : t->input.n;
    memcpy(buf, t->input.p, n);
    mg_str_skip(&t->input, n);
    return (ssize_t)n;
}

static ssize_t swallow(wslay_event_context_ptr ctx, const uint8_t *data, size_t n, int flags,
                       void *arg) {
    (void)ctx;
    (void)data;
    (void)flags;
    (void)arg;
    return (ssize_t)n;
}

static void on_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *arg,
                       void *user) {
    (void)ctx;
    theirs *t = user;
    mg_str content = {(const char *)arg->msg, arg->msg_length};
    unsigned code = 0;
    if (arg->opcode == WSLAY_CONNECTION_CLOSE) {
        code = content.n == 0 ? MG_WS_NO_CODE : arg->status_code;
        mg_str_skip(&content, content.n < 2 ? content.n : 2);
    }
    note(&t->log, arg->opcode, code, content);
}

static void compare_with_wslay(const mg_ws_rules *rules, mg_str input) {
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = give, .send_callback = swallow, .on_msg_recv_callback = on_message};
    theirs t = {.input = input};
    wslay_event_context_ptr ctx;
    must(wslay_event_context_server_init(&ctx, &callbacks, &t) == 0);
    wslay_event_config_set_max_recv_msg_length(ctx, rules->max_message);
    int rc = wslay_event_recv(ctx);
    bool refused =
        rc != 0 || (!wslay_event_get_read_enabled(ctx) && !wslay_event_get_close_received(ctx));
    wslay_event_context_free(ctx);

    result ours = read_all(rules, input, 0);
    if (ours.fault == 0) {
        must(!refused || ours.amid); // the reason of a close is looked at when it is whole
        must(mg_str_eq(mg_buf_str(&ours.log), mg_buf_str(&t.log)));
    } else {
        must(mg_str_starts(mg_buf_str(&t.log), mg_buf_str(&ours.log)));
    }
    mg_buf_deinit(&ours.log);
    mg_buf_deinit(&t.log);
}

// --- writing ---

// `data` as a message in two pieces with a ping between them, or compressed in one.
static void write_and_read(mg_ws_deflate *z, mg_str data, bool masked, unsigned cut) {
    static const uint8_t mask[4] = {1, 0x80, 0, 0xff};
    mg_ws_rules rules = {.masked = masked, .max_message = data.n, .deflate = z};
    mg_ws_frame frame = {.opcode = MG_WS_BINARY, .mask = masked ? mask : NULL};
    mg_buf wire = {0}, packed = {0}, want = {0};
    size_t at = data.n == 0 ? 0 : cut % data.n;
    if (z != NULL && mg_ws_compress(z, data, &packed)) {
        frame.compressed = true;
        mg_ws_write(&wire, &frame, mg_buf_str(&packed));
    } else {
        frame.more = true;
        mg_ws_write(&wire, &frame, (mg_str){data.p, at});
        frame = (mg_ws_frame){.opcode = MG_WS_PING, .mask = frame.mask};
        mg_ws_write(&wire, &frame, MG_STR("?"));
        note(&want, MG_WS_PING, 0, MG_STR("?"));
        frame.opcode = MG_WS_CONTINUATION;
        mg_ws_write(&wire, &frame, (mg_str){data.p + at, data.n - at});
    }
    note(&want, MG_WS_BINARY, 0, data);
    result r = read_all(&rules, mg_buf_str(&wire), cut);
    must(r.fault == 0 && mg_str_eq(mg_buf_str(&r.log), mg_buf_str(&want)));
    mg_buf_deinit(&r.log);
    mg_buf_deinit(&wire);
    mg_buf_deinit(&packed);
    mg_buf_deinit(&want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    mg_str input = {(const char *)data + 2, size - 2};
    mg_ws_deflate *z = data[0] & 2 ? mg_ws_deflate_new() : NULL;
    mg_ws_rules rules = {.masked = !(data[0] & 1),
                         .max_message = MG_WS_CONTROL_MAX + (size_t)(data[0] >> 2) * 16,
                         .deflate = z};
    whole_and_split(&rules, input, data[1] | 256u);
    if (rules.masked && z == NULL) {
        compare_with_wslay(&rules, input);
    }
    write_and_read(z, input, rules.masked, data[1] | 256u);
    mg_ws_deflate_free(z);
    return 0;
}
