// A request of any fields gets a verdict that holds: what it agrees on was asked for. What a server
// of ours answers to what a client of ours asks is good. Each line is a field: its first character
// says which, the rest is its value.
#include "base/mem.h"
#include "fuzz.h"
#include "http/ws_handshake.h"

static const char *const spoken[] = {"chat.v2", "chat.v1"};

static mg_field_id id_of(char c) {
    static const mg_field_id ids[] = {
        MG_FIELD_SEC_WEBSOCKET_KEY,
        MG_FIELD_SEC_WEBSOCKET_VERSION,
        MG_FIELD_SEC_WEBSOCKET_PROTOCOL,
        MG_FIELD_SEC_WEBSOCKET_EXTENSIONS,
        MG_FIELD_SEC_WEBSOCKET_ACCEPT,
        MG_FIELD_UPGRADE,
        MG_FIELD_CONNECTION,
    };
    return ids[(uint8_t)c % (sizeof ids / sizeof *ids)];
}

static void read_fields(mg_fields *out, mg_str text) {
    while (text.n > 0) {
        const char *end = memchr(text.p, '\n', text.n);
        size_t n = end != NULL ? (size_t)(end - text.p) : text.n;
        if (n > 0) {
            mg_str value = mg_str_trim((mg_str){text.p + 1, n - 1});
            (void)mg_fields_add_id(out, id_of(text.p[0]), value);
        }
        mg_str_skip(&text, n < text.n ? n + 1 : n);
    }
}

static void judge(const mg_fields *request, bool by_connect, bool deflate) {
    mg_ws_terms terms = {.protocols = {spoken, 2}, .deflate = deflate};
    mg_ws_verdict v;
    mg_ws_judge(request, by_connect, &terms, &v);
    must((v.status == 0) == (v.why == NULL));
    must(v.status == 0 || v.status == 400 || v.status == 426);
    bool agreed = v.window_bits > 0;
    must(v.status == 0 || (v.protocol.n == 0 && !agreed && v.extensions.n == 0));
    must(agreed == (v.extensions.n > 0) && (deflate || !agreed));
    must(v.protocol.n == 0 ||
         mg_fields_has_member(request, MG_FIELD_SEC_WEBSOCKET_PROTOCOL, v.protocol));
    must(!agreed || mg_fields_find(request, MG_FIELD_SEC_WEBSOCKET_EXTENSIONS) != NULL);
}

static void check(const mg_fields *answer, bool deflate) {
    mg_ws_offer offer = {.key = MG_STR("dGhlIHNhbXBsZSBub25jZQ=="), .deflate = deflate};
    mg_ws_answer a;
    const char *why = mg_ws_check(answer, &offer, &a);
    must(why != NULL || (a.protocol.n == 0 && (deflate || !a.deflate)));
}

// Both ends are ours.
static void shake(mg_arena *arena, const uint8_t random[MG_WS_KEY_BYTES], unsigned wishes) {
    char key[MG_WS_KEY_TEXT];
    mg_ws_key(random, key);
    bool by_connect = wishes & 1, deflate = wishes & 2, serves_deflate = wishes & 4;
    mg_ws_offer offer = {.key = {key, by_connect ? 0 : sizeof key},
                         .protocols = {spoken + 1, wishes >> 3 & 1},
                         .deflate = deflate};
    mg_fields request, answer;
    mg_fields_init(&request, arena);
    mg_fields_init(&answer, arena);
    must(mg_ws_ask(&offer, &request) == MG_OK);
    if (!by_connect) {
        mg_fields_add_id(&request, MG_FIELD_UPGRADE, MG_STR("websocket"));
        mg_fields_add_id(&request, MG_FIELD_CONNECTION, MG_STR("upgrade"));
    }
    mg_ws_verdict v;
    mg_ws_judge(&request, by_connect, &(mg_ws_terms){{spoken, 2}, serves_deflate}, &v);
    must(v.status == 0 && (v.window_bits > 0) == (deflate && serves_deflate));
    if (!by_connect) {
        mg_fields_add_id(&answer, MG_FIELD_UPGRADE, MG_STR("websocket"));
        mg_fields_add_id(&answer, MG_FIELD_CONNECTION, MG_STR("upgrade"));
        mg_fields_add_id(&answer, MG_FIELD_SEC_WEBSOCKET_ACCEPT,
                         (mg_str){v.accept, sizeof v.accept});
    }
    if (v.protocol.n > 0) {
        mg_fields_add_id(&answer, MG_FIELD_SEC_WEBSOCKET_PROTOCOL, v.protocol);
    }
    if (v.extensions.n > 0) {
        mg_fields_add_id(&answer, MG_FIELD_SEC_WEBSOCKET_EXTENSIONS, v.extensions);
    }
    mg_ws_answer a;
    must(mg_ws_check(&answer, &offer, &a) == NULL);
    must(a.deflate == (v.window_bits > 0) && mg_str_eq(a.protocol, v.protocol));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 + MG_WS_KEY_BYTES) {
        return 0;
    }
    mg_arena arena = {0};
    mg_fields fields;
    mg_fields_init(&fields, &arena);
    read_fields(&fields, (mg_str){(const char *)data + 1, size - 1});
    judge(&fields, data[0] & 1, data[0] & 2);
    check(&fields, data[0] & 2);
    shake(&arena, data + 1, data[0]);
    mg_arena_deinit(&arena);
    return 0;
}
