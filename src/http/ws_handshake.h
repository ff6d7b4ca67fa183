// http/ws_handshake.h: how a connection becomes a WebSocket: by Upgrade (RFC 6455 section 4) or by
// extended CONNECT (RFC 8441), what both sides agree on, and permessage-deflate (RFC 7692) without
// context takeover. Pure: fields in, a verdict out.
#pragma once

#include "http/fields.h"

enum {
    MG_WS_KEY_BYTES = 16,
    MG_WS_KEY_TEXT = 24, // characters
    MG_WS_ACCEPT_TEXT = 28,
    MG_WS_WINDOW_BITS = 15, // the largest window of permessage-deflate: 32 KiB
};

// What answers a key: Sec-WebSocket-Accept. False: OpenSSL refuses SHA-1.
bool mg_ws_accept(mg_str key, char out[MG_WS_ACCEPT_TEXT]);

// --- server ---

typedef struct mg_ws_terms {
    mg_texts protocols; // that are spoken; borrowed
    bool deflate;       // permessage-deflate is agreed to
} mg_ws_terms;

typedef struct mg_ws_verdict {
    unsigned status;      // 0: a WebSocket; else 400, 426 or 500, to be answered with
    const char *why;      // then: for people, static. 400 and 426 carry Sec-WebSocket-Version: 13
    mg_str protocol;      // the one chosen, of the terms; empty: none
    mg_str extensions;    // value of Sec-WebSocket-Extensions, static; empty: none
    unsigned window_bits; // permessage-deflate was agreed on, with such a window of ours; 0: not
    char accept[MG_WS_ACCEPT_TEXT]; // by Upgrade only
} mg_ws_verdict;

// Judges a request. `by_connect`: by extended CONNECT, where there is no key. Of several protocols
// the client's first is chosen that the terms have; none in common is no fault: the client decides.
void mg_ws_judge(const mg_fields *request, bool by_connect, const mg_ws_terms *terms,
                 mg_ws_verdict *out);

// --- client ---

typedef struct mg_ws_offer {
    mg_str key;         // empty: by extended CONNECT
    mg_texts protocols; // tokens, each once
    bool deflate;
} mg_ws_offer;

// Makes the text of a key of random bytes.
void mg_ws_key(const uint8_t random[MG_WS_KEY_BYTES], char out[MG_WS_KEY_TEXT]);

// Adds the fields of the request, but for Upgrade and Connection, which are the wire's. Those
// values that are no literals are the arena's of `out`. MG_ESYNTAX: a protocol is no token;
// MG_ELIMIT: the list is full.
int mg_ws_ask(const mg_ws_offer *offer, mg_fields *out);

typedef struct mg_ws_answer {
    mg_str protocol; // of the offer; empty: none
    bool deflate;
} mg_ws_answer;

// Judges the answer, whose status is 101 (by extended CONNECT 2xx). NULL: it is good; else what is
// wrong with it, for people, static. A server that picks none of the protocols offered is refused,
// as browsers do.
const char *mg_ws_check(const mg_fields *answer, const mg_ws_offer *offer, mg_ws_answer *out);
