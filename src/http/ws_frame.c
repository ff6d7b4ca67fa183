#include "http/ws_frame.h"

#include "base/utf8.h"
#include "http/ws_deflate.h"

#include <assert.h>

enum {
    FINAL = 0x80,
    RESERVED = 0x70,
    COMPRESSED = 0x40, // RSV1, of RFC 7692
    OPCODE = 0x0f,
    CONTROL = 0x08,
    MASKED = 0x80,
    LENGTH = 0x7f,
    LENGTH_16 = 126, // the length follows in 16 bits
    LENGTH_64 = 127,
    MASK_BYTES = 4,
};

bool mg_ws_code_is_sent(unsigned code) {
    return (code >= 1000 && code <= 1014 && code != 1004 && code != MG_WS_NO_CODE &&
            code != MG_WS_ABNORMAL) ||
           (code >= 3000 && code <= 4999);
}

// --- masks ---

// `at` bytes of the mask were used before. `to` may be `from`.
static void mask_bytes(char *to, const char *from, size_t n, const uint8_t *mask, unsigned at) {
    uint8_t turned[8];
    for (unsigned i = 0; i < sizeof turned; i++) {
        turned[i] = mask[(at + i) % MASK_BYTES];
    }
    uint64_t wide;
    memcpy(&wide, turned, sizeof wide);
    size_t i = 0;
    for (; i + sizeof wide <= n; i += sizeof wide) {
        uint64_t word;
        memcpy(&word, from + i, sizeof word);
        word ^= wide;
        memcpy(to + i, &word, sizeof word);
    }
    for (; i < n; i++) {
        to[i] = (char)(from[i] ^ turned[i % sizeof turned]);
    }
}

// --- the head of a frame ---

static unsigned head_bytes(const uint8_t *head) {
    unsigned length = head[1] & LENGTH;
    return 2u +
           (length == LENGTH_16   ? 2
            : length == LENGTH_64 ? 8
                                  : 0) +
           (head[1] & MASKED ? MASK_BYTES : 0);
}

static uint64_t length_of(const uint8_t *head) {
    unsigned length = head[1] & LENGTH;
    if (length < LENGTH_16) {
        return length;
    }
    uint64_t v = 0;
    for (unsigned i = 0; i < (length == LENGTH_16 ? 2u : 8u); i++) {
        v = v << 8 | head[2 + i];
    }
    return v;
}

// The shortest form is the only one (RFC 6455 section 5.2), and the highest bit is not used.
static bool length_fits_its_form(const uint8_t *head) {
    uint64_t length = length_of(head);
    switch (head[1] & LENGTH) {
    case LENGTH_16:
        return length >= LENGTH_16;
    case LENGTH_64:
        return length > UINT16_MAX && length <= INT64_MAX;
    default:
        return true;
    }
}

static const char *judge_control(const uint8_t *head) {
    if (!(head[0] & FINAL)) {
        return "a control frame in pieces";
    }
    if ((head[1] & LENGTH) > MG_WS_CONTROL_MAX) {
        return "a control frame longer than 125 bytes";
    }
    return (head[0] & OPCODE) > MG_WS_PONG ? "an unknown opcode" : NULL;
}

static const char *judge_data(const mg_ws_reader *r) {
    unsigned opcode = r->head[0] & OPCODE;
    if (opcode > MG_WS_BINARY) {
        return "an unknown opcode";
    }
    if (opcode == MG_WS_CONTINUATION && r->kind == 0) {
        return "a continuation of no message";
    }
    if (opcode != MG_WS_CONTINUATION && r->kind != 0) {
        return "a message amid another one";
    }
    return NULL;
}

// NULL: nothing is wrong.
static const char *judge_head(const mg_ws_reader *r, const mg_ws_rules *rules) {
    const uint8_t *head = r->head;
    unsigned opcode = head[0] & OPCODE;
    bool may_be_compressed =
        rules->deflate != NULL && (opcode == MG_WS_TEXT || opcode == MG_WS_BINARY);
    if (head[0] & (may_be_compressed ? RESERVED & ~COMPRESSED : RESERVED)) {
        return "a reserved bit is set";
    }
    if (((head[1] & MASKED) != 0) != rules->masked) {
        return rules->masked ? "a client's frame without a mask" : "a server's frame with a mask";
    }
    return opcode & CONTROL ? judge_control(head) : judge_data(r);
}

// False: more bytes are needed.
static bool fill_head(mg_ws_reader *r, unsigned need, mg_str *input) {
    while (r->head_n < need && input->n > 0) {
        r->head[r->head_n++] = (uint8_t)*input->p;
        mg_str_skip(input, 1);
    }
    return r->head_n == need;
}

// The first two bytes are judged as soon as they are there. False: more bytes are needed.
static bool take_head(mg_ws_reader *r, const mg_ws_rules *rules, mg_str *input, const char **why) {
    if (r->head_n < 2) {
        if (!fill_head(r, 2, input)) {
            return false;
        }
        *why = judge_head(r, rules);
    }
    return *why != NULL || fill_head(r, head_bytes(r->head), input);
}

// How much of a message may come over the wire. The worst that compression does is a code of nine
// bits for every byte (RFC 1951 section 3.2.6).
static uint64_t wire_limit(const mg_ws_reader *r, const mg_ws_rules *rules) {
    uint64_t most = rules->max_message;
    return r->compressed ? most + most / 8 + 64 : most;
}

// --- events ---

static mg_ws_event fault(mg_ws_reader *r, unsigned code, const char *why) {
    mg_ws_reader_deinit(r);
    r->ended = true;
    return (mg_ws_event){.kind = MG_WS_EVENT_FAULT, .code = code, .content = mg_str_of(why)};
}

static const mg_ws_event nothing = {.kind = MG_WS_EVENT_NONE};

static mg_ws_event begin_frame(mg_ws_reader *r, const mg_ws_rules *rules) {
    if (!length_fits_its_form(r->head)) {
        return fault(r, MG_WS_PROTOCOL_ERROR, "a length in a longer form");
    }
    unsigned opcode = r->head[0] & OPCODE;
    if (opcode == MG_WS_TEXT || opcode == MG_WS_BINARY) {
        r->kind = (uint8_t)opcode;
        r->compressed = (r->head[0] & COMPRESSED) != 0;
    }
    r->left = length_of(r->head);
    uint64_t most = wire_limit(r, rules); // may have become less amid the message
    bool fits = r->message_n <= most && r->left <= most - r->message_n;
    if (!(opcode & CONTROL) && !fits) {
        return fault(r, MG_WS_TOO_LARGE, "the message is too large");
    }
    r->in_frame = true;
    r->mask_at = 0;
    r->frames++;
    return nothing;
}

static void take_content(mg_ws_reader *r, mg_str *input) {
    size_t n = r->left < input->n ? (size_t)r->left : input->n;
    if (n == 0) {
        return;
    }
    char *to = mg_buf_reserve(&r->content, n);
    if (r->head[1] & MASKED) {
        mask_bytes(to, input->p, n, r->head + r->head_n - MASK_BYTES, r->mask_at);
        r->mask_at = (uint8_t)((r->mask_at + n) % MASK_BYTES);
    } else {
        memcpy(to, input->p, n);
    }
    r->content.n += n;
    r->left -= n;
    mg_str_skip(input, n);
}

static mg_str behind(const mg_buf *b, size_t at) {
    return at < b->n ? (mg_str){b->p + at, b->n - at} : (mg_str){NULL, 0};
}

// False: it can never become text.
static bool check_text(mg_ws_reader *r) {
    bool broken;
    r->checked_n += mg_utf8_whole(behind(&r->content, r->checked_n), &broken);
    return !broken;
}

static mg_ws_event end_control(mg_ws_reader *r) {
    mg_str content = behind(&r->content, r->message_n);
    unsigned opcode = r->head[0] & OPCODE;
    r->given = true;
    if (opcode != MG_WS_CLOSE) {
        return (mg_ws_event){.kind = opcode == MG_WS_PING ? MG_WS_EVENT_PING : MG_WS_EVENT_PONG,
                             .opcode = opcode,
                             .content = content};
    }
    mg_ws_event ev = {.kind = MG_WS_EVENT_CLOSE, .opcode = opcode, .code = MG_WS_NO_CODE};
    if (content.n == 1) {
        return fault(r, MG_WS_PROTOCOL_ERROR, "half a close code");
    }
    if (content.n >= 2) {
        ev.code = (unsigned)((uint8_t)content.p[0] << 8 | (uint8_t)content.p[1]);
        ev.content = (mg_str){content.p + 2, content.n - 2};
    }
    if (content.n >= 2 && !mg_ws_code_is_sent(ev.code)) {
        return fault(r, MG_WS_PROTOCOL_ERROR, "a close code that is never sent");
    }
    if (!mg_utf8_valid(ev.content)) {
        return fault(r, MG_WS_BAD_CONTENT, "a close reason that is not UTF-8");
    }
    r->ended = true;
    return ev;
}

// Puts the plain message in the place of the compressed one.
static int decompress(mg_ws_reader *r, const mg_ws_rules *rules) {
    mg_buf plain = {0};
    int rc = mg_ws_decompress(rules->deflate, mg_buf_str(&r->content), &plain, rules->max_message);
    mg_buf_deinit(&r->content);
    r->content = plain;
    return rc;
}

static mg_ws_event end_message(mg_ws_reader *r, const mg_ws_rules *rules) {
    if (r->compressed) {
        int rc = decompress(r, rules);
        if (rc != MG_OK) {
            return rc == MG_ELIMIT ? fault(r, MG_WS_TOO_LARGE, "the message is too large")
                                   : fault(r, MG_WS_BAD_CONTENT, "compressed data that is broken");
        }
        (void)(r->kind == MG_WS_TEXT && check_text(r));
    }
    if (r->kind == MG_WS_TEXT && r->checked_n < r->content.n) {
        return fault(r, MG_WS_BAD_CONTENT, "text that is not UTF-8");
    }
    mg_ws_event ev = {
        .kind = MG_WS_EVENT_MESSAGE, .opcode = r->kind, .content = mg_buf_str(&r->content)};
    r->given = true;
    r->kind = 0;
    r->message_n = r->checked_n = 0;
    return ev;
}

// What has come of a data frame is looked at as it comes: broken text ends the connection before
// its message is complete.
static mg_ws_event go_on_with_message(mg_ws_reader *r, const mg_ws_rules *rules) {
    r->message_n = r->content.n;
    if (r->kind == MG_WS_TEXT && !r->compressed && !check_text(r)) {
        return fault(r, MG_WS_BAD_CONTENT, "text that is not UTF-8");
    }
    return r->left == 0 && r->head[0] & FINAL ? end_message(r, rules) : nothing;
}

static mg_ws_event read_frame(mg_ws_reader *r, const mg_ws_rules *rules, mg_str *input) {
    take_content(r, input);
    bool is_control = r->head[0] & CONTROL;
    if (r->left == 0) {
        r->in_frame = false;
        r->head_n = 0; // its bytes stay until the next one
    }
    if (is_control) {
        return r->left == 0 ? end_control(r) : nothing;
    }
    return go_on_with_message(r, rules);
}

static void take_back(mg_ws_reader *r) {
    if (r->given) {
        r->content.n = r->message_n;
        r->given = false;
    }
}

mg_ws_event mg_ws_read(mg_ws_reader *r, const mg_ws_rules *rules, mg_str *input) {
    take_back(r);
    mg_ws_event ev = nothing;
    while (!r->ended && ev.kind == MG_WS_EVENT_NONE) {
        if (!r->in_frame) {
            const char *why = NULL;
            if (!take_head(r, rules, input, &why)) {
                break;
            }
            ev = why != NULL ? fault(r, MG_WS_PROTOCOL_ERROR, why) : begin_frame(r, rules);
        }
        if (r->in_frame) {
            if (r->left > 0 && input->n == 0) {
                break;
            }
            ev = read_frame(r, rules, input);
        }
    }
    if (r->ended) {
        *input = (mg_str){NULL, 0};
    }
    if (ev.kind == MG_WS_EVENT_NONE) {
        mg_ws_reader_let_go(r);
    }
    return ev;
}

void mg_ws_reader_let_go(mg_ws_reader *r) {
    take_back(r);
    if (r->content.n == 0) {
        mg_buf_deinit(&r->content);
    }
}

bool mg_ws_reader_is_amid(const mg_ws_reader *r) {
    return r->kind != 0 || r->head_n > 0;
}

void mg_ws_reader_deinit(mg_ws_reader *r) {
    mg_buf_deinit(&r->content);
}

// --- writing ---

size_t mg_ws_write_head(char *out, const mg_ws_frame *frame, uint64_t length) {
    assert(!(frame->opcode & CONTROL) || length <= MG_WS_CONTROL_MAX);
    unsigned masked = frame->mask != NULL ? MASKED : 0;
    size_t n = 2;
    out[0] =
        (char)(frame->opcode | (frame->more ? 0 : FINAL) | (frame->compressed ? COMPRESSED : 0));
    if (length < LENGTH_16) {
        out[1] = (char)(masked | length);
    } else {
        unsigned bytes = length <= UINT16_MAX ? 2 : 8;
        out[1] = (char)(masked | (bytes == 2 ? LENGTH_16 : LENGTH_64));
        for (; bytes > 0; bytes--) {
            out[n++] = (char)(length >> 8 * (bytes - 1));
        }
    }
    if (frame->mask != NULL) {
        memcpy(out + n, frame->mask, MASK_BYTES);
        n += MASK_BYTES;
    }
    return n;
}

size_t mg_ws_write_to(char *out, const mg_ws_frame *frame, mg_str content) {
    size_t n = mg_ws_write_head(out, frame, content.n);
    if (frame->mask != NULL) {
        mask_bytes(out + n, content.p, content.n, frame->mask, 0);
    } else if (content.n > 0) {
        memcpy(out + n, content.p, content.n);
    }
    return n + content.n;
}

void mg_ws_write(mg_buf *out, const mg_ws_frame *frame, mg_str content) {
    out->n += mg_ws_write_to(mg_buf_reserve(out, MG_WS_HEAD_MAX + content.n), frame, content);
}

void mg_ws_write_close(mg_buf *out, unsigned code, mg_str reason, const uint8_t *mask) {
    char content[MG_WS_CONTROL_MAX];
    mg_ws_frame frame = {.opcode = MG_WS_CLOSE, .mask = mask};
    if (code == MG_WS_NO_CODE) {
        mg_ws_write(out, &frame, (mg_str){NULL, 0});
        return;
    }
    size_t n = reason.n;
    if (n > MG_WS_REASON_MAX) {
        n = MG_WS_REASON_MAX;
        while (n > 0 && ((uint8_t)reason.p[n] & 0xC0) == 0x80) {
            n--;
        }
    }
    content[0] = (char)(code >> 8);
    content[1] = (char)code;
    if (n > 0) {
        memcpy(content + 2, reason.p, n);
    }
    mg_ws_write(out, &frame, (mg_str){content, 2 + n});
}
