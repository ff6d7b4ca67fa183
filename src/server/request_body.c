#include "server/request_body.h"

#include "server/server.h"
#include "server/wire.h"

enum { CONTENT_HIGH = 64 * 1024 }; // decoded content that waits for the handler: reading pauses

const mg_refusal mg_body_too_large = {413, "the request's body is too large", 0};

// --- what is held of all bodies ---

typedef struct mg_body_intake {
    mg_intake of;
    mg_exchange *x;
    size_t aside;
} mg_body_intake;

static void give_up_body(mg_intake *i) {
    mg_exchange *x = MG_OF(i, mg_body_intake, of)->x;
    mg_server_log(x->server, MG_LOG_WARN,
                  "limits.input is reached: a request that held %zu bytes is answered 503",
                  i->held);
    mg_exchange_forget_content(x); // first: it may have been refused already
    mg_exchange_refuse_body(
        x, (mg_refusal){503, "too many large requests come at the same time: try again", 1});
}

static mg_body_intake *intake_of(mg_exchange *x) {
    if (x->intake == NULL) {
        x->intake = mg_arena_alloc(&x->arena, sizeof *x->intake);
        *x->intake = (mg_body_intake){.x = x};
        mg_intake_init(&x->intake->of, give_up_body);
    }
    return x->intake;
}

static void count_content(mg_exchange *x) {
    mg_body_intake *i = intake_of(x);
    i->of.paused = x->body_paused;
    mg_intake_hold(mg_loop_intakes(x->server->loop), &i->of, x->content.n + i->aside,
                   !x->body_complete && x->phase != MG_EXCHANGE_ANSWERED);
}

// Of one that has held something.
static void recount_content(mg_exchange *x) {
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

// --- how much may come ---

// Content that has come or is certain to come.
static uint64_t announced(const mg_exchange *x) {
    return x->body_received + x->body_ahead;
}

int mg_exchange_limit_body(mg_exchange *x, uint64_t bytes) {
    x->body_limit = bytes;
    x->body_judged = true;
    return announced(x) > bytes ? MG_ELIMIT : MG_OK;
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
    mg_exchange_forget_content(x);
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
    mg_buf_deinit(&x->content);
    recount_content(x);
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
    if (x->body_collect) {
        x->wire->credit(x, piece.n);
    } else if (x->content.n >= CONTENT_HIGH && !x->body_paused) {
        x->body_paused = true;
        x->wire->pause(x);
    }
    count_content(x);
    return true;
}

bool mg_exchange_body_progress(mg_exchange *x) {
    if (is_too_large(x)) {
        mg_exchange_refuse_body(x, mg_body_too_large);
        return false;
    }
    if (x->body_complete) {
        mg_timer_stop(&x->body_timer);
        recount_content(x); // it is not given up any more
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
