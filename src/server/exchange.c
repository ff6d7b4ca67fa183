#include "server/exchange.h"

#include "event/tls_challenge.h"
#include "server/answer.h"
#include "server/filter.h"
#include "server/requester.h"
#include "server/server.h"
#include "server/wire.h"

enum { CONTENT_HIGH = 64 * 1024 }; // decoded content that waits for the handler: reading pauses

const mg_refusal mg_body_too_large = {413, "the request's body is too large", 0};

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
    s->stats->requests++;
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

// Content that has come or is certain to come.
static uint64_t announced(const mg_exchange *x) {
    return x->body_received + x->body_ahead;
}

int mg_exchange_limit_body(mg_exchange *x, uint64_t bytes) {
    x->body_limit = bytes;
    x->body_judged = true;
    return announced(x) > bytes ? MG_ELIMIT : MG_OK;
}

// --- what is held of all bodies ---

typedef struct mg_body_intake {
    mg_intake of;
    mg_exchange *x;
    size_t aside;
} mg_body_intake;

static void give_up_body(mg_intake *i) {
    mg_exchange *x = MG_OF(i, mg_body_intake, of)->x;
    MG_OF(i, mg_body_intake, of)->aside = 0;
    mg_exchange_refuse_body(
        x, (mg_refusal){503, "too many large requests come at the same time: try again", 1});
}

static void count_content(mg_exchange *x) {
    mg_body_intake *i = x->intake;
    mg_intake_hold(mg_loop_intakes(x->server->loop), &i->of, x->content.n + i->aside,
                   !x->body_complete && x->phase != MG_EXCHANGE_ANSWERED);
}

static mg_body_intake *intake_of(mg_exchange *x) {
    if (x->intake == NULL) {
        x->intake = mg_arena_alloc(&x->arena, sizeof *x->intake);
        *x->intake = (mg_body_intake){.x = x};
        mg_intake_init(&x->intake->of, give_up_body);
    }
    return x->intake;
}

static void drop_content(mg_exchange *x) {
    mg_buf_deinit(&x->content);
    if (x->intake != NULL) {
        count_content(x);
    }
}

void mg_exchange_uncount_content(mg_exchange *x) {
    if (x->intake != NULL) {
        mg_intake_hold(mg_loop_intakes(x->server->loop), &x->intake->of, 0, false);
        x->intake = NULL;
    }
}

void mg_exchange_forget_content(mg_exchange *x) {
    mg_buf_deinit(&x->content);
    mg_exchange_uncount_content(x);
}

void mg_exchange_keep_aside(mg_exchange *x, size_t bytes) {
    intake_of(x)->aside = bytes;
    count_content(x);
}

void mg_exchange_refuse_body(mg_exchange *x, mg_refusal refusal) {
    if (x->phase == MG_EXCHANGE_ANSWERED) {
        x->wire->stop_body(x);
        return;
    }
    if (x->body_refusal.status != 0) {
        return;
    }
    x->body_refusal = refusal;
    drop_content(x);
    mg_timer_stop(&x->body_timer);
    x->wire->stop_body(x);
    if (x->body_wanted && x->app != NULL) {
        x->app->on_body(x->app, x);
    }
}

// What is announced counts: it need not have come. Only of what is discarded each byte is waited
// for.
static bool is_too_large(const mg_exchange *x) {
    if (x->phase == MG_EXCHANGE_ANSWERED) {
        return x->body_received > x->body_limit;
    }
    return x->body_judged && announced(x) > x->body_limit;
}

mg_str mg_exchange_content(const mg_exchange *x) {
    return mg_buf_str(&x->content);
}

// How long a body of that many bytes may take: a grace, then as long as its bytes are worth.
static uint64_t body_allowance_ms(const mg_exchange *x) {
    const mg_server_options *o = &x->server->options;
    return o->body_grace_ms + x->body_received * 1000 / o->body_rate;
}

static void on_body_time(mg_timer *t) {
    mg_exchange *x = MG_OF(t, mg_exchange, body_timer);
    mg_loop *loop = x->server->loop;
    uint64_t spent = mg_loop_now_ms(loop) - x->body_start_ms;
    uint64_t allowed = body_allowance_ms(x);
    if (x->body_paused) {
        // It is the handler that is slow.
        mg_timer_start(loop, t, x->server->options.body_grace_ms, 0, on_body_time);
    } else if (spent < allowed) {
        mg_timer_start(loop, t, allowed - spent, 0, on_body_time);
    } else {
        mg_exchange_refuse_body(x, (mg_refusal){408, "the request's body came too slowly", 0});
    }
}

static void start_body_timer(mg_exchange *x) {
    const mg_server_options *o = &x->server->options;
    if (o->body_rate > 0 && o->body_grace_ms > 0 && !x->body_leisurely &&
        mg_exchange_reads_body(x)) {
        x->body_start_ms = mg_loop_now_ms(x->server->loop);
        mg_timer_start(x->server->loop, &x->body_timer, body_allowance_ms(x), 0, on_body_time);
    }
}

void mg_exchange_stream_body(mg_exchange *x, bool limited) {
    x->body_leisurely = true;
    x->body_limit = limited ? x->body_limit : UINT64_MAX;
    mg_timer_stop(&x->body_timer);
}

static void send_continue(mg_exchange *x) {
    // RFC 9110 section 10.1.1: not needed once the body has begun to come.
    if (x->head.expect_continue && !x->continue_sent && x->body_received == 0 &&
        x->phase == MG_EXCHANGE_HANDLING && mg_exchange_reads_body(x)) {
        x->wire->interim(x, 100, NULL);
    }
    x->continue_sent = true;
}

static void resume_body(mg_exchange *x) {
    if (x->body_paused) {
        x->body_paused = false;
        x->body_start_ms = mg_loop_now_ms(x->server->loop);
        x->wire->resume(x);
    }
}

void mg_exchange_await_body(mg_exchange *x) {
    x->body_wanted = true;
}

void mg_exchange_continue(mg_exchange *x) {
    if (!x->continue_sent) {
        send_continue(x);
        start_body_timer(x);
    }
}

void mg_exchange_want_body(mg_exchange *x, bool collect) {
    x->body_wanted = true;
    mg_exchange_continue(x);
    if (collect && !x->body_collect) {
        x->body_collect = true;
        x->wire->credit(x, x->content.n); // more may come, though this is not taken
    }
    if (x->body_collect) {
        resume_body(x);
    }
}

void mg_exchange_take_content(mg_exchange *x) {
    size_t n = x->content.n;
    drop_content(x);
    if (!x->body_collect) {
        x->wire->credit(x, n);
    }
    resume_body(x);
}

bool mg_exchange_take_piece(mg_exchange *x, mg_str piece) {
    x->body_received += piece.n;
    if (is_too_large(x)) {
        mg_exchange_refuse_body(x, mg_body_too_large);
        return false;
    }
    if (x->phase == MG_EXCHANGE_ANSWERED) {
        x->wire->credit(x, piece.n);
        return true;
    }
    mg_buf_append_str(&x->content, piece);
    (void)intake_of(x);
    count_content(x);
    if (x->body_collect) {
        x->wire->credit(x, piece.n);
    } else if (x->content.n >= CONTENT_HIGH && !x->body_paused) {
        x->body_paused = true;
        x->wire->pause(x);
    }
    return true;
}

bool mg_exchange_body_progress(mg_exchange *x) {
    if (is_too_large(x)) {
        mg_exchange_refuse_body(x, mg_body_too_large);
        return false;
    }
    if (x->body_complete) {
        mg_timer_stop(&x->body_timer);
        if (x->intake != NULL) {
            count_content(x); // it is not given up any more
        }
    }
    if (x->phase != MG_EXCHANGE_ANSWERED && x->body_wanted &&
        (x->content.n > 0 || x->body_complete)) {
        x->app->on_body(x->app, x);
    }
    return true;
}

void mg_exchange_discard_body(mg_exchange *x) {
    size_t n = x->body_collect ? 0 : x->content.n;
    mg_exchange_forget_content(x);
    x->body_limit = x->body_received + x->server->options.discard_bytes;
    x->body_paused = false;
    mg_timer_stop(&x->body_timer);
    start_body_timer(x);
    x->wire->credit(x, n);
    x->wire->resume(x);
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
