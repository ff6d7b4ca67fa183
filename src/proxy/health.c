#include "proxy/health.h"

#include "base/mem.h"
#include "base/version.h"
#include "event/connect.h"
#include "event/descriptors.h"
#include "event/timer.h"
#include "proxy/verdict.h"

#include <string.h>

enum {
    JITTER = 10, // an interval is longer by up to one part of so many
    LONGEST_LOOK_MS = 60000,
    CONTENT_BYTES = 1 << 16, // of an answer; what is longer is not read to its end
    CONNECTIONS = 2,
    MESSAGE_BYTES = 16,
};

struct mg_check {
    mg_check_setup setup;
    mg_timer timer; // until one may be due
    mg_arena arena; // of the call's fields
    mg_call *call;  // under way; NULL: none
    bool judged;    // its head has come
    size_t content_bytes;
    char message[MESSAGE_BYTES]; // the beginning of it, if that is gRPC's
    mg_connect *connect;
    mg_stream stream;
    bool open;    // the stream: it is closed before the next one
    bool stopped; // the memory goes with the stream
};

// --- what is found ---

// By HTTP, be it gRPC's; else by a connection.
static bool asks(const mg_health_options *o) {
    return o->path != NULL || o->grpc != NULL;
}

static const char *pronoun(const mg_check *c) {
    return asks(c->setup.options) ? "checks" : "connections";
}

static void tell(const mg_check *c, uint64_t now_ms) {
    const mg_server_hold *h = c->setup.hold;
    mg_server_cell *cell = h->cell;
    mg_health health = mg_health_of(cell);
    char why[64];
    if (health.verdict == MG_VERDICT_UP) {
        mg_changes_tell(&c->setup.changes, MG_LOG_INFO, &cell->logged, now_ms,
                        "upstream %s: %s is up", cell->upstream, cell->address);
    } else {
        mg_changes_tell(&c->setup.changes, MG_LOG_WARN, &cell->logged, now_ms,
                        "upstream %s: %s is down: %llu %s failed in a row, at last: %s",
                        cell->upstream, cell->address, (unsigned long long)c->setup.options->down,
                        pronoun(c), mg_health_text(&health, why, sizeof why));
    }
}

static void found(mg_check *c, mg_finding what, int status) {
    uint64_t now_ms = mg_loop_now_ms(c->setup.loop);
    if (mg_health_tell(c->setup.options, c->setup.hold, what, status, now_ms)) {
        tell(c, now_ms);
    }
}

static mg_finding finding_of(const char *code) {
    static const struct {
        const char *code;
        mg_finding found;
    } codes[] = {
        {"timeout", MG_FOUND_TIMEOUT}, {"closed", MG_FOUND_CLOSED}, {"protocol", MG_FOUND_BROKEN},
        {"tls", MG_FOUND_BROKEN},      {"limit", MG_FOUND_BROKEN},
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (strcmp(code, codes[i].code) == 0) {
            return codes[i].found;
        }
    }
    return MG_FOUND_REFUSED;
}

// --- by HTTP ---

static void end_call(mg_check *c) {
    mg_call_close(c->call);
    c->call = NULL;
    mg_arena_deinit(&c->arena);
}

// The status is what counts, whatever the content comes to.
static void judge(mg_check *c, int status) {
    bool wanted = mg_status_set_has(&c->setup.options->status, status);
    c->judged = true;
    found(c, wanted ? MG_FOUND_GOOD : MG_FOUND_STATUS, status);
}

static bool is_ok(const mg_fields *fields) {
    const mg_field *f = mg_fields_find_name(fields, MG_STR("grpc-status"));
    return f != NULL && mg_str_eq(f->value, MG_STR("0"));
}

// A message of five bytes in front and of field 1, which says SERVING.
static void judge_grpc(mg_check *c, int status) {
    static const char serving[] = {0, 0, 0, 0, 2, 0x08, 0x01};
    const mg_fields *trailers = mg_call_trailers(c->call);
    bool good = status == 200 && is_ok(trailers) && c->content_bytes == sizeof serving &&
                memcmp(c->message, serving, sizeof serving) == 0;
    c->judged = true;
    found(c, good ? MG_FOUND_GOOD : status == 200 ? MG_FOUND_UNFIT : MG_FOUND_STATUS, status);
}

static void on_change(void *arg, mg_call *call) {
    mg_check *c = arg;
    mg_call_state state = mg_call_state_of(call);
    bool grpc = c->setup.options->grpc != NULL; // its end says how it went
    if (!c->judged && (state == MG_CALL_DONE || (state == MG_CALL_BODY && !grpc))) {
        (grpc ? judge_grpc : judge)(c, mg_call_response(call)->status);
    }
    if (!c->judged && state == MG_CALL_FAILED) {
        found(c, finding_of(mg_call_fault_of(call)->code), 0);
    }
    if (state == MG_CALL_DONE || state == MG_CALL_FAILED) {
        end_call(c);
    }
}

// The end is awaited so that the server does not see a connection that breaks, within reason.
static void on_piece(void *arg, mg_call *call, mg_str piece) {
    mg_check *c = arg;
    (void)call;
    for (size_t i = 0; i < piece.n && c->content_bytes + i < MESSAGE_BYTES; i++) {
        c->message[c->content_bytes + i] = piece.p[i];
    }
    c->content_bytes += piece.n;
    if (c->content_bytes > CONTENT_BYTES) {
        end_call(c);
    }
}

// HealthCheckRequest: the service's name is field 1. Of a length that a byte holds.
static mg_str request_of(mg_arena *arena, const char *service) {
    size_t n = strlen(service);
    size_t message = n > 0 ? n + 2 : 0;
    char *p = mg_arena_alloc(arena, 5 + message);
    memcpy(p, "\0\0\0\0", 4);
    p[4] = (char)message;
    if (n > 0) {
        p[5] = 0x0a;
        p[6] = (char)n;
        memcpy(p + 7, service, n);
    }
    return (mg_str){p, 5 + message};
}

// gRPC is spoken over HTTP/2 alone.
static void make_grpc(mg_check *c, mg_call_options *call, mg_call_origin *origin) {
    origin->http2 = MG_HTTP2_ALWAYS;
    call->method = MG_STR("POST");
    call->target = MG_STR("/grpc.health.v1.Health/Check");
    call->body = request_of(&c->arena, c->setup.options->grpc);
    call->has_body = call->trailers = true;
    mg_fields_add(&call->fields, MG_STR("Content-Type"), MG_STR("application/grpc"));
}

static void ask(mg_check *c) {
    static const mg_call_events events = {.on_change = on_change, .on_piece = on_piece};
    const mg_health_options *o = c->setup.options;
    const mg_upstream_server *s = c->setup.server;
    uint32_t timeout_ms = (uint32_t)o->timeout_ms;
    mg_call_origin origin = s->origin;
    origin.hint = NULL; // it is of another client
    mg_call_options call = {
        .origin = &origin,
        .timeouts = {timeout_ms, timeout_ms, timeout_ms, timeout_ms, timeout_ms},
        .method = MG_STR("GET"),
        .target = o->path != NULL ? mg_str_of(o->path) : (mg_str){NULL, 0},
        .authority = o->host != NULL ? mg_str_of(o->host) : s->authority,
        .stream = true,
        .max_bytes = UINT64_MAX,
    };
    mg_fields_init(&call.fields, &c->arena);
    mg_fields_add(&call.fields, MG_STR("User-Agent"), MG_STR("moongate/" MG_VERSION " (health)"));
    if (o->grpc != NULL) {
        make_grpc(c, &call, &origin);
    } else {
        mg_fields_add(&call.fields, MG_STR("Accept"), MG_STR("*/*"));
    }
    c->judged = false;
    c->content_bytes = 0;
    if (mg_call_start(&c->call, c->setup.client, &call, &events, c) != MG_OK) {
        end_call(c); // nothing is found: it is for want of descriptors of our own
    }
}

mg_client_options mg_check_client(const mg_client_options *o) {
    mg_client_options of_checks = *o;
    of_checks.connections = CONNECTIONS;
    of_checks.waiting = UINT32_MAX;
    of_checks.idle_connections = 0;
    return of_checks;
}

// --- by a connection ---

static void on_closed(mg_stream *stream) {
    mg_check *c = MG_OF(stream, mg_check, stream);
    c->open = false;
    if (c->stopped) {
        mg_free(c);
    }
}

static void on_connected(void *arg, const mg_connect_fault *fault) {
    mg_check *c = arg;
    c->connect = NULL;
    mg_arena_deinit(&c->arena);
    if (fault == NULL) {
        c->open = true;
        mg_stream_close(&c->stream, false);
    }
    found(c, fault == NULL ? MG_FOUND_GOOD : finding_of(fault->code), 0);
}

static void dial(mg_check *c) {
    static const mg_stream_events events = {.on_closed = on_closed};
    const mg_call_origin *origin = &c->setup.server->origin;
    if (c->open || !mg_descriptors_room(c->setup.loop, 1)) {
        return;
    }
    char *host = mg_arena_copy(&c->arena, origin->host);
    char *path = mg_arena_copy(&c->arena, origin->unix_path);
    const mg_connect_options options = {
        .loop = c->setup.loop,
        .dns = c->setup.dns,
        .host = host,
        .unix_path = origin->unix_path.n > 0 ? path : NULL,
        .port = origin->port,
        .prelude = origin->prelude,
        .timeout_ms = (uint32_t)c->setup.options->timeout_ms,
        .on_done = on_connected,
        .arg = c,
        .stream = &c->stream,
        .events = &events,
    };
    c->connect = mg_connect_start(&options);
}

// --- when ---

// One is due, and no other worker was faster. `*wait_ms`: until the next one may be.
static bool take_turn(mg_check *c, uint64_t now_ms, uint64_t *wait_ms) {
    uint64_t interval_ms = c->setup.options->interval_ms;
    _Atomic uint64_t *due_ms = &c->setup.hold->cell->check_ms;
    uint64_t seen = atomic_load(due_ms);
    uint64_t next = now_ms + interval_ms;
    next += mg_random_below(c->setup.random, interval_ms / JITTER + 1);
    // What lies farther ahead than an interval was written by other settings, or by an accident.
    bool is_due = seen <= now_ms || seen > now_ms + 2 * interval_ms;
    bool mine = is_due && atomic_compare_exchange_strong(due_ms, &seen, next);
    *wait_ms = (is_due ? atomic_load(due_ms) : seen) - now_ms;
    return mine;
}

// The check before, whose content drips, or whose timeout is longer than the interval.
static void give_up(mg_check *c) {
    if (c->call != NULL) {
        end_call(c);
    }
    mg_connect_cancel(c->connect);
    c->connect = NULL;
    mg_arena_deinit(&c->arena);
}

static void on_time(mg_timer *t) {
    mg_check *c = MG_OF(t, mg_check, timer);
    uint64_t wait_ms;
    if (take_turn(c, mg_loop_now_ms(c->setup.loop), &wait_ms)) {
        give_up(c);
        (asks(c->setup.options) ? ask : dial)(c);
    }
    wait_ms = wait_ms < LONGEST_LOOK_MS ? wait_ms : LONGEST_LOOK_MS;
    mg_timer_start(c->setup.loop, t, wait_ms, 0, on_time);
}

// --- life ---

mg_check *mg_check_start(const mg_check_setup *setup) {
    mg_check *c = mg_calloc(1, sizeof *c);
    c->setup = *setup;
    mg_timer_start(setup->loop, &c->timer, 0, 0, on_time);
    return c;
}

void mg_check_stop(mg_check *c) {
    if (c == NULL) {
        return;
    }
    mg_timer_stop(&c->timer);
    give_up(c);
    c->stopped = true;
    if (!c->open) {
        mg_free(c);
    }
}
