// Requests for another protocol than HTTP (RFC 9110 section 7.8, RFC 8441): they go on as they are,
// and a server that agrees is joined with the client by a passage. Any other answer is one like all
// others.

#include "proxy/relay_inside.h"

#include "http/ws_handshake.h"
#include "proxy/passage.h"
#include "server/wire.h"

#include <sys/random.h>

struct mg_relay_wish {
    mg_str protocol;    // that the client wants to be spoken
    mg_str key, accept; // halves of a handshake that are ours; else empty
};

static const mg_str websocket = {"websocket", 9};

// HTTP and TLS by way of Upgrade would lead around all that is known of requests here.
static bool is_ours(mg_str protocol) {
    return mg_str_ieq(protocol, MG_STR("h2c")) || mg_str_istarts(protocol, MG_STR("HTTP/")) ||
           mg_str_istarts(protocol, MG_STR("TLS/"));
}

// The one field's value, if each of its members may be asked for.
static mg_str asked_for(const mg_exchange *x) {
    const mg_fields *l = &x->head.fields;
    const mg_field *f = mg_fields_find(l, MG_FIELD_UPGRADE);
    mg_str none = {NULL, 0};
    mg_str item;
    if (f == NULL || mg_fields_next(l, f, MG_FIELD_UPGRADE) != NULL) {
        return none;
    }
    mg_str rest = f->value;
    size_t n = 0;
    while (mg_str_next_item(&rest, &item)) {
        if (is_ours(item) || mg_exchange_may_take_over(x, item) != NULL) {
            return none;
        }
        n++;
    }
    return n > 0 ? f->value : none;
}

// Over HTTP/2 a client sends no key, and wants no answer to one (RFC 8441 section 5).
static void add_key(mg_relay *r) {
    uint8_t random[MG_WS_KEY_BYTES];
    char text[MG_WS_KEY_TEXT];
    if (mg_fields_find(&r->fields, MG_FIELD_SEC_WEBSOCKET_KEY) != NULL ||
        !mg_str_ieq(r->wish->protocol, websocket) ||
        getrandom(random, sizeof random, 0) != sizeof random) {
        return;
    }
    mg_ws_key(random, text);
    mg_str key = {text, sizeof text};
    r->wish->key = (mg_str){mg_arena_copy(&r->x->arena, key), key.n};
    (void)mg_fields_add_id(&r->fields, MG_FIELD_SEC_WEBSOCKET_KEY, r->wish->key);
}

void mg_relay_ask_to_switch(mg_relay *r) {
    const mg_exchange *x = r->x;
    bool has_body = x->head.framing != MG_FRAMING_NONE || r->o.has_body;
    mg_str protocol = {NULL, 0};
    if (!has_body && x->head.method == MG_METHOD_GET) {
        protocol = asked_for(x);
    }
    if (protocol.n == 0) {
        return;
    }
    r->wish = mg_arena_alloc(&r->x->arena, sizeof *r->wish);
    *r->wish = (struct mg_relay_wish){.protocol = protocol};
    if (x->by_connect) {
        add_key(r);
    }
}

mg_str mg_relay_protocol(const mg_relay *r) {
    return r->wish != NULL ? r->wish->protocol : (mg_str){NULL, 0};
}

bool mg_relay_has_switched(const mg_relay *r) {
    return mg_call_has_switched(r->at->call);
}

// A server of HTTP/2 sees no key: the client's is ours to answer.
static bool answer_key(mg_relay *r, mg_relay_fault *fault) {
    static const mg_ws_terms none;
    mg_ws_verdict verdict;
    mg_ws_judge(&r->x->head.fields, false, &none, &verdict);
    if (verdict.status != 0) {
        *fault = (mg_relay_fault){400, verdict.why, NULL, 0};
        return false;
    }
    mg_str accept = {verdict.accept, sizeof verdict.accept};
    r->wish->accept = (mg_str){mg_arena_copy(&r->x->arena, accept), accept.n};
    return true;
}

static bool answers_our_key(const mg_relay *r) {
    const mg_field *f =
        mg_fields_find(&mg_relay_head(r)->head.fields, MG_FIELD_SEC_WEBSOCKET_ACCEPT);
    char accept[MG_WS_ACCEPT_TEXT];
    return f != NULL && mg_ws_accept(r->wish->key, accept) &&
           mg_str_eq(f->value, (mg_str){accept, sizeof accept});
}

// Where one side alone has a key, the other half of the handshake is ours.
bool mg_relay_judge_switch(mg_relay *r, mg_relay_fault *fault) {
    bool by_connect = mg_relay_head(r)->http2;
    if (by_connect && !r->x->by_connect && mg_str_ieq(r->wish->protocol, websocket)) {
        return answer_key(r, fault);
    }
    if (by_connect || r->wish->key.n == 0 || answers_our_key(r)) {
        return true;
    }
    *fault = (mg_relay_fault){502, "the upstream server's answer is not valid",
                              "Sec-WebSocket-Accept does not answer the key", 0};
    return false;
}

// The server's word for it, or the client's: of an extended CONNECT there is only that.
static mg_str agreed(const mg_relay *r) {
    const mg_field *f = mg_fields_find(&mg_relay_head(r)->head.fields, MG_FIELD_UPGRADE);
    return f != NULL ? f->value : r->wish->protocol;
}

void mg_relay_switch(mg_relay *r, const mg_answer *a) {
    mg_exchange *x = r->x;
    mg_answer answer = *a;
    mg_ticket ticket;
    mg_call *call = r->at->call;
    mg_str protocol = {mg_arena_copy(&x->arena, agreed(r)), agreed(r).n};
    answer.status = 101;
    if (r->wish->key.n > 0) {
        (void)mg_fields_remove(&answer.fields, MG_STR("sec-websocket-accept"));
    }
    if (r->wish->accept.n > 0) {
        (void)mg_fields_add_id(&answer.fields, MG_FIELD_SEC_WEBSOCKET_ACCEPT, r->wish->accept);
    }
    mg_relay_note(r, r->at);
    mg_ticket_move(&ticket, &r->at->ticket);
    r->at->call = NULL;
    mg_relay_leave(r);
    mg_relay_tell_end(r, true);
    mg_passage_begin(&(mg_passage_options){
        .exchange = x,
        .answer = &answer,
        .protocol = protocol,
        .call = call,
        .ticket = &ticket,
        .relayed = &r->log,
    });
}
