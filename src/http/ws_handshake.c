#include "http/ws_handshake.h"

#include "base/codec.h"
#include "base/crypto.h"

#define GUID    "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define VERSION "13"

// What both sides of ours say: neither keeps its window from one message to the next.
#define NO_TAKEOVER "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

bool mg_ws_accept(mg_str key, char out[MG_WS_ACCEPT_TEXT]) {
    mg_buf text = {0};
    unsigned char digest[MG_DIGEST_MAX];
    mg_buf_append_str(&text, key);
    mg_buf_append_str(&text, MG_STR(GUID));
    size_t n = mg_digest(MG_SHA1, mg_buf_str(&text), digest);
    mg_buf_clear(&text);
    mg_base64_encode(&text, (mg_str){(const char *)digest, n}, 0);
    bool ok = text.n == MG_WS_ACCEPT_TEXT;
    if (ok) {
        memcpy(out, text.p, MG_WS_ACCEPT_TEXT);
    }
    mg_buf_deinit(&text);
    return ok;
}

// --- permessage-deflate ---

// What one offer, or one answer, says of permessage-deflate (RFC 7692 section 7.1).
typedef struct deflate_terms {
    bool server_alone, client_alone; // ..._no_context_takeover
    bool server_bits_said, client_bits_said;
    unsigned server_bits, client_bits; // 0: without a value
    bool strange;                      // a parameter twice, unknown, or with a value it cannot have
} deflate_terms;

// Takes `;`-separated parts off the front, each NAME or NAME=VALUE with a token or a quoted token
// (RFC 6455 section 9.1). False: there is none, or it is malformed; then `rest` is not empty.
static bool next_part(mg_str *rest, mg_str *name, mg_str *value) {
    mg_str s = mg_str_trim(*rest);
    *value = (mg_str){NULL, 0};
    if (!mg_str_take_token(&s, name)) {
        return false;
    }
    s = mg_str_trim(s);
    if (s.n > 0 && s.p[0] == '=') {
        mg_str_skip(&s, 1);
        s = mg_str_trim(s);
        bool quoted = s.n > 0 && s.p[0] == '"';
        mg_str_skip(&s, quoted);
        if (!mg_str_take_token(&s, value) || (quoted && (s.n == 0 || s.p[0] != '"'))) {
            return false;
        }
        mg_str_skip(&s, quoted);
        s = mg_str_trim(s);
    }
    if (s.n == 0) {
        *rest = s;
        return true;
    }
    if (s.p[0] != ';' || s.n == 1) {
        return false;
    }
    mg_str_skip(&s, 1);
    *rest = s;
    return true;
}

static void note_flag(bool *flag, mg_str value, deflate_terms *t) {
    t->strange = t->strange || *flag || value.n > 0;
    *flag = true;
}

// 8 to 15 without leading zeros.
static void note_bits(bool *said, unsigned *bits, mg_str value, deflate_terms *t) {
    uint64_t v = 0;
    bool is_number = mg_str_to_u64(value, 15, &v) && v >= 8 && value.p[0] != '0';
    t->strange = t->strange || *said || (value.n > 0 && !is_number);
    *said = true;
    *bits = (unsigned)v;
}

static void note_parameter(mg_str name, mg_str value, deflate_terms *t) {
    if (mg_str_ieq(name, MG_STR("server_no_context_takeover"))) {
        note_flag(&t->server_alone, value, t);
    } else if (mg_str_ieq(name, MG_STR("client_no_context_takeover"))) {
        note_flag(&t->client_alone, value, t);
    } else if (mg_str_ieq(name, MG_STR("server_max_window_bits"))) {
        note_bits(&t->server_bits_said, &t->server_bits, value, t);
        t->strange = t->strange || value.n == 0;
    } else if (mg_str_ieq(name, MG_STR("client_max_window_bits"))) {
        note_bits(&t->client_bits_said, &t->client_bits, value, t);
    } else {
        t->strange = true;
    }
}

typedef enum item_kind { ITEM_MALFORMED, ITEM_OTHER, ITEM_DEFLATE } item_kind;

static item_kind read_extension(mg_str item, deflate_terms *t) {
    mg_str name, value;
    *t = (deflate_terms){0};
    if (!next_part(&item, &name, &value) || value.n > 0) {
        return ITEM_MALFORMED;
    }
    bool is_deflate = mg_str_ieq(name, MG_STR("permessage-deflate"));
    while (item.n > 0) {
        if (!next_part(&item, &name, &value)) {
            return ITEM_MALFORMED;
        }
        note_parameter(name, value, t);
    }
    return is_deflate ? ITEM_DEFLATE : ITEM_OTHER;
}

static void agree_on_deflate(const deflate_terms *t, mg_ws_verdict *out) {
#define SAYING(bits) [bits] = NO_TAKEOVER "; server_max_window_bits=" #bits
    static const char *const saying[] = {SAYING(8),  SAYING(9),  SAYING(10), SAYING(11),
                                         SAYING(12), SAYING(13), SAYING(14), SAYING(15)};
#undef SAYING
    out->window_bits = t->server_bits_said ? t->server_bits : MG_WS_WINDOW_BITS;
    out->extensions = mg_str_of(t->server_bits_said ? saying[t->server_bits] : NO_TAKEOVER);
}

// The first offer that can be understood. False: the field is malformed.
static bool choose_deflate(const mg_fields *request, mg_ws_verdict *out) {
    const mg_field *f = NULL;
    while ((f = mg_fields_next(request, f, MG_FIELD_SEC_WEBSOCKET_EXTENSIONS)) != NULL) {
        mg_str rest = f->value, item;
        while (mg_str_next_item(&rest, &item)) {
            deflate_terms t;
            item_kind kind = read_extension(item, &t);
            if (kind == ITEM_MALFORMED) {
                return false;
            }
            if (kind == ITEM_DEFLATE && !t.strange && out->window_bits == 0) {
                agree_on_deflate(&t, out);
            }
        }
    }
    return true;
}

// --- server ---

static void refuse(mg_ws_verdict *v, unsigned status, const char *why) {
    *v = (mg_ws_verdict){.status = status, .why = why};
}

static const mg_field *only_one(const mg_fields *l, mg_field_id id) {
    const mg_field *f = mg_fields_find(l, id);
    return f != NULL && mg_fields_next(l, f, id) == NULL ? f : NULL;
}

// base64 of 16 bytes. The unused bits of its last digit may be anything: those of the RFC's own
// example are not zero.
static bool is_key(mg_str key) {
    if (key.n != MG_WS_KEY_TEXT || !mg_str_ends(key, MG_STR("=="))) {
        return false;
    }
    for (size_t i = 0; i < key.n - 2; i++) {
        char c = key.p[i];
        bool is_digit = (c >= '0' && c <= '9') || (mg_lower(c) >= 'a' && mg_lower(c) <= 'z') ||
                        c == '+' || c == '/';
        if (!is_digit) {
            return false;
        }
    }
    return true;
}

// The list's own copy of a text; {NULL, 0}: it has none.
static mg_str find_text(const mg_texts *list, mg_str text) {
    for (size_t i = 0; i < list->n; i++) {
        if (mg_str_eq(mg_str_of(list->items[i]), text)) {
            return mg_str_of(list->items[i]);
        }
    }
    return (mg_str){NULL, 0};
}

// False: the field is malformed.
static bool choose_protocol(const mg_fields *request, const mg_texts *spoken, mg_str *chosen) {
    const mg_field *f = NULL;
    while ((f = mg_fields_next(request, f, MG_FIELD_SEC_WEBSOCKET_PROTOCOL)) != NULL) {
        mg_str rest = f->value, item;
        while (mg_str_next_item(&rest, &item)) {
            if (!mg_str_is_token(item)) {
                return false;
            }
            *chosen = chosen->n > 0 ? *chosen : find_text(spoken, item);
        }
    }
    return true;
}

// How the request asks for a WebSocket, by which version. 0: well.
static void judge_wish(const mg_fields *request, bool by_connect, mg_ws_verdict *out) {
    const mg_field *v = only_one(request, MG_FIELD_SEC_WEBSOCKET_VERSION);
    if (!by_connect && (!mg_fields_has_member(request, MG_FIELD_UPGRADE, MG_STR("websocket")) ||
                        !mg_fields_has_member(request, MG_FIELD_CONNECTION, MG_STR("upgrade")))) {
        refuse(out, 426, "a WebSocket is here: a request with Upgrade: websocket is wanted");
    } else if (v == NULL) {
        refuse(out, 400, "one Sec-WebSocket-Version is wanted");
    } else if (!mg_str_eq(v->value, MG_STR(VERSION))) {
        refuse(out, 426, "Sec-WebSocket-Version: " VERSION " is spoken here");
    }
}

static void judge_key(const mg_fields *request, mg_ws_verdict *out) {
    const mg_field *key = only_one(request, MG_FIELD_SEC_WEBSOCKET_KEY);
    if (key == NULL || !is_key(key->value)) {
        refuse(out, 400, "one Sec-WebSocket-Key is wanted: 16 bytes in base64");
    } else if (!mg_ws_accept(key->value, out->accept)) {
        refuse(out, 500, "this machine's OpenSSL refuses SHA-1, which WebSocket needs");
    }
}

void mg_ws_judge(const mg_fields *request, bool by_connect, const mg_ws_terms *terms,
                 mg_ws_verdict *out) {
    *out = (mg_ws_verdict){0};
    judge_wish(request, by_connect, out);
    if (out->status == 0 && !by_connect) {
        judge_key(request, out);
    }
    if (out->status != 0) {
        return;
    }
    if (!choose_protocol(request, &terms->protocols, &out->protocol)) {
        refuse(out, 400, "Sec-WebSocket-Protocol is malformed: tokens and commas are wanted");
    } else if (terms->deflate && !choose_deflate(request, out)) {
        refuse(out, 400, "Sec-WebSocket-Extensions is malformed");
    }
}

// --- client ---

void mg_ws_key(const uint8_t random[MG_WS_KEY_BYTES], char out[MG_WS_KEY_TEXT]) {
    mg_buf text = {0};
    mg_base64_encode(&text, (mg_str){(const char *)random, MG_WS_KEY_BYTES}, 0);
    memcpy(out, text.p, MG_WS_KEY_TEXT);
    mg_buf_deinit(&text);
}

static int add_protocols(const mg_texts *protocols, mg_fields *out) {
    mg_buf list = {0};
    for (size_t i = 0; i < protocols->n; i++) {
        mg_str name = mg_str_of(protocols->items[i]);
        if (!mg_str_is_token(name)) {
            mg_buf_deinit(&list);
            return MG_ESYNTAX;
        }
        mg_buf_append_str(&list, i > 0 ? MG_STR(", ") : MG_STR(""));
        mg_buf_append_str(&list, name);
    }
    mg_str value = {mg_arena_copy(out->arena, mg_buf_str(&list)), list.n};
    mg_buf_deinit(&list);
    return mg_fields_add_id(out, MG_FIELD_SEC_WEBSOCKET_PROTOCOL, value);
}

int mg_ws_ask(const mg_ws_offer *offer, mg_fields *out) {
    int rc = MG_OK;
    if (offer->key.n > 0) {
        rc = mg_fields_add_id(out, MG_FIELD_SEC_WEBSOCKET_KEY, offer->key);
    }
    rc = rc != MG_OK ? rc : mg_fields_add_id(out, MG_FIELD_SEC_WEBSOCKET_VERSION, MG_STR(VERSION));
    if (rc == MG_OK && offer->protocols.n > 0) {
        rc = add_protocols(&offer->protocols, out);
    }
    if (rc == MG_OK && offer->deflate) {
        rc = mg_fields_add_id(out, MG_FIELD_SEC_WEBSOCKET_EXTENSIONS, MG_STR(NO_TAKEOVER));
    }
    return rc;
}

static const char *check_upgrade(const mg_fields *answer, mg_str key) {
    if (!mg_fields_has_member(answer, MG_FIELD_UPGRADE, MG_STR("websocket")) ||
        !mg_fields_has_member(answer, MG_FIELD_CONNECTION, MG_STR("upgrade"))) {
        return "the server did not switch to websocket";
    }
    char want[MG_WS_ACCEPT_TEXT];
    if (!mg_ws_accept(key, want)) {
        return "this machine's OpenSSL refuses SHA-1, which WebSocket needs";
    }
    const mg_field *accept = only_one(answer, MG_FIELD_SEC_WEBSOCKET_ACCEPT);
    return accept != NULL && mg_str_eq(accept->value, (mg_str){want, sizeof want})
               ? NULL
               : "the server's Sec-WebSocket-Accept does not fit the key";
}

static const char *check_protocol(const mg_fields *answer, const mg_texts *offered, mg_str *out) {
    const mg_field *f = mg_fields_find(answer, MG_FIELD_SEC_WEBSOCKET_PROTOCOL);
    if (f == NULL) {
        return offered->n == 0 ? NULL : "the server speaks none of the protocols offered";
    }
    *out = find_text(offered, f->value);
    return out->n > 0 && only_one(answer, f->id) != NULL
               ? NULL
               : "the server chose a protocol that was not offered";
}

// What the server may say of permessage-deflate: that it, as was asked, keeps no window; of its own
// one what it likes; nothing of ours, beyond what we do anyway.
static const char *check_extensions(const mg_fields *answer, const mg_ws_offer *offer,
                                    bool *deflate) {
    const mg_field *f = NULL;
    while ((f = mg_fields_next(answer, f, MG_FIELD_SEC_WEBSOCKET_EXTENSIONS)) != NULL) {
        mg_str rest = f->value, item;
        while (mg_str_next_item(&rest, &item)) {
            deflate_terms t;
            if (read_extension(item, &t) != ITEM_DEFLATE || !offer->deflate || *deflate) {
                return "the server chose an extension that was not offered";
            }
            if (t.strange || !t.server_alone || t.client_bits_said) {
                return "the server changed the terms of permessage-deflate";
            }
            *deflate = true;
        }
    }
    return NULL;
}

const char *mg_ws_check(const mg_fields *answer, const mg_ws_offer *offer, mg_ws_answer *out) {
    *out = (mg_ws_answer){0};
    const char *why = offer->key.n > 0 ? check_upgrade(answer, offer->key) : NULL;
    if (why == NULL) {
        why = check_protocol(answer, &offer->protocols, &out->protocol);
    }
    return why != NULL ? why : check_extensions(answer, offer, &out->deflate);
}
