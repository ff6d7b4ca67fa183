#include "server/exchange.h"

#include "event/tls_challenge.h"
#include "server/answer.h"
#include "server/filter.h"
#include "server/requester.h"
#include "server/server.h"
#include "server/wire.h"

// --- request ---

// "[::1]:8443" is "::1", "a.test:8443" is "a.test".
static mg_str without_port(mg_str host) {
    if (host.n > 0 && host.p[0] == '[') {
        const char *end = memchr(host.p, ']', host.n);
        return end == NULL ? host : (mg_str){host.p + 1, (size_t)(end - host.p) - 1};
    }
    const char *colon = host.n > 0 ? memchr(host.p, ':', host.n) : NULL;
    return colon == NULL ? host : (mg_str){host.p, (size_t)(colon - host.p)};
}

// RFC 9110 section 7.4.
static bool is_misdirected(const mg_exchange *x) {
    mg_peer peer;
    x->wire->peer(x, &peer);
    return peer.tls != NULL && !mg_tls_has_authority(peer.tls, without_port(x->head.host));
}

// RFC 8555 section 8.3: before the app's routes, whatever they are. Any other request goes on.
static bool answer_challenge(mg_exchange *x) {
    mg_str text = mg_challenge_answer(x->server->challenge, x->head.target.path);
    if (text.n == 0 || (x->head.method != MG_METHOD_GET && x->head.method != MG_METHOD_HEAD)) {
        return false;
    }
    x->app = NULL;
    mg_exchange_respond(
        x, &(mg_answer){.status = 200, .content_type = MG_STR("application/octet-stream")}, text);
    return true;
}

void mg_exchange_start(mg_exchange *x) {
    mg_server *s = x->server;
    x->phase = MG_EXCHANGE_HANDLING;
    x->body_limit = s->options.body_bytes;
    mg_deadline_start(&s->handler, &x->handler_deadline);
    s->stats.requests++;
    if (s->on_access != NULL) {
        x->start_us = mg_loop_now_us(s->loop);
        x->start_wall_ms = mg_loop_wall_ms(s->loop);
        (void)mg_exchange_requester(x); // who has reset its connection has no address any more
    }
    if (s->challenge != NULL && answer_challenge(x)) {
        return;
    }
    if (x->secure && is_misdirected(x)) {
        x->app = NULL; // it would answer for a name that is not at home here
        mg_exchange_refuse(
            x, (mg_refusal){421, "this connection's certificate is not for that host", 0});
        return;
    }
    x->app->on_request(x->app, x);
}

// --- the connection ---

void mg_exchange_peer(const mg_exchange *x, mg_peer *out) {
    x->wire->peer(x, out);
}

void mg_exchange_close(mg_exchange *x) {
    x->wire->close(x);
}

// --- time ---

void mg_exchange_late(mg_exchange *x) {
    x->app->on_deadline(x->app, x);
}

static void on_handler_time(mg_timer *t) {
    mg_exchange_late(MG_OF(t, mg_exchange, handler_timer));
}

void mg_exchange_stop_deadlines(mg_exchange *x) {
    mg_deadline_stop(&x->handler_deadline);
    mg_timer_stop(&x->handler_timer);
}

void mg_exchange_set_deadline(mg_exchange *x, uint64_t ms) {
    mg_exchange_stop_deadlines(x);
    if (ms > 0) {
        mg_timer_start(x->server->loop, &x->handler_timer, ms, 0, on_handler_time);
    }
}

// --- the end ---

void mg_exchange_unpin(mg_exchange *x) {
    if (x->filters != NULL) {
        mg_filters_release(x);
    }
    mg_link_remove(&x->app_link); // from whatever list of the app's it is still in
    if (x->pins != NULL) {
        mg_pins *pins = x->pins;
        x->pins = NULL;
        mg_pins_drop(pins);
    }
}

static void tell_gone(mg_exchange *x, mg_gone why) {
    mg_app *app = x->app;
    mg_exchange_stop_deadlines(x);
    mg_timer_stop(&x->body_timer);
    x->app = NULL;
    if (app != NULL) {
        app->on_gone(app, x, why);
    }
    mg_exchange_unpin(x);
}

void mg_exchange_lost(mg_exchange *x, mg_gone why) {
    mg_exchange_phase phase = x->phase;
    if (phase == MG_EXCHANGE_HANDLING || phase == MG_EXCHANGE_ANSWERING) {
        mg_exchange_record(x, true);
    }
    tell_gone(x, why);
}

void mg_exchange_writable(mg_exchange *x) {
    if (x->phase == MG_EXCHANGE_ANSWERING && x->app != NULL) {
        x->app->on_writable(x->app, x);
    }
}
