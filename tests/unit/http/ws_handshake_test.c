#include "http/ws_handshake.h"

#include "unit.h"

static mg_arena arena;

static int end(void **state) {
    (void)state;
    mg_arena_deinit(&arena);
    return 0;
}

#define KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define ASK    "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n"
#define ANSWER "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: " ACCEPT "\n"
#define OURS   "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// Fields of lines "Name: value\n".
static mg_fields fields_of(const char *lines) {
    mg_fields l;
    mg_fields_init(&l, &arena);
    while (*lines != '\0') {
        const char *colon = strchr(lines, ':'), *line_end = strchr(lines, '\n');
        mg_str name = {lines, (size_t)(colon - lines)};
        mg_str value = {colon + 2, (size_t)(line_end - colon - 2)};
        assert_int_equal(mg_fields_add(&l, name, value), MG_OK);
        lines = line_end + 1;
    }
    return l;
}

static mg_ws_verdict judge(const char *lines, bool by_connect, bool deflate) {
    static const char *const spoken[] = {"chat.v2", "chat.v1"};
    mg_ws_terms terms = {.protocols = {spoken, 2}, .deflate = deflate};
    mg_fields request = fields_of(lines);
    mg_ws_verdict v;
    mg_ws_judge(&request, by_connect, &terms, &v);
    assert_int_equal(v.status != 0, v.why != NULL);
    return v;
}

static void accepts_the_example_of_the_rfc(void **state) {
    (void)state; // RFC 6455 section 1.3
    mg_ws_verdict v = judge(ASK "Sec-WebSocket-Key: " KEY "\n", false, true);
    assert_int_equal(v.status, 0);
    assert_memory_equal(ACCEPT, v.accept, sizeof v.accept);
    assert_int_equal(v.protocol.n + v.extensions.n, 0);
    assert_int_equal(v.window_bits, 0);
    v = judge("upgrade: h2c, WebSocket\nconnection: keep-alive, upgrade\n"
              "sec-websocket-version: 13\nsec-websocket-key: AQIDBAUGBwgJCgsMDQ4PEC==\n",
              false, false);
    assert_int_equal(v.status, 0);
}

static void says_what_a_request_lacks(void **state) {
    (void)state;
    static const struct {
        const char *lines;
        unsigned status;
    } cases[] = {
        {"Host: a\n", 426},
        {"Upgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: " KEY "\n", 426},
        {"Connection: upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: " KEY "\n", 426},
        {"Upgrade: echo\nConnection: upgrade\nSec-WebSocket-Key: " KEY "\n", 426},
        {"Upgrade: websocket\nConnection: upgrade\nSec-WebSocket-Key: " KEY "\n", 400},
        {"Upgrade: websocket\nConnection: upgrade\nSec-WebSocket-Version: 8\n", 426},
        {"Upgrade: websocket\nConnection: upgrade\nSec-WebSocket-Version: 013\n", 426},
        {ASK "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: " KEY "\n", 400},
        {ASK, 400},
        {ASK "Sec-WebSocket-Key: \n", 400},
        {ASK "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\n", 400},
        {ASK "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\n", 400},
        {ASK "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ===\n", 400},
        {ASK "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub_5jZQ==\n", 400},
        {ASK "Sec-WebSocket-Key: " KEY "\nSec-WebSocket-Key: " KEY "\n", 400},
        {ASK "Sec-WebSocket-Key: " KEY "\nSec-WebSocket-Protocol: chat v1\n", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mg_ws_verdict v = judge(cases[i].lines, false, true);
        if (v.status != cases[i].status) {
            print_message("%s", cases[i].lines);
        }
        assert_int_equal(v.status, cases[i].status);
    }
}

static void the_clients_first_protocol_that_is_spoken_is_chosen(void **state) {
    (void)state;
    mg_ws_verdict v =
        judge(ASK "Sec-WebSocket-Key: " KEY "\nSec-WebSocket-Protocol: soap, chat.v1\n"
                  "Sec-WebSocket-Protocol: chat.v2\n",
              false, false);
    assert_text("chat.v1", v.protocol);
    v = judge(ASK "Sec-WebSocket-Key: " KEY "\nSec-WebSocket-Protocol: CHAT.v1\n", false, false);
    assert_int_equal(v.status, 0);
    assert_int_equal(v.protocol.n, 0);
}

static void an_extended_connect_has_no_key(void **state) {
    (void)state; // RFC 8441 section 5
    mg_ws_verdict v =
        judge("sec-websocket-version: 13\nsec-websocket-protocol: chat.v1\n", true, false);
    assert_int_equal(v.status, 0);
    assert_text("chat.v1", v.protocol);
    assert_int_equal(judge("sec-websocket-version: 12\n", true, false).status, 426);
    assert_int_equal(judge("origin: x\n", true, false).status, 400);
}

static void agrees(const char *offers, unsigned status, const char *want) {
    char lines[512];
    snprintf(lines, sizeof lines, ASK "Sec-WebSocket-Key: " KEY "\nSec-WebSocket-Extensions: %s\n",
             offers);
    mg_ws_verdict v = judge(lines, false, true);
    if (v.status != status || !mg_str_eq(v.extensions, mg_str_of(want))) {
        print_message("%s\n", offers);
    }
    assert_int_equal(v.status, status);
    assert_text(want, v.extensions);
    assert_int_equal(v.window_bits > 0, v.extensions.n > 0);
    assert_int_equal(judge(lines, false, false).status, 0);
    assert_int_equal(judge(lines, false, false).extensions.n, 0);
}

static void takes_the_first_offer_of_deflate_that_it_can_keep(void **state) {
    (void)state;
    agrees("permessage-deflate", 0, OURS);
    agrees("permessage-deflate; client_max_window_bits", 0, OURS);
    agrees("Permessage-Deflate;client_max_window_bits=10", 0, OURS);
    agrees("permessage-deflate; client_max_window_bits=\"10\"", 0, OURS);
    agrees("permessage-deflate; server_no_context_takeover; client_no_context_takeover", 0, OURS);
    agrees("permessage-deflate; server_max_window_bits=15", 0, OURS "; server_max_window_bits=15");
    agrees("permessage-deflate; server_max_window_bits=10", 0, OURS "; server_max_window_bits=10");
    agrees("permessage-deflate; server_max_window_bits=8, permessage-deflate", 0,
           OURS "; server_max_window_bits=8");
    agrees("permessage-deflate; server_max_window_bits=7, permessage-deflate", 0, OURS);
    agrees("x-webkit-deflate-frame; no_context_takeover, bzip; a=b", 0, "");
}

static void declines_an_offer_with_parameters_that_are_none(void **state) {
    (void)state;
    agrees("permessage-deflate; unknown", 0, "");
    agrees("permessage-deflate; server_max_window_bits", 0, "");
    agrees("permessage-deflate; server_max_window_bits=16", 0, "");
    agrees("permessage-deflate; client_max_window_bits=7", 0, "");
    agrees("permessage-deflate; client_max_window_bits=08", 0, "");
    agrees("permessage-deflate; client_max_window_bits; client_max_window_bits", 0, "");
    agrees("permessage-deflate; client_no_context_takeover=1", 0, "");
    agrees("permessage-deflate; client_no_context_takeover; client_no_context_takeover", 0, "");
}

static void refuses_a_malformed_list_of_extensions(void **state) {
    (void)state;
    agrees("permessage-deflate;", 400, "");
    agrees("permessage-deflate; ;", 400, "");
    agrees("permessage-deflate; a=", 400, "");
    agrees("permessage-deflate; a=\"b", 400, "");
    agrees("permessage deflate", 400, "");
    agrees("permessage-deflate, @", 400, "");
    agrees("=x", 400, "");
    agrees("permessage-deflate=1", 400, "");
}

// --- client ---

static void asks_for_what_is_offered(void **state) {
    (void)state;
    char key[MG_WS_KEY_TEXT];
    mg_ws_key((const uint8_t *)"the sample nonce", key);
    assert_memory_equal(KEY, key, sizeof key);
    static const char *const protocols[] = {"chat.v2", "chat.v1"};
    mg_ws_offer offer = {.key = {key, sizeof key}, .protocols = {protocols, 2}, .deflate = true};
    mg_fields l = fields_of("");
    assert_int_equal(mg_ws_ask(&offer, &l), MG_OK);
    assert_text("13", mg_fields_find(&l, MG_FIELD_SEC_WEBSOCKET_VERSION)->value);
    assert_text(KEY, mg_fields_find(&l, MG_FIELD_SEC_WEBSOCKET_KEY)->value);
    assert_text("chat.v2, chat.v1", mg_fields_find(&l, MG_FIELD_SEC_WEBSOCKET_PROTOCOL)->value);
    assert_text(OURS, mg_fields_find(&l, MG_FIELD_SEC_WEBSOCKET_EXTENSIONS)->value);
    mg_fields bare = fields_of("");
    assert_int_equal(mg_ws_ask(&(mg_ws_offer){0}, &bare), MG_OK);
    assert_int_equal(bare.count, 1); // by extended CONNECT: the version
    static const char *const wrong[] = {"chat v1"};
    assert_int_equal(mg_ws_ask(&(mg_ws_offer){.protocols = {wrong, 1}}, &bare), MG_ESYNTAX);
}

static void checks(const char *lines, bool offered, const char *want) {
    static const char *const protocols[] = {"chat.v2", "chat.v1"};
    mg_ws_offer offer = {.key = MG_STR(KEY), .deflate = offered};
    if (offered) {
        offer.protocols = (mg_texts){protocols, 2};
    }
    mg_fields answer = fields_of(lines);
    mg_ws_answer a;
    const char *why = mg_ws_check(&answer, &offer, &a);
    assert_text(want != NULL ? want : "", mg_str_of(why != NULL ? why : ""));
    if (why == NULL) {
        assert_text(offered ? "chat.v1" : "", a.protocol);
        assert_int_equal(a.deflate, strstr(lines, "deflate") != NULL);
    }
}

static void takes_a_good_answer(void **state) {
    (void)state;
    checks(ANSWER, false, NULL);
    checks("upgrade: WebSocket\nconnection: keep-alive, upgrade\nsec-websocket-accept: " ACCEPT
           "\n",
           false, NULL);
    checks(ANSWER "Sec-WebSocket-Protocol: chat.v1\n", true, NULL);
    checks(ANSWER "Sec-WebSocket-Protocol: chat.v1\nSec-WebSocket-Extensions: " OURS "\n", true,
           NULL);
    checks(ANSWER "Sec-WebSocket-Protocol: chat.v1\nSec-WebSocket-Extensions: permessage-deflate; "
                  "server_no_context_takeover; server_max_window_bits=10\n",
           true, NULL);
}

static void refuses_an_answer_that_does_not_fit(void **state) {
    (void)state;
    const char *switched = "the server did not switch to websocket";
    const char *accept = "the server's Sec-WebSocket-Accept does not fit the key";
    checks("Connection: Upgrade\nSec-WebSocket-Accept: " ACCEPT "\n", false, switched);
    checks("Upgrade: websocket\nSec-WebSocket-Accept: " ACCEPT "\n", false, switched);
    checks("Upgrade: websocket\nConnection: Upgrade\n", false, accept);
    checks("Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: x\n", false, accept);
    checks(ANSWER "Sec-WebSocket-Accept: " ACCEPT "\n", false, accept);
    const char *protocol = "the server chose a protocol that was not offered";
    checks(ANSWER "Sec-WebSocket-Protocol: chat.v1\n", false, protocol);
    checks(ANSWER "Sec-WebSocket-Protocol: chat.v3\n", true, protocol);
    checks(ANSWER "Sec-WebSocket-Protocol: chat.v1, chat.v2\n", true, protocol);
    checks(ANSWER "Sec-WebSocket-Protocol: chat.v1\nSec-WebSocket-Protocol: chat.v1\n", true,
           protocol);
    checks(ANSWER, true, "the server speaks none of the protocols offered");
}

static void refuses_extensions_that_were_not_asked_for(void **state) {
    (void)state;
#define WITH(text) ANSWER "Sec-WebSocket-Protocol: chat.v1\nSec-WebSocket-Extensions: " text "\n"
    const char *other = "the server chose an extension that was not offered";
    const char *changed = "the server changed the terms of permessage-deflate";
    checks(ANSWER "Sec-WebSocket-Extensions: " OURS "\n", false, other);
    checks(WITH("x-bzip"), true, other);
    checks(WITH("permessage-deflate;"), true, other);
    checks(WITH(OURS ", " OURS), true, other);
    checks(WITH("permessage-deflate"), true, changed);
    checks(WITH(OURS "; client_max_window_bits=10"), true, changed);
    checks(WITH(OURS "; server_max_window_bits=7"), true, changed);
    checks(WITH(OURS "; color"), true, changed);
#undef WITH
}

static void an_extended_connect_is_answered_without_accept(void **state) {
    (void)state;
    mg_fields answer = fields_of("Server: x\n");
    mg_ws_answer a;
    assert_null(mg_ws_check(&answer, &(mg_ws_offer){0}, &a));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_the_example_of_the_rfc),
        cmocka_unit_test(says_what_a_request_lacks),
        cmocka_unit_test(the_clients_first_protocol_that_is_spoken_is_chosen),
        cmocka_unit_test(an_extended_connect_has_no_key),
        cmocka_unit_test(takes_the_first_offer_of_deflate_that_it_can_keep),
        cmocka_unit_test(declines_an_offer_with_parameters_that_are_none),
        cmocka_unit_test(refuses_a_malformed_list_of_extensions),
        cmocka_unit_test(asks_for_what_is_offered),
        cmocka_unit_test(takes_a_good_answer),
        cmocka_unit_test(refuses_an_answer_that_does_not_fit),
        cmocka_unit_test(refuses_extensions_that_were_not_asked_for),
        cmocka_unit_test(an_extended_connect_is_answered_without_accept),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
